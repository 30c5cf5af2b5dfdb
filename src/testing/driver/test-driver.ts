// `testDriver`: runs a topology inside a test. Tasks, stores, plans and serdes are those of production; instead of brokers
// and a worker's loop there are topics in memory and a run that ends.
import { nullable } from '../../serde/nullable.ts'
import { readOnlyView } from '../../task/store-access.ts'
import type { StoreDefinition, TopicDefinition, Topology } from '../../topology/contracts.ts'
import type { GlobalStoreHandle } from '../../topology/global-table.ts'
import type {
  HeadersStoreHandle,
  StoreHandle,
  TopicHandle,
  VersionedStoreHandle,
  WindowStoreHandle,
} from '../../topology/handles.ts'
import type {
  KeyValueStoreWithHeaders,
  ReadOnlyKeyValueStore,
  ReadOnlyWindowStore,
  VersionedStore,
} from '../../state/contracts.ts'
import { withoutTimestamp } from '../../state/timestamped.ts'
import type { Timer, TimerStoreHandle } from '../../topology/timers.ts'
import { changelogTopicName } from '../../topology/internal-topics.ts'
import type { ReadOnlyStoreHandle } from '../../topology/read-only-store.ts'
import { wrapProcessors } from '../../topology/wrap.ts'
import type {
  StoreViewOptions,
  TestDriver,
  TestDriverCounts,
  TestDriverOptions,
  TestInput,
  TestOutput,
  TestStore,
} from './contracts.ts'
import { DriverEngine } from './driver-engine.ts'
import { GlobalView } from './global-view.ts'
import { DriverInput, InputState } from './input.ts'
import { misused } from './misused.ts'
import { DriverOutput, OutputPlace } from './output.ts'
import { StoreView } from './store-view.ts'
import { VersionsView } from './versions-view.ts'
import { timersIn } from './timers-view.ts'
import { WindowsView } from './windows-view.ts'

class TopologyDriver implements TestDriver {
  readonly #topology: Topology
  readonly #engine: DriverEngine
  readonly #inputs = new Map<string, InputState>()
  readonly #places = new Map<string, OutputPlace>()

  constructor(topology: Topology, options: TestDriverOptions) {
    this.#topology = topology
    this.#engine = new DriverEngine(wrapProcessors(topology, options.wrapProcessor), options)
  }

  get topics(): readonly string[] {
    return this.#engine.topics.names
  }

  get counts(): TestDriverCounts {
    return this.#engine.counts
  }

  get wallClock(): number {
    return this.#engine.clock.now()
  }

