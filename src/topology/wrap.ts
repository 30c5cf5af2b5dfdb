// Wraps every processor of a topology, for tracing and metrics. Done to the topology and not in the task: who wraps
// nothing pays nothing.
import { MillstreamError } from '../errors.ts'
import type { ProcessorInstance, ProcessorNode, Topology, TopologyNode } from './contracts.ts'
import { functionProblem } from './synchronous.ts'

/** What a wrapper is told of a processor, an operator or one of the user. */
export interface WrappedNode {
  /** As `describe` shows it: `count-totals`. */
  readonly name: string
  /** `filter`, `count`, `process`. */
  readonly operator: string
  /** Names of its stores. */
  readonly stores: readonly string[]
}

/**
 * Called once per processor and task, before init: answers the processor, or one that does something around it. `init` and
 * `close` that are absent are those of the wrapped one. What `process` calls includes all that follows from the record,
 * since what is forwarded is processed before `forward` returns.
 * The record is to be passed on as it is: between tables it carries more than its value.
 */
export type WrapProcessor = (node: WrappedNode, processor: ProcessorInstance) => ProcessorInstance

const refused = (name: string, problem: string): MillstreamError =>
  new MillstreamError('TOPOLOGY_INVALID', {
    what: `wrapProcessor did not answer a processor: ${problem}`,
    where: { processor: name },
    fix: 'Answer the processor that it was given, or an object whose process calls its process.',
  })

const wrapOne = (
  { name, operator, stores }: ProcessorNode,
  inner: ProcessorInstance,
  wrap: WrapProcessor,
): ProcessorInstance => {
  const outer = wrap({ name, operator, stores }, inner) as ProcessorInstance | undefined
  if (outer === inner) return inner
  const problem = functionProblem(outer?.process, 'its process')
  if (outer === undefined || problem !== undefined) throw refused(name, problem ?? 'nothing')
  return {
    init: (context) => (outer.init === undefined ? inner.init?.(context) : outer.init(context)),
    process: (record) => outer.process(record),
    close: () => (outer.close === undefined ? inner.close?.() : outer.close()),
  }
}

const wrapNode = (node: TopologyNode, wrap: WrapProcessor): TopologyNode =>
  node.kind === 'processor'
    ? Object.freeze({ ...node, create: () => wrapOne(node, node.create(), wrap) })
    : node

/**
 * The topology with every processor wrapped; as it is, where there is no wrapper.
 * @throws TOPOLOGY_INVALID where the wrapper is no function, or an async one
 */
export const wrapProcessors = (topology: Topology, wrap: WrapProcessor | undefined): Topology => {
  if (wrap === undefined) return topology
  const problem = functionProblem(wrap, 'wrapProcessor')
  if (problem !== undefined) throw new MillstreamError('TOPOLOGY_INVALID', { what: problem })
  const { graph } = topology
  const subtopologies = graph.subtopologies.map((part) =>
    Object.freeze({ ...part, nodes: Object.freeze(part.nodes.map((node) => wrapNode(node, wrap))) }),
  )
  return Object.freeze({ ...topology, graph: Object.freeze({ ...graph, subtopologies }) })
}
