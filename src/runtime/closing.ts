// The end of a worker that was asked for: whether to leave the group, and the wall-clock budget. A close waits for the last
// commit, and with brokers that do not answer it would wait for one timeout after the other, while whoever asked for it
// (a pod's SIGTERM) kills the process at a time of its own. So:
//
//   asked for ──> half of the budget is over: the last commit is given up, and aborted (a quarter at most)
//             └──> all of it is over: no connection stays, so that nothing is waited for any more
//
// Nothing is lost by either: what has no commit is processed again, and what has one without an answer is looked up by
// the next start. What stays open is aborted by the coordinator after transactionTimeoutMs, or by that start.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { Cluster } from '../client/cluster.ts'
import type { CommittingProducer } from '../client/producer.ts'

export class Closing {
  readonly #budgetMs: number
  readonly #ports: Ports
  readonly #log: Logger
  readonly #ended = new AbortController()
  #requested = false
  #leave: boolean | undefined
  #isOver = false
  #cluster: Pick<Cluster, 'close'> | undefined
  /** Once it is there. */
  producer: Pick<CommittingProducer, 'giveUp'> | undefined

  constructor(budgetMs: number, ports: Ports, log: Logger) {
    this.#budgetMs = budgetMs
    this.#ports = ports
    this.#log = log
  }

  get requested(): boolean {
    return this.#requested
  }

  /** Whether the group is to be told; undefined: that was left open. */
  get leave(): boolean | undefined {
    return this.#leave
  }

  request(leave: boolean | undefined): void {
    this.#leave = leave ?? this.#leave
    if (this.#requested) return
    this.#requested = true
    void this.#watch()
  }

  /** As soon as there are connections. */
  connected(cluster: Pick<Cluster, 'close'>): void {
    this.#cluster = cluster
    if (this.#isOver) void cluster.close()
  }

  /** Everything is closed. */
  end(): void {
    this.#ended.abort()
  }

  async #watch(): Promise<void> {
    const { timers } = this.#ports
    const { signal } = this.#ended
    const halfMs = this.#budgetMs / 2
    await timers.sleep(halfMs, signal)
    if (signal.aborted) return
    this.producer?.giveUp(
      `the worker is to close, and waited for its last commit for ${halfMs} ms`,
      halfMs / 2,
    )
    await timers.sleep(halfMs, signal)
    if (signal.aborted) return
    this.#log.warn('the brokers do not answer: the worker is closed without them', {
      closeTimeoutMs: this.#budgetMs,
    })
    this.#isOver = true
    await this.#cluster?.close()
  }
}
