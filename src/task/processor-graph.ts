// The processors of one task, wired: each node with its instance, its context and its children.
import { invariant } from '../base/assert.ts'
import { MillstreamError } from '../errors.ts'
import type { Serde } from '../serde/serde.ts'
import type { TimerTable } from '../state/timer-table.ts'
import type {
  AsyncWork,
  Cancellable,
  PortionedWork,
  ProcessorContext,
  ProcessorInstance,
  ProcessorNode,
  PunctuationType,
  Punctuator,
  Partitioner,
  RecordMetadata,
  ScheduleOptions,
  SinkNode,
  SourceNode,
  Subtopology,
  TableStore,
  TimerCount,
} from '../topology/contracts.ts'
import type { HeldBack } from '../topology/held-back.ts'
import type { StreamRecord } from '../topology/stream-record.ts'
import { refusePromise } from '../topology/synchronous.ts'
import { aheadOf, type Turns } from './ahead.ts'
import type { OutputTopic, RecordCollector } from './record-collector.ts'
import { type GlobalStores, globalViewOf } from './store-access.ts'
import type { Receiver } from './taken-record.ts'

/** What the processors of a task see of it. */
export interface TaskView {
  readonly applicationId: string
  readonly id: string
  readonly partition: number
  /** A record or a punctuator is in hand: only then may a context be used. */
  readonly inHand: boolean
  readonly streamTime: number
  wallClockTime(): number
  recordMetadata(): RecordMetadata | undefined
  store(name: string): ReturnType<ProcessorContext['store']> | undefined
  tableStore(name: string): TableStore | undefined
  windowTable(name: string): ReturnType<ProcessorContext['windowTable']> | undefined
  timerTable(name: string): TimerTable | undefined
  inPortions(work: PortionedWork): () => void
  heldBack(store: string): HeldBack
  alarm(type: PunctuationType, ring: () => void): (dueMs: number) => void
  countLate(): void
  countTimer(what: TimerCount): void
  schedule(
    intervalMs: number,
    type: PunctuationType,
    punctuator: Punctuator,
    options?: ScheduleOptions,
  ): Cancellable
}

class Sink implements Receiver {
  protected readonly collector: RecordCollector
  readonly #outputs: ReadonlyMap<unknown, OutputTopic>
  readonly #only: OutputTopic | undefined
  readonly #node: SinkNode
  protected readonly spare: number

  constructor(
    node: SinkNode,
    task: TaskView,
    collector: RecordCollector,
    outputOf: (node: SinkNode, name: string) => OutputTopic,
  ) {
    this.#node = node
    this.collector = collector
    this.#outputs = new Map(node.topics.map((topic) => [topic.name, outputOf(node, topic.name)]))
    this.#only = node.choose === undefined ? this.#outputs.values().next().value : undefined
    this.spare = task.partition
  }

  process(record: StreamRecord<unknown, unknown>): void {
    this.collector.collect(this.outputOf(record), record, this.spare)
  }

  protected outputOf(record: StreamRecord<unknown, unknown>): OutputTopic {
    return this.#only ?? this.#chosen(record)
  }

  #chosen(record: StreamRecord<unknown, unknown>): OutputTopic {
    const chosen = this.#node.choose?.(record)
    const output = this.#outputs.get(chosen?.name)
    if (output !== undefined) return output
    throw new MillstreamError('OUTPUT_NOT_DECLARED', {
      what: `a chooser picked the topic ${String(chosen?.name)}, which the sink does not declare`,
      where: { sink: this.#node.name, declared: this.#node.topics.map((topic) => topic.name).join(' ') },
      fix: 'Name the topic in the topics of `to`.',
    })
  }
}

/** A sink that looks at no record to know where it goes: to one topic, by its key. */
class TopicSink extends Sink {
  processValue(record: StreamRecord<unknown, unknown>, value: unknown): void {
    this.collector.collectValue(this.outputOf(record), record, value, this.spare)
  }
}

/** A sink whose records go where a function says. A class of its own, so that the others pay nothing for it. */
class PartitionedSink extends Sink {
  readonly #name: string
  readonly #partition: Partitioner

  constructor(
    partition: Partitioner,
    node: SinkNode,
    task: TaskView,
    collector: RecordCollector,
    outputOf: (node: SinkNode, name: string) => OutputTopic,
  ) {
    super(node, task, collector, outputOf)
    this.#name = node.name
    this.#partition = partition
  }

