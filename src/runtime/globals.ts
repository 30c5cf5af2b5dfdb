// The global tables of a worker: opened and loaded before it joins its group, so that no task runs without them, and kept
// up to date in the background, with a fetcher of their own and no group. Each is read whole by every worker.
//
// They are loaded up to the last stable offset of the moment, read_committed: what may still be aborted never enters
// them, and an open transaction keeps no worker from starting. What comes later is no part of the tasks' transactions: a
// record that is processed again after an abort may meet a newer row.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import type { Cluster } from '../client/cluster.ts'
import { Fetcher, type FetchedPartition } from '../client/fetcher.ts'
import { listOffsets } from '../client/offsets.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { asMillstreamError, ensureError, MillstreamError } from '../errors.ts'
import type { StoreIdentity } from '../state/contracts.ts'
import { openStoreEngine } from '../state/open-store-engine.ts'
import { decideRestore, storeFormatVersion } from '../state/restore-decision.ts'
import type { StateDirectory } from '../state/state-directory.ts'
import type { StoreMemory } from '../state/store-memory.ts'
import { TransactionalStore } from '../state/transactional-store.ts'
import { schemaLookMs } from '../task/failures.ts'
import { GlobalStore } from '../task/global-store.ts'
import type { GlobalTableDefinition } from '../topology/contracts.ts'
import { RestoreMeter, type RestoreObserver } from './restore-progress.ts'
import type { TopicCatalog } from './topic-catalog.ts'
import { Wakeup } from './wakeup.ts'
import { restoreInterrupted } from './worker-errors.ts'

/** Where their stores lie in the state directory, beside those of the tasks. */
const directoryName = 'global'
/** Between two turns of the worker's loop. */
const recordsAtOnce = 1000
/** Milliseconds between two lines of progress. */
const progressMs = 2000
const idleWaitMs = 5000
/** How often a table without news is marked as caught up. */
const refreshIntervalMs = 60_000

export interface GlobalsOptions {
  readonly tables: readonly GlobalTableDefinition[]
  readonly cluster: Cluster
  readonly ports: Ports
  readonly settings: WorkerSettings
  readonly catalog: Pick<TopicCatalog, 'partitionsOf' | 'topicId' | 'deleteRetentionMs'>
  readonly directory: StateDirectory
  readonly memory: StoreMemory
  readonly log: Logger
  readonly observer: RestoreObserver
  /** A worker that closes does not wait until they are loaded. */
  readonly interrupted: () => boolean
  /** Called when there is a failure. */
  readonly notify: () => void
}

export interface GlobalTableStatus {
  readonly store: string
  readonly topic: string
  /** Records that were taken in since the start, and those that were left out. */
  readonly records: number
  readonly skipped: number
  /** Offsets from its positions to the high watermarks as of the last answers; undefined before these. */
  readonly lag: number | undefined
}

interface Opened {
  readonly table: GlobalStore
  readonly identity: StoreIdentity
  readonly directory: string
  /** Its file cannot be read: it is removed, and loaded anew by the next start. */
  damaged: boolean
}

type Offsets = ReadonlyMap<string, number>

export class Globals {
  readonly #options: GlobalsOptions
  readonly #wakeup: Wakeup
  readonly #fetcher: Fetcher
  readonly #opened: Opened[] = []
  /** Tables that wait for schemas: nothing more is fetched for them. */
  readonly #heldBack = new Set<GlobalStore>()
  #failure: MillstreamError | undefined
  #refreshedAtMs = 0
  #closed = false

