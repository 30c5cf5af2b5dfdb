// Deletes what was processed from the repartition topics, so that they do not grow: below the offset that the group has
// committed, read back from the broker, never below a position in memory. The worker calls it between transactions, when
// no outcome is open.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { Cluster } from '../client/cluster.ts'
import { fetchCommitted } from '../client/offsets.ts'
import { deleteRecords } from '../client/topic-admin.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError } from '../errors.ts'
import type { StreamTask } from '../task/stream-task.ts'

export class RepartitionPurge {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #settings: WorkerSettings
  readonly #log: Logger
  #lastMs: number

  constructor(cluster: Cluster, ports: Ports, settings: WorkerSettings, log: Logger) {
    this.#cluster = cluster
    this.#ports = ports
    this.#settings = settings
    this.#log = log
    this.#lastMs = ports.clock.monotonic()
  }

  /** Never throws: a purge that failed is repeated with the next one. */
  async purgeIfDue(tasks: readonly StreamTask[]): Promise<void> {
    const now = this.#ports.clock.monotonic()
    if (now - this.#lastMs < this.#settings.purgeIntervalMs) return
    this.#lastMs = now
    const inputs = tasks.flatMap((task) => task.group.queues.filter((queue) => queue.source.repartition))
    if (inputs.length === 0) return
    try {
      const deadline = now + this.#settings.requestTimeoutMs
      const committed = await fetchCommitted(
        this.#cluster,
        this.#ports,
        this.#settings.applicationId,
        inputs,
        deadline,
      )
      const records = committed
        .filter(({ offset }) => offset > 0)
        .map(({ topic, partition, offset }) => ({ topic, partition, offset }))
      if (records.length > 0) await deleteRecords(this.#cluster, this.#ports, records, deadline)
    } catch (error) {
      this.#log.warn('processed records could not be deleted from the repartition topics', {
        cause: ensureError(error).message,
      })
    }
  }
}
