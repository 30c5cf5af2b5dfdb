// Runs the graph of a topology record by record in one thread and one partition: the meaning of the nodes, without
// queues, transactions or a broker. What passes a topic is encoded and decoded by its serdes.
import type {
  ProcessorContext,
  ProcessorInstance,
  ProcessorNode,
  SinkNode,
  SourceNode,
  StoreDefinition,
  TableStore,
  Topology,
  TopologyNode,
} from '../../../src/topology/contracts.ts'
import type { Serde } from '../../../src/serde/serde.ts'
import type { KeyValueStore } from '../../../src/state/contracts.ts'
import { PlainView, type Timestamped } from '../../../src/state/timestamped.ts'
import type { StreamRecord } from '../../../src/topology/stream-record.ts'
import { recordOver } from '../../support/record-over.ts'

type AnyRecord = StreamRecord<unknown, unknown>

export interface Written {
  readonly topic: string
  readonly key: unknown
  readonly value: unknown
  readonly timestamp: number
}

const encode = (serde: Serde<unknown>, value: unknown): Buffer | null =>
  serde.encodesNull?.(value) ? null : Buffer.from(serde.encode(value))

const decode = (serde: Serde<unknown>, bytes: Uint8Array): unknown => serde.decode(bytes)

/** A store over a map of encoded keys, with what the aggregations use. */
class MapStore {
  readonly name: string
  readonly definition: StoreDefinition
  readonly entries = new Map<string, Buffer>()

  constructor(definition: StoreDefinition) {
    this.name = definition.name
    this.definition = definition
  }

