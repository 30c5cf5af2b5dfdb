// Which topics a topology has in the test driver, with how many partitions, and what its sinks and stores write to:
// what the topic catalog answers a worker, without a broker.
import type { OutputTopic } from '../../task/record-collector.ts'
import { refuseUnequalTopics, TopicPatterns } from '../../runtime/topic-patterns.ts'
import type { SinkNode, SourceNode, StoreDefinition, TopologyGraph } from '../../topology/contracts.ts'
import {
  type PartitionPlan,
  planPartitions,
  repartitionTopicName,
  restoreTopicName,
  sinkTopicNames,
  sourceTopicName,
} from '../../topology/internal-topics.ts'
import { topicsMatching } from '../../topology/topic-pattern.ts'
import { misused } from './misused.ts'
import { TopicLog } from './topic-log.ts'

/** Kafka's default of max.message.bytes. */
const batchBytesMax = 1_048_588

export class DriverTopics {
  readonly plan: PartitionPlan
  readonly #patterns: TopicPatterns
  /** Topics of the user that the topology reads. */
  readonly inputs: ReadonlySet<string>
  readonly #applicationId: string
  readonly #logs = new Map<string, TopicLog>()

  /**
   * @param others topics that the topology does not name
   * @throws DRIVER_MISUSED where partitions are given for a topic that does not exist; TOPOLOGY_INVALID
   */
  constructor(
    graph: TopologyGraph,
    applicationId: string,
    partitions: number | Readonly<Record<string, number>>,
    others: readonly string[],
  ) {
    this.#applicationId = applicationId
    const nodes = graph.subtopologies.flatMap((subtopology) => subtopology.nodes)
    const ofUser = (node: (typeof nodes)[number]): string[] => {
      if (node.kind === 'processor' || node.repartition) return []
      if (node.kind === 'source' && node.topic.pattern !== undefined) return topicsMatching(node, others)
      return node.kind === 'source'
        ? [sourceTopicName(applicationId, node)]
        : sinkTopicNames(applicationId, node)
    }
    const globals = graph.globals.map(({ source }) => source.topic.name)
    const sources = nodes.flatMap((node) => (node.kind === 'source' ? ofUser(node) : []))
    this.inputs = new Set([...sources, ...globals])
    const names = new Set([...nodes.flatMap(ofUser), ...globals, ...others])
    const countOf = partitionCounts(names, partitions)
    this.#patterns = new TopicPatterns(graph, applicationId)
    this.#patterns.agree(Object.fromEntries(others.map((topic) => [topic, countOf(topic)])))
    const { agreed } = this.#patterns
    refuseUnequalTopics(graph, this.#patterns, agreed)
    this.plan = planPartitions(graph, applicationId, (topic) =>
      names.has(topic) ? countOf(topic) : this.#patterns.largest(topic, agreed),
    )
    for (const name of names) this.#logs.set(name, new TopicLog(name, countOf(name)))
    for (const [name, count] of this.plan.internalTopics) this.#logs.set(name, new TopicLog(name, count))
  }

  get names(): string[] {
    return [...this.#logs.keys()]
  }

  /** The topics that a source reads. */
  topicsOf(source: SourceNode): readonly string[] {
    return source.topic.pattern === undefined
      ? [sourceTopicName(this.#applicationId, source)]
      : this.#patterns.topicsOf(source, this.#patterns.agreed)
  }

  partitionsOf(topic: string): number {
    return this.#logs.get(topic)?.partitions.length ?? 0
  }

  /** @throws DRIVER_MISUSED */
  log(topic: string): TopicLog {
    const log = this.#logs.get(topic)
    if (log !== undefined) return log
    throw misused('the topology has no such topic', { topic, topics: this.names.join(' ') })
  }

  /** The topic behind a sink, by the name that the topology gives it. */
  output(node: SinkNode, name: string): OutputTopic {
    const topic = node.repartition ? repartitionTopicName(this.#applicationId, name) : name
    const definition = node.topics.find((one) => one.name === name) as SinkNode['topics'][number]
    return this.writable(topic, definition)
  }

  changelog(store: StoreDefinition): OutputTopic {
    return this.writable(restoreTopicName(this.#applicationId, store), store)
  }

  writable(name: string, { key, value }: Pick<OutputTopic, 'key' | 'value'>): OutputTopic {
    const keySuffixBytes = key.partitionSuffixBytes ?? 0
    return { name, partitions: this.partitionsOf(name), batchBytesMax, key, keySuffixBytes, value }
  }

  /** Ends the open transaction in every topic. */
  settle(state: 'committed' | 'aborted'): void {
    for (const log of this.#logs.values()) log.settle(state)
  }
}

const partitionCounts = (
  names: ReadonlySet<string>,
  given: number | Readonly<Record<string, number>>,
): ((topic: string) => number) => {
  const counts = typeof given === 'number' ? {} : given
  const fallback = typeof given === 'number' ? given : 1
  for (const [topic, count] of [...Object.entries(counts), ['', fallback] as const]) {
    if (topic !== '' && !names.has(topic))
      throw misused('partitions are given for a topic that is neither an input nor an output', {
        topic,
        topics: [...names].join(' '),
      })
    if (!Number.isInteger(count) || count < 1)
      throw misused(`${count} is no number of partitions`, topic === '' ? {} : { topic })
  }
  return (topic) => (Object.hasOwn(counts, topic) ? (counts[topic] as number) : fallback)
}
