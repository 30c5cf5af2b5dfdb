// The topics that a topology needs beside those of its user: their names, settings and numbers of partitions. Pure.
import { MillstreamError } from '../errors.ts'
import type {
  SinkNode,
  SourceNode,
  StoreDefinition,
  Subtopology,
  TopologyGraph,
  TopologyNode,
} from './contracts.ts'
import { nameProblem, topicNameLengthMax } from './names.ts'

/** `<application.id>-<name>-repartition` */
export const repartitionTopicName = (applicationId: string, name: string): string =>
  `${applicationId}-${name}-repartition`

/** `<application.id>-<store>-changelog` */
export const changelogTopicName = (applicationId: string, store: string): string =>
  `${applicationId}-${store}-changelog`

/** The topic in Kafka that a store is restored from: its changelog, or the topic of the user that fills it. */
export const restoreTopicName = (applicationId: string, { name, filling }: StoreDefinition): string =>
  filling === undefined ? changelogTopicName(applicationId, name) : filling.source.topic.name

/** The topic in Kafka that a source reads. */
export const sourceTopicName = (applicationId: string, node: SourceNode): string =>
  node.repartition ? repartitionTopicName(applicationId, node.topic.name) : node.topic.name

/** The topics in Kafka that a sink writes. */
export const sinkTopicNames = (applicationId: string, node: SinkNode): string[] =>
  node.topics.map((topic) =>
    node.repartition ? repartitionTopicName(applicationId, topic.name) : topic.name,
  )

// A repartition topic is a queue: nothing may expire by time, since a record that nobody read yet would be lost; what was
// read is purged with DeleteRecords, which frees whole segments, hence small ones (the sizes of Kafka Streams).
const repartitionSettings: Readonly<Record<string, string>> = Object.freeze({
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'segment.bytes': String(50 * 1024 * 1024),
})

const changelogSettings: Readonly<Record<string, string>> = Object.freeze({ 'cleanup.policy': 'compact' })

export interface InternalTopic {
  /** Name in Kafka. */
  readonly topic: string
  readonly kind: 'repartition' | 'changelog'
  /** The name that the user gave: of the repartition topic or the store. */
  readonly name: string
  /** The sub-topology that reads the repartition topic or owns the store. */
  readonly subtopology: number
  /** Topic settings: ours, overridden by those of the user. */
  readonly settings: Readonly<Record<string, string>>
}

/**
 * The internal topics of a topology under an application id, repartition topics first.
 * @throws TOPOLOGY_INVALID where a name is not possible or is that of a topic of the user.
 */
export const internalTopics = (graph: TopologyGraph, applicationId: string): readonly InternalTopic[] => {
  const topics: InternalTopic[] = []
  const settingsOf = new Map(graph.repartitions.map((definition) => [definition.name, definition.settings]))
  for (const { id, nodes } of graph.subtopologies) {
    for (const node of nodes) {
      if (node.kind !== 'source' || !node.repartition) continue
      const { name } = node.topic
      const settings = { ...repartitionSettings, ...settingsOf.get(name) }
      topics.push({
        topic: repartitionTopicName(applicationId, name),
        kind: 'repartition',
        name,
        subtopology: id,
        settings,
      })
    }
  }
  for (const { id, stores } of graph.subtopologies) {
    for (const store of stores) {
      if (store.filling !== undefined) continue
      const settings = { ...changelogSettings, ...store.changelogSettings }
      topics.push({
        topic: changelogTopicName(applicationId, store.name),
        kind: 'changelog',
        name: store.name,
        subtopology: id,
        settings,
      })
    }
  }
  refuseBadNames(graph, applicationId, topics)
  return topics
}

const refuseBadNames = (
  graph: TopologyGraph,
  applicationId: string,
  topics: readonly InternalTopic[],
): void => {
  const problems = [nameProblem('the application id', applicationId)].filter(
    (problem) => problem !== undefined,
  )
  const ofUser = new Set<string>()
  for (const { nodes } of graph.subtopologies) {
    for (const node of nodes) {
      if (node.kind === 'source' && !node.repartition) ofUser.add(node.topic.name)
      if (node.kind === 'sink' && !node.repartition) for (const topic of node.topics) ofUser.add(topic.name)
    }
  }
  for (const { source } of graph.globals) ofUser.add(source.topic.name)
  for (const { topic, kind, name } of topics) {
    if (ofUser.has(topic))
      problems.push(`topic ${topic} of the user has the name of the ${kind} topic of ${name}`)
    if (topic.length > topicNameLengthMax)
      problems.push(`the ${kind} topic ${topic} has a name longer than ${topicNameLengthMax} characters`)
  }
  if (problems.length === 0) return
  throw new MillstreamError('TOPOLOGY_INVALID', {
    what: problems.join('; '),
    where: { 'application id': applicationId },
  })
}