  input<K, V, KW, VW>(topic: TopicHandle<K, V, KW, VW>): TestInput<KW, VW> {
    const { name } = topic
    const { inputs } = this.#open().topics
    if (!inputs.has(name))
      throw misused('the topology does not read the topic', { topic: name, inputs: [...inputs].join(' ') })
    let state = this.#inputs.get(name)
    if (state === undefined) {
      state = new InputState()
      this.#inputs.set(name, state)
    }
    return new DriverInput(this.#engine, topic as unknown as TopicDefinition, state) as TestInput<KW, VW>
  }

  output<K, V>(topic: TopicHandle<K, V, never, never>): TestOutput<K, V> {
    return this.#output<K, V>(topic.name, topic as unknown as TopicDefinition)
  }

  changelog<K, V>(store: StoreHandle<K, V, never, never>): TestOutput<K, V | null> {
    const { name, key, value, plainKey, plainValue } = this.#definition(store)
    if (plainKey !== undefined)
      throw misused('the changelog holds keys that the store lays out itself', { store: name })
    const topic = changelogTopicName(this.#engine.settings.applicationId, name)
    const read = plainValue === undefined ? value : withoutTimestamp(plainValue)
    return this.#output<K, V | null>(topic, { key, value: nullable(read) })
  }

  store<K, V, KW, VW>(
    store: HeadersStoreHandle<K, V, KW, VW>,
    options?: StoreViewOptions,
  ): KeyValueStoreWithHeaders<K, V, KW, VW>
  store<K, V, KW, VW>(store: StoreHandle<K, V, KW, VW>, options?: StoreViewOptions): TestStore<K, V, KW, VW>
  store<K, V, KW, VW>(
    store: WindowStoreHandle<K, V, KW, VW>,
    options?: StoreViewOptions,
  ): ReadOnlyWindowStore<K, V, KW>
  store<K, V, KW, VW>(store: GlobalStoreHandle<K, V, KW, VW>): ReadOnlyKeyValueStore<K, V, KW>
  store<K, V, KW, VW>(
    store: ReadOnlyStoreHandle<K, V, KW, VW>,
    options?: StoreViewOptions,
  ): ReadOnlyKeyValueStore<K, V, KW>
  store<K, V, KW, VW>(
    store: VersionedStoreHandle<K, V, KW, VW>,
    options?: StoreViewOptions,
  ): VersionedStore<K, V, KW, VW>
  store(store: StoreDefinition, { partition }: StoreViewOptions = {}): unknown {
    if (store.global === true) return new GlobalView(this.#engine, this.#definition(store).name)
    const definition = this.#definition(store)
    const { name, windowShape, versions, waiting } = definition
    if (waiting)
      throw misused('the store holds records that wait in a join: nobody else reads it', { store: name })
    if (windowShape !== undefined) return new WindowsView(this.#engine, name, partition)
    if (definition.filling !== undefined)
      return readOnlyView(new StoreView(this.#engine, definition, partition))
    return versions === undefined
      ? new StoreView(this.#engine, definition, partition)
      : new VersionsView(this.#engine, definition, partition)
  }

  timers<K>(store: TimerStoreHandle<K, never>): Timer<K>[] {
    return timersIn(this.#engine, this.#definition(store).name) as Timer<K>[]
  }

  streamTime(topic?: { readonly name: string }, partition = 0): number {
    const { tasks } = this.#open()
    if (topic === undefined) return Math.max(-1, ...tasks.all.map((task) => task.streamTime))
    const reader = tasks.all.find(({ group }) =>
      group.queues.some((queue) => queue.topic === topic.name && queue.partition === partition),
    )
    if (reader !== undefined) return reader.streamTime
    throw misused('no task reads this partition', { topic: topic.name, partition })
  }

  advanceWallClock(ms: number, options: { readonly jump?: boolean } = {}): void {
    this.#engine.advance(ms, options.jump === true)
  }

  begin(): void {
    this.#engine.begin()
  }

  commit(): void {
    this.#engine.commit()
  }

  abort(): void {
    this.#engine.abort()
  }

  run(): void {
    this.#engine.run()
  }

  async settled(): Promise<void> {
    await this.#engine.settled()
  }

  restart(options: { readonly keepState?: boolean } = {}): void {
    this.#engine.restart(options.keepState === true)
  }

  close(): void {
    this.#engine.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #open(): DriverEngine {
    this.#engine.assertOpen()
    return this.#engine
  }

  #output<K, V>(name: string, serdes: Pick<TopicDefinition, 'key' | 'value'>): TestOutput<K, V> {
    const log = this.#open().topics.log(name)
    let place = this.#places.get(name)
    if (place === undefined) {
      place = new OutputPlace(log)
      this.#places.set(name, place)
    }
    return new DriverOutput<K, V>(this.#engine, name, serdes, place)
  }

  /** The store as the topology has it. A handle of the same name with other serdes would read its bytes as something else. */
  #definition(handle: {
    readonly name: string
    readonly key: unknown
    readonly value: unknown
  }): StoreDefinition {
    this.#engine.assertOpen()
    const { subtopologies, globals } = this.#topology.graph
    const kept = subtopologies.flatMap((subtopology) => subtopology.stores)
    const stores = [...kept, ...globals.map(({ store }) => store)]
    const found = stores.find(({ name }) => name === handle.name)
    const where = { store: handle.name, stores: stores.map(({ name }) => name).join(' ') }
    if (found === undefined) throw misused('the topology has no such store', where)
    if ((found.plainKey ?? found.key) === handle.key && (found.plainValue ?? found.value) === handle.value)
      return found
    throw misused('the store of the topology has other serdes: use the handle that the topology uses', where)
  }
}

/**
 * Runs a topology inside a test: what is sent is processed and committed before the call returns. No broker, no port, no
 * timer. `using driver = testDriver(wordCount)` closes it at the end of the test.
 * @throws MillstreamError SETTING_INVALID; DRIVER_MISUSED; what the init of a processor threw
 */
export const testDriver = (topology: Topology, options: TestDriverOptions = {}): TestDriver =>
  new TopologyDriver(topology, options)