  override process(record: StreamRecord<unknown, unknown>): void {
    const output = this.outputOf(record)
    const chosen = this.#partition(record, output.partitions)
    if (typeof chosen === 'number') {
      this.#check(chosen, output)
      this.collector.collectTo(output, record, chosen)
      return
    }
    if (!Array.isArray(chosen)) {
      refusePromise(chosen)
      throw this.#refused(chosen, output)
    }
    for (const partition of chosen) this.#check(partition, output)
    // One that is named twice is meant once, as a set of partitions.
    for (const partition of new Set<number>(chosen)) this.collector.collectTo(output, record, partition)
  }

  #check(partition: unknown, output: OutputTopic): void {
    if (
      Number.isInteger(partition) &&
      (partition as number) >= 0 &&
      (partition as number) < output.partitions
    )
      return
    throw this.#refused(partition, output)
  }

  #refused(chosen: unknown, output: OutputTopic): MillstreamError {
    return new MillstreamError('PARTITION_INVALID', {
      what: `a partitioner chose ${typeof chosen === 'string' ? JSON.stringify(chosen) : String(chosen)}, but the topic has the partitions 0 to ${output.partitions - 1}`,
      where: { sink: this.#name, output: output.name },
      fix: 'Answer a number from 0 to partitions - 1, or a list of such numbers.',
    })
  }
}

class NodeContext implements ProcessorContext {
  readonly #node: ProcessorNode
  readonly #task: TaskView
  readonly #globals: GlobalStores
  readonly #turns: Turns | undefined
  children: readonly Receiver[] = []
  outputs: ReadonlyMap<string, Receiver> = new Map()

  constructor(node: ProcessorNode, task: TaskView, globals: GlobalStores, turns: Turns | undefined) {
    this.#node = node
    this.#task = task
    this.#globals = globals
    this.#turns = turns
  }

  get applicationId(): string {
    return this.#task.applicationId
  }

  get taskId(): string {
    return this.#task.id
  }

  get partition(): number {
    return this.#task.partition
  }