  #key(key: unknown): string {
    return Buffer.from(this.definition.key.encode(key)).toString('latin1')
  }

  get(key: unknown): unknown {
    const bytes = this.entries.get(this.#key(key))
    return bytes === undefined ? undefined : decode(this.definition.value, bytes)
  }

  has(key: unknown): boolean {
    return this.entries.has(this.#key(key))
  }

  put(key: unknown, value: unknown): void {
    const bytes = encode(this.definition.value, value)
    if (bytes === null) this.entries.delete(this.#key(key))
    else this.entries.set(this.#key(key), bytes)
  }

  delete(key: unknown): void {
    this.entries.delete(this.#key(key))
  }

  *range(): IterableIterator<{ key: unknown; value: unknown }> {
    for (const [key, bytes] of [...this.entries].sort(([left], [right]) => (left < right ? -1 : 1))) {
      yield {
        key: decode(this.definition.key, Buffer.from(key, 'latin1')),
        value: decode(this.definition.value, bytes),
      }
    }
  }

  all(): IterableIterator<{ key: unknown; value: unknown }> {
    return this.range()
  }

  getOf(record: AnyRecord): unknown {
    return this.get(record.key)
  }

  putOf(record: AnyRecord, value: unknown): void {
    this.put(record.key, value)
  }

  deleteOf(record: AnyRecord): void {
    this.delete(record.key)
  }
}

export class GraphRunner {
  readonly written: Written[] = []
  /** Keys of what passed repartition topics. */
  readonly repartitioned: unknown[] = []
  readonly stores = new Map<string, MapStore>()
  readonly contexts = new Map<string, ProcessorContext>()
  readonly #nodes = new Map<string, TopologyNode>()
  readonly #processors = new Map<string, ProcessorInstance>()
  readonly #queue: { source: SourceNode; record: AnyRecord }[] = []

  constructor(topology: Topology) {
    for (const { nodes, stores } of topology.graph.subtopologies) {
      for (const node of nodes) this.#nodes.set(node.name, node)
      for (const store of stores) this.stores.set(store.name, new MapStore(store))
    }
    for (const node of this.#nodes.values()) {
      if (node.kind !== 'processor') continue
      const instance = node.create()
      this.#processors.set(node.name, instance)
      const context = this.#context(node)
      this.contexts.set(node.name, context)
      instance.init?.(context)
    }
  }

  /** Sends a record to the source of a topic and runs until nothing is left. */
  send(topic: string, key: unknown, value: unknown, timestamp = 1): this {
    for (const node of this.#nodes.values()) {
      if (node.kind === 'source' && !node.repartition && node.topic.name === topic)
        this.#enqueue(node, key, value, timestamp)
    }
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      for (const child of next.source.children) this.#deliver(child, next.record)
    }
    return this
  }

  /** Key and value of what was written to a topic. */
  output(topic: string): (readonly [unknown, unknown])[] {
    return this.written
      .filter((record) => record.topic === topic)
      .map(({ key, value }) => [key, value] as const)
  }

  close(): void {
    for (const processor of this.#processors.values()) processor.close?.()
  }

  #enqueue(source: SourceNode, key: unknown, value: unknown, timestamp: number): void {
    const keyBytes = key === null ? null : encode(source.topic.key, key)
    const valueBytes = value === null ? null : encode(source.topic.value, value)
    const bytes = Buffer.concat([keyBytes ?? Buffer.alloc(0), valueBytes ?? Buffer.alloc(0)])
    const keyLength = keyBytes?.length ?? -1
    const record = recordOver(
      bytes,
      timestamp,
      0,
      keyLength,
      source.topic.key,
      Math.max(keyLength, 0),
      valueBytes?.length ?? -1,
      source.topic.value,
      0,
      0,
    )
    this.#queue.push({ source, record })
  }

  #deliver(name: string, record: AnyRecord): void {
    const node = this.#nodes.get(name)
    if (node?.kind === 'sink') this.#write(node, record)
    else this.#processors.get(name)?.process(record)
  }

  #write(sink: SinkNode, record: AnyRecord): void {
    const topic = sink.choose ? sink.choose(record) : sink.topics[0]
    if (topic === undefined) throw new Error(`${sink.name} has no topic`)
    if (!sink.repartition) {
      this.written.push({
        topic: topic.name,
        key: record.key,
        value: record.value,
        timestamp: record.timestamp,
      })
      return
    }
    this.repartitioned.push(record.key)
    for (const node of this.#nodes.values()) {
      if (node.kind === 'source' && node.repartition && node.topic === topic) {
        this.#enqueue(node, record.key, record.value, record.timestamp)
      }
    }
  }

  /** The values of a store without the timestamps of a table. */
  plain(name: string): KeyValueStore<unknown, unknown> {
    return this.#view(name) as unknown as KeyValueStore<unknown, unknown>
  }

  #view(name: string): unknown {
    const store = this.stores.get(name)
    const serde = store?.definition.plainValue
    return store === undefined || serde === undefined
      ? store
      : new PlainView(store as unknown as KeyValueStore<unknown, Timestamped<unknown>>, serde, () => 11)
  }

  #context(node: ProcessorNode): ProcessorContext {
    return {
      applicationId: 'test',
      taskId: '0_0',
      partition: 0,
      forward: (record, output) => {
        if (output === undefined) for (const child of node.children) this.#deliver(child, record as AnyRecord)
        else this.#deliver(node.outputs?.[output] as string, record as AnyRecord)
      },
      forwardValue: (record, value) => {
        for (const child of node.children) this.#deliver(child, record.withValue(value))
      },
      store: (name) => this.#view(name) as unknown as ReturnType<ProcessorContext['store']>,
      tableStore: (name) => this.stores.get(name) as unknown as TableStore,
      windowTable: () => {
        throw new Error('windows run in the test driver')
      },
      timerTable: () => {
        throw new Error('timers run in the test driver')
      },
      inPortions: () => () => undefined,
      heldBack: () => {
        throw new Error('what waits for a commit runs in the test driver')
      },
      alarm: () => () => undefined,
      countLate: () => undefined,
      countTimer: () => undefined,
      awaitCall: () => {
        throw new Error('asynchronous processors run in the test driver')
      },
      schedule: (_intervalMs, _type, punctuator) => {
        punctuator(42)
        return { cancel: () => undefined }
      },
      recordMetadata: () => ({ topic: 'in', partition: 0, offset: 7 }),
      streamTime: () => 11,
      wallClockTime: () => 12,
    }
  }
}
