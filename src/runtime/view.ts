// `openView`: a topic, or the changelog of a store, as a table that any program can look into. It reads every partition
// from its beginning to its end, committed records only, keeps the last value of each key in memory and follows what comes. It is a member
// of no group and commits nothing.
import { type Logger, silentLogger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import type { Ports } from '../base/ports.ts'
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import { Cluster } from '../client/cluster.ts'
import { type FetchedPartition, Fetcher } from '../client/fetcher.ts'
import { listOffsets } from '../client/offsets.ts'
import { describeTopics } from '../client/topic-admin.ts'
import { resolveSettings, type SettingsInput } from '../config/settings.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { asMillstreamError, MillstreamError } from '../errors.ts'
import type { RemoteUse } from '../serde/remote.ts'
import type { KeyValue } from '../state/contracts.ts'
import { withoutTimestamp } from '../state/timestamped.ts'
import { schemaLookMs } from '../task/failures.ts'
import { SchemaGate } from '../task/schema-gate.ts'
import type { Topology, TopicDefinition } from '../topology/contracts.ts'
import type { StoreHandle, TopicHandle } from '../topology/handles.ts'
import { changelogTopicName } from '../topology/internal-topics.ts'
import { ViewTable } from './view-table.ts'
import { Wakeup } from './wakeup.ts'

/** A store of a topology, by its changelog. */
export interface StoreOfTopology<K, V, KW = K, VW = V> {
  readonly topology: Topology
  readonly store: StoreHandle<K, V, KW, VW>
}

/** The last committed value of each key, and nothing that was deleted. */
export interface View<K, V, KW = K> extends AsyncDisposable {
  /** The topic that is read. */
  readonly topic: string
  /** @throws DESERIALIZATION_FAILED, SERIALIZATION_FAILED; what ended the view */
  get(key: KW): V | undefined
  has(key: KW): boolean
  /** All entries, in no order. */
  all(): IterableIterator<KeyValue<K, V>>
  readonly size: number
  /** Whether everything committed was read, as far as the brokers have told; false again while more is on its way. */
  readonly caughtUp: boolean
  /** Rejects with what ended the view, and resolves when it is closed. */
  readonly finished: Promise<void>
  close(): Promise<void>
}

export interface ViewOptions {
  readonly log?: Logger
  readonly ports?: Ports
}

interface Given {
  readonly settings: WorkerSettings
  readonly ports: Ports
  readonly log: Logger
}

class TopicView implements View<unknown, unknown> {
  readonly topic: string
  readonly #given: Given
  readonly #cluster: Cluster
  readonly #uses: readonly RemoteUse[]
  readonly #table: ViewTable
  readonly #fetcher: Fetcher
  readonly #wakeup: Wakeup
  readonly #gates: readonly (SchemaGate | undefined)[]
  /** Where each partition was read up to, and what has to be reached before the view is complete for the first time. */
  readonly #positions: number[]
  readonly #ends: readonly number[]
  readonly #complete = Promise.withResolvers<void>()
  readonly #finished = Promise.withResolvers<void>()
  #waiting: FetchedPartition[] = []
  #failure: MillstreamError | undefined
  #closed = false

  constructor(
    given: Given,
    cluster: Cluster,
    uses: readonly RemoteUse[],
    topic: TopicDefinition,
    ranges: readonly { readonly from: number; readonly to: number }[],
  ) {
    const { settings, ports, log } = given
    this.topic = topic.name
    this.#given = given
    this.#cluster = cluster
    this.#uses = uses
    this.#table = new ViewTable(topic, settings.onFailure === 'skip', log)
    this.#wakeup = new Wakeup(ports)
    this.#fetcher = new Fetcher(cluster, ports, {
      role: 'fetch',
      isolation: 'read_committed',
      maxBytes: settings.fetchBytesMax,
      partitionMaxBytes: settings.partitionFetchBytesMax,
      maxWaitMs: settings.fetchWaitMs,
      bufferedBytesMax: settings.fetchBytesMax,
      log,
      onData: () => this.#wakeup.notify(),
    })
    this.#gates = ranges.map(() => SchemaGate.of(topic))
    this.#positions = ranges.map(({ from }) => from)
    this.#ends = ranges.map(({ to }) => to)
    for (const [partition, { from }] of ranges.entries()) this.#fetcher.add(topic.name, partition, from)
    this.#finished.promise.catch(() => {})
    this.#complete.promise.catch(() => {})
    void this.#run()
  }

  get finished(): Promise<void> {
    return this.#finished.promise
  }

  /** Resolves when what was there at the beginning is read. */
  get complete(): Promise<void> {
    return this.#complete.promise
  }

  get size(): number {
    return this.#open().size
  }

  get caughtUp(): boolean {
    if (this.#failure !== undefined || this.#closed) return false
    return this.#positions.every((position, partition) => {
      const { lastStableOffset = -1 } = this.#fetcher.progress(this.topic, partition) ?? {}
      return position >= Math.max(lastStableOffset, this.#ends[partition] as number)
    })
  }

  get(key: unknown): unknown {
    return this.#open().get(key)
  }

  has(key: unknown): boolean {
    return this.#open().has(key)
  }

  all(): IterableIterator<KeyValue<unknown, unknown>> {
    return this.#open().all()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wakeup.stop()
    await this.finished.catch(() => {})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @throws what ended it: an old answer must not look like one of now */
  #open(): ViewTable {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#closed)
      throw new MillstreamError('CLOSED', { what: 'the view is closed', where: { topic: this.topic } })
    return this.#table
  }

  async #run(): Promise<void> {
    try {
      while (!this.#closed) {
        // What waits for schemas keeps the rest away, too, so that nothing piles up here.
        if (this.#waiting.length === 0) this.#waiting = this.#fetcher.take()
        this.#apply()
        if (this.#positions.every((position, at) => position >= (this.#ends[at] as number)))
          this.#complete.resolve()
        if (this.#waiting.length > 0) await this.#given.ports.timers.sleep(schemaLookMs)
        else await this.#wakeup.wait(this.#given.settings.fetchWaitMs)
      }
    } catch (error) {
      this.#failure = asMillstreamError(error)
      this.#given.log.error('the view has ended', { topic: this.topic, cause: this.#failure.message })
    }
    for (const use of this.#uses) use.close()
    await this.#fetcher.close()
    await this.#cluster.close()
    this.#complete.reject(
      this.#failure ?? new MillstreamError('CLOSED', { what: 'the view was closed before it was complete' }),
    )
    if (this.#failure === undefined) this.#finished.resolve()
    else this.#finished.reject(this.#failure)
  }

  #apply(): void {
    for (;;) {
      const [fetched] = this.#waiting
      if (fetched === undefined) return
      const gate = this.#gates[fetched.partition]
      for (let batch = fetched.batches[0]; batch !== undefined; batch = fetched.batches[0]) {
        if (gate?.lets(batch) === false) return
        this.#table.apply(batch, fetched.partition, this.#positions[fetched.partition] as number)
        fetched.batches.shift()
      }
      this.#positions[fetched.partition] = fetched.nextOffset
      this.#waiting.shift()
    }
  }
}

/** What is read: the serdes of a topic, or of the store behind a changelog. @throws TOPOLOGY_INVALID */
const definitionOf = (
  source: TopicDefinition | StoreOfTopology<unknown, unknown>,
  applicationId: string,
): TopicDefinition => {
  if (!('topology' in source)) return source
  const { name } = source.store
  const stores = source.topology.graph.subtopologies.flatMap((subtopology) => subtopology.stores)
  const found = stores.find((store) => store.name === name)
  if (found === undefined || found.plainKey !== undefined || found.sides !== undefined)
    throw new MillstreamError('TOPOLOGY_INVALID', {
      what: `the topology ${source.topology.name} has no key-value store ${name}`,
      fix: 'Give the handle of a store that the topology keeps; stores of windows, versions, timers, joins and of entries that live for a time have no view.',
    })
  if (found.filling !== undefined)
    throw new MillstreamError('TOPOLOGY_INVALID', {
      what: `the store ${name} of the topology ${source.topology.name} is read-only: it has no changelog of its own`,
      fix: `Open a view of the topic that fills it, ${found.filling.source.topic.name}.`,
    })
  const { key, value, plainValue } = found
  const whole =
    plainValue === undefined ? value : { ...withoutTimestamp(plainValue), remote: plainValue.remote }
  return { name: changelogTopicName(applicationId, name), key, value: whole as TopicDefinition['value'] }
}

const prepared = async ({ key, value }: TopicDefinition, given: Given): Promise<RemoteUse[]> => {
  const { ports, log, settings } = given
  const uses: RemoteUse[] = []
  for (const [serde, purpose] of [
    // Keys are encoded to be looked up.
    [key, 'write'],
    [value, 'read'],
  ] as const) {
    if (serde.remote === undefined) continue
    const use = serde.remote.source.open({ ports, log, applicationId: settings.applicationId })
    uses.push(use)
    await serde.remote.prepare(use, purpose).catch((error: unknown) => {
      for (const one of uses) one.close()
      throw error
    })
  }
  return uses
}

const rangesOf = async (
  topic: string,
  cluster: Cluster,
  { ports, settings }: Given,
): Promise<{ from: number; to: number }[]> => {
  const [description] = await describeTopics(cluster, [topic])
  if (description === undefined || !description.exists)
    throw new MillstreamError('TOPIC_MISSING', { what: 'the topic does not exist', where: { topic } })
  const partitions: TopicPartition[] = Array.from({ length: description.partitions }, (_, partition) => ({
    topic,
    partition,
  }))
  const deadline = ports.clock.monotonic() + 2 * settings.requestTimeoutMs
  const list = async (position: 'earliest' | 'latest'): Promise<Map<string, number>> => {
    const found = await listOffsets(cluster, ports, partitions, position, 'read_committed', deadline)
    return new Map(found.map((one) => [partitionId(one.topic, one.partition), one.offset]))
  }
  const [first, last] = [await list('earliest'), await list('latest')]
  return partitions.map(({ partition }) => ({
    from: first.get(partitionId(topic, partition)) ?? 0,
    to: last.get(partitionId(topic, partition)) ?? 0,
  }))
}

/**
 * Opens a view of a topic, or of a store of a running application: `openView({ topology, store }, settings)`. Resolves when
 * everything is read that was committed by then.
 * @param settings brokers and what else is not the default; the application id is that of the topology
 * @throws MillstreamError SETTING_INVALID, BROKER_UNREACHABLE, TOPIC_MISSING, TOPOLOGY_INVALID, …
 */
export const openView = async <K, V, KW, VW>(
  source: TopicHandle<K, V, KW, VW> | StoreOfTopology<K, V, KW, VW>,
  settings: SettingsInput,
  options: ViewOptions = {},
): Promise<View<K, V, KW>> => {
  const resolved = resolveSettings({ given: settings }, 'topology' in source ? source.topology.name : 'view')
  const given: Given = {
    settings: resolved,
    ports: options.ports ?? nodePorts,
    log: options.log ?? silentLogger,
  }
  const topic = definitionOf(source as unknown as TopicDefinition, resolved.applicationId)
  const cluster = await Cluster.connect(resolved, given.ports, given.log)
  let view: TopicView
  try {
    const ranges = await rangesOf(topic.name, cluster, given)
    view = new TopicView(given, cluster, await prepared(topic, given), topic, ranges)
  } catch (error) {
    await cluster.close()
    throw error
  }
  await view.complete
  return view as unknown as View<K, V, KW>
}