  forward(record: StreamRecord<unknown, unknown>, output?: string): void {
    if (!this.#task.inHand) throw this.#expired()
    if (output !== undefined) return this.#child(output).process(record)
    const { children } = this
    for (let index = 0; index < children.length; index++) (children[index] as Receiver).process(record)
  }

  forwardValue(record: StreamRecord<unknown, unknown>, value: unknown): void {
    // Who wraps a processor may have put a forward of its own into the context, or around it: it is to see every record.
    // One way out for all that is rare, which would take the room of what is common (decision 0035).
    if (this.forward !== ownForward || !this.#task.inHand) return this.forward(record.withValue(value))
    const { children } = this
    for (let index = 0; index < children.length; index++) {
      const child = children[index] as Receiver
      if (child.processValue === undefined) child.process(record.withValue(value))
      else child.processValue(record, value)
    }
  }

  #child(output: string): Receiver {
    const child = this.outputs.get(output)
    if (child !== undefined) return child
    throw new MillstreamError('OUTPUT_NOT_DECLARED', {
      what: `the processor forwarded to the output ${output}, which it did not declare`,
      where: { processor: this.#node.name, declared: [...this.outputs.keys()].join(' ') },
      fix: 'Name the output in the outputs of the processor.',
    })
  }

  store(name: string): ReturnType<ProcessorContext['store']> {
    const global = this.#global(name)
    if (global !== undefined) return globalViewOf(global)
    return (this.#node.stores.includes(name) && this.#task.store(name)) || this.#refuse(name)
  }

  tableStore(name: string): TableStore {
    const global = this.#global(name)
    if (global !== undefined) return global.store as TableStore
    return (this.#node.stores.includes(name) && this.#task.tableStore(name)) || this.#refuse(name)
  }

  #global(name: string): ReturnType<GlobalStores['get']> {
    return this.#node.globals?.includes(name) ? this.#globals.get(name) : undefined
  }

  windowTable(name: string): ReturnType<ProcessorContext['windowTable']> {
    return (this.#node.stores.includes(name) && this.#task.windowTable(name)) || this.#refuse(name)
  }

  timerTable(name: string): TimerTable {
    return (this.#node.stores.includes(name) && this.#task.timerTable(name)) || this.#refuse(name)
  }

  inPortions(work: PortionedWork): () => void {
    return this.#task.inPortions(work)
  }

  heldBack(store: string): HeldBack {
    return this.#task.heldBack(store)
  }

  alarm(type: PunctuationType, ring: () => void): (dueMs: number) => void {
    return this.#task.alarm(type, ring)
  }

  countLate(): void {
    this.#task.countLate()
  }

  countTimer(what: TimerCount): void {
    this.#task.countTimer(what)
  }

  awaitCall(work: AsyncWork, record: StreamRecord<unknown, unknown>): void {
    invariant(this.#turns !== undefined, 'a processor that calls is asynchronous', {
      processor: this.#node.name,
    })
    this.#turns.awaitCall(work, record)
  }

  #refuse(name: string): never {
    throw new MillstreamError('STORE_NOT_DECLARED', {
      what: `the processor asked for the store ${name}, which it did not declare`,
      where: {
        processor: this.#node.name,
        declared: [...this.#node.stores, ...(this.#node.globals ?? [])].join(' '),
      },
      fix: 'Name the store in the stores of the processor.',
    })
  }

  schedule(
    intervalMs: number,
    type: PunctuationType,
    punctuator: Punctuator,
    options?: ScheduleOptions,
  ): Cancellable {
    return this.#task.schedule(intervalMs, type, punctuator, options)
  }

  recordMetadata(): RecordMetadata | undefined {
    return this.#task.recordMetadata()
  }

  streamTime(): number {
    return this.#task.streamTime
  }

  wallClockTime(): number {
    return this.#task.wallClockTime()
  }

  #expired(): MillstreamError {
    return new MillstreamError('CONTEXT_EXPIRED', {
      what: 'forward was called when no record was in hand',
      where: { processor: this.#node.name, task: this.#task.id },
      fix: 'Forward inside process or a punctuator, before it returns; asynchronous work does not belong into them.',
    })
  }
}

const ownForward = NodeContext.prototype.forward

const sinkOf = (
  node: SinkNode,
  task: TaskView,
  collector: RecordCollector,
  outputOf: (node: SinkNode, name: string) => OutputTopic,
): Sink => {
  if (node.partition !== undefined)
    return new PartitionedSink(node.partition, node, task, collector, outputOf)
  return new (node.choose === undefined ? TopicSink : Sink)(node, task, collector, outputOf)
}

const copies = (serde: Serde<unknown>): boolean => serde.copies === true || serde.primitive === true

export class ProcessorGraph {
  /** Nothing looks at the bytes of a record any more when it was processed, by all that is known of what is in here. */
  readonly keepsNoRecord: boolean
  readonly #instances: {
    readonly node: ProcessorNode
    readonly instance: ProcessorInstance
    readonly context: NodeContext
  }[] = []
  readonly #roots = new Map<SourceNode, readonly Receiver[]>()
  #source: SourceNode | undefined
  #children: readonly Receiver[] = []

  constructor(
    subtopology: Subtopology,
    task: TaskView,
    collector: RecordCollector,
    outputOf: (node: SinkNode, name: string) => OutputTopic,
    globals: GlobalStores = new Map(),
    turns?: Turns,
  ) {
    const receivers = new Map<string, Receiver>()
    for (const node of subtopology.nodes) {
      if (node.kind === 'sink') receivers.set(node.name, sinkOf(node, task, collector, outputOf))
      if (node.kind !== 'processor') continue
      const instance = node.create()
      this.#instances.push({ node, instance, context: new NodeContext(node, task, globals, turns) })
      receivers.set(node.name, instance)
    }
    const ahead = turns && aheadOf(subtopology.nodes)
    const plain = (name: string): Receiver => receivers.get(name) as Receiver
    const deferring = (name: string): Receiver =>
      ahead?.has(name) ? plain(name) : (turns as Turns).deferring(plain(name))
    for (const { node, context } of this.#instances) {
      const resolve = ahead?.has(node.name) ? deferring : plain
      context.children = (node.unnamed ?? node.children).map(resolve)
      context.outputs = new Map(
        Object.entries(node.outputs ?? {}).map(([output, child]) => [output, resolve(child)]),
      )
    }
    for (const node of subtopology.nodes)
      if (node.kind === 'source')
        this.#roots.set(node, node.children.map(turns === undefined ? plain : deferring))
    this.keepsNoRecord =
      turns === undefined &&
      this.#instances.every(({ instance }) => instance.keepsNoRecord === true) &&
      [...this.#roots.keys()].every(({ topic }) => copies(topic.key) && copies(topic.value))
  }

  init(): void {
    for (const { instance, context } of this.#instances) instance.init?.(context)
  }

  process(source: SourceNode, record: StreamRecord<unknown, unknown>): void {
    if (source !== this.#source) {
      this.#source = source
      this.#children = this.#roots.get(source) as readonly Receiver[]
    }
    const children = this.#children
    for (let index = 0; index < children.length; index++) (children[index] as Receiver).process(record)
  }

  /** Closes every processor, also when one throws. @returns the first error. */
  close(): unknown {
    let first: unknown
    for (const { instance } of this.#instances) {
      try {
        instance.close?.()
      } catch (error) {
        first ??= error
      }
    }
    return first
  }
}
