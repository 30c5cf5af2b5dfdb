// Changes to a topology that a test needs and a module does not offer: other topic names, and processors that throw.
import type {
  PortionedWork,
  ProcessorContext,
  ProcessorInstance,
  ProcessorNode,
  Topology,
  TopologyNode,
} from '../../../src/topology/contracts.ts'
import { type Random, seededRandom } from '../../support/random.ts'
import { type Throwing, type ThrowPlace, throwsAt } from './faults.ts'

const withNodes = (
  topology: Topology,
  change: (node: TopologyNode, all: readonly TopologyNode[]) => TopologyNode,
): Topology => ({
  ...topology,
  graph: {
    ...topology.graph,
    subtopologies: topology.graph.subtopologies.map((one) => ({
      ...one,
      nodes: one.nodes.map((node) => change(node, one.nodes)),
    })),
  },
})

/** The name of a topic of the user in a test with this application id. */
export const renamed = (applicationId: string, topic: string): string => `${applicationId}-${topic}`

/** The topology with topics of the user that no other test has: `<application id>-<topic>`. */
export const withOwnTopics = (topology: Topology, applicationId: string): Topology =>
  withNodes(topology, (node) => {
    if (node.kind === 'processor' || node.repartition) return node
    const rename = <T extends { readonly name: string }>(topic: T): T => ({
      ...topic,
      name: renamed(applicationId, topic.name),
    })
    return node.kind === 'source'
      ? { ...node, topic: rename(node.topic) }
      : { ...node, topics: node.topics.map(rename) }
  })

class ThrowingProcessor implements ProcessorInstance {
  readonly #inner: ProcessorInstance
  readonly #throwing: Throwing
  readonly #random: Random
  #context: ProcessorContext | undefined
  #place: ThrowPlace | undefined

  constructor(inner: ProcessorInstance, throwing: Throwing, random: Random) {
    this.#inner = inner
    this.#throwing = throwing
    this.#random = random
  }

  init(context: ProcessorContext): void {
    this.#context = context
    const watched: ProcessorContext = Object.create(context, {
      applicationId: { get: () => context.applicationId },
      taskId: { get: () => context.taskId },
      partition: { get: () => context.partition },
      forward: {
        value: (record: never, output?: string) => {
          context.forward(record, output)
          this.#throwIf('between')
        },
      },
      store: { value: (name: string) => context.store(name) },
      tableStore: { value: (name: string) => context.tableStore(name) },
      windowTable: { value: (name: string) => context.windowTable(name) },
      inPortions: { value: (work: PortionedWork) => context.inPortions(work) },
      countLate: { value: () => context.countLate() },
      schedule: { value: context.schedule.bind(context) },
      recordMetadata: { value: () => context.recordMetadata() },
      streamTime: { value: () => context.streamTime() },
      wallClockTime: { value: () => context.wallClockTime() },
    })
    this.#inner.init?.(watched)
  }

  process(record: Parameters<ProcessorInstance['process']>[0]): void {
    this.#place = this.#choose()
    this.#throwIf('before')
    this.#inner.process(record)
    // A record without an output has no place between outputs.
    if (this.#place !== undefined) this.#throw()
  }

  close(): void {
    this.#inner.close?.()
  }

  #choose(): ThrowPlace | undefined {
    const { at, oneIn } = this.#throwing
    const places = ['before', 'between', 'after'] as const
    if (at === 'chance')
      return this.#random() * oneIn < 1 ? places[Math.floor(this.#random() * 3)] : undefined
    const metadata = this.#context?.recordMetadata()
    if (metadata === undefined) return undefined
    return throwsAt(this.#throwing, metadata.topic, metadata.partition, metadata.offset)
  }

  #throwIf(place: ThrowPlace): void {
    if (this.#place === place) this.#throw()
  }

  #throw(): never {
    const place = this.#place
    this.#place = undefined
    throw new Error(`planned by the test (${place})`)
  }
}

/** The topology with processors that throw: those that are the first to get a record of an input. */
export const withThrowing = (topology: Topology, throwing: Throwing): Topology => {
  const random = seededRandom(throwing.seed)
  return withNodes(topology, (node, all) => {
    const isFirst = all.some((one) => one.kind === 'source' && one.children.includes(node.name))
    if (node.kind !== 'processor' || !isFirst) return node
    const changed: ProcessorNode = {
      ...node,
      create: () => new ThrowingProcessor(node.create(), throwing, random),
    }
    return changed
  })
}