export interface PartitionPlan {
  /** Number of partitions, and so of tasks, by sub-topology. */
  readonly subtopologies: readonly number[]
  /** Number of partitions of each internal topic by its name in Kafka. */
  readonly internalTopics: ReadonlyMap<string, number>
}

/**
 * The numbers of partitions: of a sub-topology, as many as its largest input; of a repartition topic, as the user says, or
 * as many as the sub-topology that writes it; of a changelog, as many as its sub-topology. `partitionsOf` answers the
 * number of partitions of a topic of the user.
 * @throws TOPOLOGY_INVALID where a store is reached from inputs with different numbers of partitions: the same key would be in
 * two partitions of the store.
 */
export const planPartitions = (
  graph: TopologyGraph,
  applicationId: string,
  partitionsOf: (topic: string) => number,
): PartitionPlan => {
  const fixed = new Map<string, number>()
  const following = new Set<string>()
  for (const { name, partitions } of graph.repartitions) {
    if (partitions === 'as-reader') following.add(name)
    else if (partitions !== undefined) fixed.set(name, partitions)
  }
  const repartitions = new Map<string, number>()
  const counts: number[] = graph.subtopologies.map(() => 0)
  const countOfSource = (node: SourceNode): number =>
    node.repartition
      ? (repartitions.get(node.topic.name) ?? fixed.get(node.topic.name) ?? 0)
      : partitionsOf(node.topic.name)
  // Repeated until nothing grows: a repartition topic may be read by the sub-topology that writes it, or by one before it.
  // Counts only grow and are bounded by the largest input, so this ends.
  for (let grown = true; grown; ) {
    grown = false
    for (const { id, nodes } of graph.subtopologies) {
      const leads = (node: SourceNode): boolean => !node.repartition || !following.has(node.topic.name)
      const count = Math.max(
        ...nodes.map((node) => (node.kind === 'source' && leads(node) ? countOfSource(node) : 0)),
      )
      if (count > (counts[id] ?? 0)) {
        counts[id] = count
        grown = true
      }
      for (const node of nodes) {
        const name = planned(node, fixed, following)
        if (name === undefined || (repartitions.get(name) ?? 0) >= count) continue
        repartitions.set(name, count)
        grown = true
      }
    }
  }
  for (const subtopology of graph.subtopologies) refuseUnequalInputs(subtopology, countOfSource)
  const internal = new Map<string, number>()
  for (const { topic, kind, name, subtopology } of internalTopics(graph, applicationId)) {
    internal.set(
      topic,
      (kind === 'repartition' ? (fixed.get(name) ?? repartitions.get(name)) : counts[subtopology]) ?? 0,
    )
  }
  return { subtopologies: counts, internalTopics: internal }
}

/** The repartition topic that gets its number of partitions from the sub-topology of this node, if there is one. */
const planned = (
  node: TopologyNode,
  fixed: ReadonlyMap<string, number>,
  following: ReadonlySet<string>,
): string | undefined => {
  if (node.kind === 'processor' || !node.repartition) return undefined
  const name = node.kind === 'source' ? node.topic.name : node.topics[0]?.name
  if (name === undefined || fixed.has(name)) return undefined
  return (node.kind === 'source') === following.has(name) ? name : undefined
}

/** Names of the nodes that a source's records can reach. */
const reachable = (subtopology: Subtopology, source: SourceNode): ReadonlySet<string> => {
  const nodes = new Map(subtopology.nodes.map((node) => [node.name, node]))
  const reached = new Set<string>([source.name])
  // A set iterates over what is added to it on the way.
  for (const name of reached) for (const child of nodes.get(name)?.children ?? []) reached.add(child)
  return reached
}

const refuseUnequalInputs = (subtopology: Subtopology, countOfSource: (node: SourceNode) => number): void => {
  const sources = subtopology.nodes.filter((node) => node.kind === 'source')
  const reach = sources.map((source) => reachable(subtopology, source))
  for (const store of subtopology.stores) {
    const users = subtopology.nodes.filter(
      (node) => node.kind === 'processor' && node.stores.includes(store.name),
    )
    const inputs = sources.filter((_, index) => users.some((user) => reach[index]?.has(user.name)))
    if (new Set(inputs.map(countOfSource)).size <= 1) continue
    throw new MillstreamError('TOPOLOGY_INVALID', {
      what: `store ${store.name} is fed from topics with different numbers of partitions: ${inputs.map((input) => `${input.topic.name} has ${countOfSource(input)}`).join(', ')}`,
      where: { store: store.name, subtopology: subtopology.id },
      fix: 'Send one of them through repartition, or create the topics with equal numbers of partitions.',
    })
  }
}