  private constructor(options: GlobalsOptions) {
    const { cluster, ports, settings, log } = options
    this.#options = options
    this.#wakeup = new Wakeup(ports)
    this.#fetcher = new Fetcher(cluster, ports, {
      role: 'global',
      isolation: 'read_committed',
      maxBytes: settings.fetchBytesMax,
      partitionMaxBytes: settings.partitionFetchBytesMax,
      maxWaitMs: settings.fetchWaitMs,
      bufferedBytesMax: settings.fetchBytesMax,
      log,
      onData: () => this.#wakeup.notify(),
    })
  }

  /**
   * Opens the tables and loads them; from then on they are kept up to date.
   * @throws MillstreamError RESTORE_INTERRUPTED; whatever a broker, the disk or a record refuses. Nothing stays open then
   */
  static async open(options: GlobalsOptions): Promise<Globals> {
    const globals = new Globals(options)
    if (options.tables.length === 0) return globals
    try {
      for (const table of options.tables) globals.#opened.push(globals.#open(table))
      await globals.#load(await globals.#begin())
    } catch (error) {
      await globals.close({ flush: true })
      throw error
    }
    void globals.#follow()
    return globals
  }

  /** By name. */
  get stores(): ReadonlyMap<string, GlobalStore> {
    return new Map(this.#opened.map(({ table }) => [table.definition.name, table]))
  }

  get status(): readonly GlobalTableStatus[] {
    return this.#opened.map(({ table }) => ({
      store: table.definition.name,
      topic: table.topic,
      ...table.counts,
      lag: this.#lagOf(table),
    }))
  }

  /** Why they are not kept up to date any more: the worker is to stop. */
  get failure(): MillstreamError | undefined {
    return this.#failure
  }

  /** A store cannot be read. @throws STORE_FAILED where it is a global one: the worker cannot go on without it */
  discard(error: MillstreamError): void {
    const found = this.#opened.find(({ directory }) => directory === error.where['directory'])
    if (found === undefined) return
    found.damaged = true
    throw new MillstreamError('STORE_FAILED', {
      what: `a global store cannot be read: ${error.message}`,
      where: { store: found.table.definition.name, directory: found.directory },
      fix: 'Start the worker again: the store is removed, and loaded from its topic.',
      cause: error,
    })
  }

  async close({ flush }: { readonly flush: boolean }): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#wakeup.stop()
    const { log, ports } = this.#options
    for (const { table, damaged, directory } of this.#opened) {
      try {
        table.store.close({ flush: flush && !damaged })
        if (damaged) ports.disk.remove(directory)
      } catch (error) {
        log.warn('a global store failed to close', {
          store: table.definition.name,
          cause: ensureError(error).message,
        })
      }
    }
    await this.#fetcher.close()
  }

  // -- loading

  #open(table: GlobalTableDefinition): Opened {
    const { ports, cluster, settings, catalog, memory, log } = this.#options
    const { name, key, value, engine: kind } = table.store
    const topic = table.source.topic.name
    const through = table.update === undefined ? '' : ' through a function'
    const directory = this.#options.directory.storeDirectory(directoryName, name)
    const identity: StoreIdentity = {
      formatVersion: storeFormatVersion,
      applicationId: settings.applicationId,
      clusterId: cluster.clusterId,
      store: name,
      // What was written by other serdes, or in another way, is loaded anew.
      changelogTopic: `${topic} as (${key.name}, ${value.name})${through}`,
      changelogTopicId: catalog.topicId(topic),
      // Of all partitions.
      partition: -1,
      guarantee: settings.guarantee,
    }
    const { engine, rebuilt } = openStoreEngine({ disk: ports.disk, kind, directory, identity })
    if (rebuilt !== undefined) this.#sayLoadedAnew(name, rebuilt)
    const store = new TransactionalStore<unknown, unknown>({
      name,
      key,
      value,
      engine,
      memory,
      clock: ports.clock,
    })
    const policy = { action: settings.onFailure, afterRetries: settings.afterRetries }
    const opened = new GlobalStore({ table, store, policy, clock: ports.clock, log })
    return { table: opened, identity, directory, damaged: false }
  }

  /** Decides where each table begins. @returns where it is loaded to, by `partitionId` */
  async #begin(): Promise<Offsets> {
    const partitions = this.#opened.flatMap(({ table: { topic } }) => this.#partitionsOf(topic))
    const starts = await this.#offsets(partitions, 'earliest', 'read_uncommitted')
    const ends = await this.#offsets(partitions, 'latest', 'read_uncommitted')
    const stable = await this.#offsets(partitions, 'latest', 'read_committed')
    for (const opened of this.#opened) {
      const { table } = opened
      const positions = this.#startOf(opened, starts, ends)
      table.begin(positions)
      for (const [partition, position] of positions.entries())
        this.#fetcher.add(table.topic, partition, position)
    }
    return stable
  }

  /** Behind what the store holds, or at the beginning where that may not be continued. */
  #startOf({ table, identity }: Opened, starts: Offsets, ends: Offsets): number[] {
    const { ports, catalog } = this.#options
    const { store, topic } = table
    const known = store.checkpoint()
    const places = this.#partitionsOf(topic).map((place) => partitionId(place.topic, place.partition))
    const decisions = places.map((id, partition) => {
      const changelogOffset = known?.positions?.[partition]
      return decideRestore({
        expected: identity,
        stored: identity,
        checkpoint:
          known === undefined || changelogOffset === undefined ? undefined : { ...known, changelogOffset },
        logStartOffset: starts.get(id) as number,
        highWatermark: ends.get(id) as number,
        nowMs: ports.clock.now(),
        deleteRetentionMs: catalog.deleteRetentionMs(topic),
      })
    })
    const rebuilt = decisions.find((decision) => decision.action === 'rebuild')
    if (rebuilt === undefined)
      return decisions.map((decision) => (decision as { readonly from: number }).from)
    this.#sayLoadedAnew(store.name, (rebuilt as { readonly reason: string }).reason)
    store.reset(identity)
    return places.map((id) => starts.get(id) as number)
  }

  async #load(targets: Offsets): Promise<void> {
    const { ports, settings, observer, log } = this.#options
    const left = new Map(
      this.#opened.map(({ table }) => [table.definition.name, this.#leftOf(table, targets)]),
    )
    const meter = new RestoreMeter(ports.clock, new Map([...left].filter(([, offsets]) => offsets > 0)))
    const started = ports.clock.monotonic()
    let reportedMs = started
    const isLoaded = (): boolean => this.#opened.every(({ table }) => this.#leftOf(table, targets) === 0)
    observer.restoreBegan(meter)
    try {
      while (!isLoaded()) {
        if (this.#options.interrupted()) throw restoreInterrupted()
        for (const { table, fetched } of this.#due()) {
          const before = table.counts.records
          await this.#takeIn(table, fetched)
          const records = table.counts.records - before
          meter.advanced(table.definition.name, this.#leftOf(table, targets), records, fetched?.bytes ?? 0)
          observer.turned()
        }
        if (ports.clock.monotonic() - reportedMs >= progressMs) {
          reportedMs = ports.clock.monotonic()
          meter.sample()
          log.info('loading global tables', { ...meter.progress })
          observer.restoreReported()
        }
        if (!isLoaded()) await this.#wait(settings.fetchWaitMs)
      }
    } finally {
      observer.restoreEnded(meter)
    }
    for (const { table } of this.#opened) table.store.flush()
    const { records, bytes } = meter
    const durationMs = Math.round(ports.clock.monotonic() - started)
    log.info('global tables loaded', { tables: this.#opened.length, records, bytes, durationMs })
  }

  /** Offsets that it lacks of these. */
  #leftOf({ topic, positions }: GlobalStore, targets: Offsets): number {
    return positions.reduce((sum, position, partition) => {
      const target = targets.get(partitionId(topic, partition)) ?? 0
      return sum + Math.max(0, target - position)
    }, 0)
  }

  // -- following

  /** Never rejects: the worker asks for the failure. */
  async #follow(): Promise<void> {
    while (!this.#closed) {
      try {
        for (const { table, fetched } of this.#due()) await this.#takeIn(table, fetched)
        this.#refresh()
      } catch (error) {
        if (!this.#closed) this.#fail(asMillstreamError(error))
        return
      }
      await this.#wait(idleWaitMs)
    }
  }

  #fail(error: MillstreamError): void {
    this.#failure = error
    try {
      if (error.code === 'STORE_CORRUPT') this.discard(error)
    } catch (thrown) {
      this.#failure = asMillstreamError(thrown)
    }
    this.#options.notify()
  }

  /** Tables that waited for schemas, and those of which something has come. */
  #due(): { readonly table: GlobalStore; readonly fetched?: FetchedPartition }[] {
    const arrived = this.#fetcher.take().flatMap((fetched) => {
      const tables = this.#opened.filter(({ table }) => table.topic === fetched.topic)
      return tables.map(({ table }) => ({ table, fetched }))
    })
    return [...[...this.#heldBack].map((table) => ({ table })), ...arrived]
  }

  /** @param delayMs at most, where no table waits for schemas */
  async #wait(delayMs: number): Promise<void> {
    await this.#wakeup.wait(this.#heldBack.size > 0 ? schemaLookMs : delayMs)
  }

  /** The tasks get their turns in between. */
  async #takeIn(table: GlobalStore, fetched: FetchedPartition | undefined): Promise<void> {
    if (this.#closed) return
    if (fetched !== undefined) table.add(fetched.partition, fetched)
    while (table.update(recordsAtOnce) === recordsAtOnce) {
      await this.#options.ports.timers.yield()
      if (this.#closed) return
    }
    this.#holdBack(table)
    if (this.#lagOf(table) === 0) table.commit(this.#options.ports.clock.now())
  }

  /** Nothing piles up in front of a table that waits for schemas. */
  #holdBack(table: GlobalStore): void {
    const { isHeldBack, topic } = table
    if (isHeldBack === this.#heldBack.has(table)) return
    if (isHeldBack) this.#heldBack.add(table)
    else this.#heldBack.delete(table)
    for (const partition of table.positions.keys())
      this.#fetcher[isHeldBack ? 'pause' : 'resume'](topic, partition)
  }

  /** A table without news is as good as its topic, too. */
  #refresh(): void {
    const now = this.#options.ports.clock.now()
    if (this.#closed || Math.abs(now - this.#refreshedAtMs) < refreshIntervalMs) return
    this.#refreshedAtMs = now
    for (const { table } of this.#opened) {
      if (this.#lagOf(table) !== 0) continue
      const answers = table.positions.map(
        (_, partition) => this.#fetcher.progress(table.topic, partition)?.answeredAtMs ?? 0,
      )
      table.commit(Math.max(table.store.checkpoint()?.caughtUpAtMs ?? 0, Math.min(...answers)))
    }
  }

  #lagOf({ topic, positions }: GlobalStore): number | undefined {
    let lag = 0
    for (const [partition, position] of positions.entries()) {
      const { highWatermark = -1 } = this.#fetcher.progress(topic, partition) ?? {}
      if (highWatermark < 0) return undefined
      lag += Math.max(0, highWatermark - position)
    }
    return lag
  }

  #partitionsOf(topic: string): TopicPartition[] {
    const count = this.#options.catalog.partitionsOf(topic)
    return Array.from({ length: count }, (_, partition) => ({ topic, partition }))
  }

  async #offsets(
    partitions: readonly TopicPartition[],
    from: 'earliest' | 'latest',
    isolation: 'read_committed' | 'read_uncommitted',
  ): Promise<Offsets> {
    const { cluster, ports, settings } = this.#options
    const deadline = ports.clock.monotonic() + 2 * settings.requestTimeoutMs
    const list = await listOffsets(cluster, ports, partitions, from, isolation, deadline)
    return new Map(list.map(({ topic, partition, offset }) => [partitionId(topic, partition), offset]))
  }

  #sayLoadedAnew(store: string, reason: string): void {
    this.#options.log.warn('a global table is loaded anew from its topic', { store, reason })
  }
}
