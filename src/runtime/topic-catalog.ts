// The topics of a topology as they are on this cluster: checked and, where they are internal, created before the worker
// joins. After that it answers partitions, ids and limits.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { Cluster } from '../client/cluster.ts'
import { createTopics, describeTopics, type TopicDescription, topicSettings } from '../client/topic-admin.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { isMillstreamError, MillstreamError } from '../errors.ts'
import type { OutputTopic } from '../task/record-collector.ts'
import type { TopicSizes } from '../topology/topic-pattern.ts'
import type { SinkNode, StoreDefinition, TopologyGraph } from '../topology/contracts.ts'
import {
  type InternalTopic,
  internalTopics,
  type PartitionPlan,
  planPartitions,
  repartitionTopicName,
  restoreTopicName,
  sinkTopicNames,
  sourceTopicName,
} from '../topology/internal-topics.ts'
import type { AssignorOptions } from './assignor.ts'
import { planTasks, type TaskPlan } from './task-plan.ts'
import { refuseUnequalTopics, TopicPatterns } from './topic-patterns.ts'

/** Kafka's defaults, for a principal that may not read topic settings. */
const defaultBatchBytesMax = 1_048_588
const defaultDeleteRetentionMs = 86_400_000
/** Every broker has to learn of a new topic, which a busy controller may take its time over: longer than one request. */
const creationPatienceMs = 60_000

export class TopicCatalog {
  readonly plan: PartitionPlan
  readonly patterns: TopicPatterns
  readonly #graph: TopologyGraph
  readonly #inputs: readonly string[]
  readonly #applicationId: string
  readonly #topics: ReadonlyMap<string, TopicDescription>
  readonly #settings: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly #outputs = new Map<string, OutputTopic>()

  private constructor(
    graph: TopologyGraph,
    patterns: TopicPatterns,
    applicationId: string,
    plan: PartitionPlan,
    inputs: readonly string[],
    topics: ReadonlyMap<string, TopicDescription>,
    settings: ReadonlyMap<string, ReadonlyMap<string, string>>,
  ) {
    this.#graph = graph
    this.patterns = patterns
    this.#applicationId = applicationId
    this.plan = plan
    this.#inputs = inputs
    this.#topics = topics
    this.#settings = settings
  }

  /**
   * @throws MillstreamError TOPIC_MISSING (all missing ones at once), TOPIC_MISMATCH, TOPOLOGY_INVALID,
   * AUTHORIZATION_FAILED
   */
  static async prepare(
    cluster: Cluster,
    ports: Ports,
    graph: TopologyGraph,
    settings: WorkerSettings,
    log: Logger,
  ): Promise<TopicCatalog> {
    const { applicationId } = settings
    const nodes = graph.subtopologies.flatMap((subtopology) => subtopology.nodes)
    const inputs = nodes.flatMap((node) =>
      node.kind === 'source' && node.topic.pattern === undefined
        ? [sourceTopicName(applicationId, node)]
        : [],
    )
    const patterns = new TopicPatterns(graph, applicationId)
    await patterns.begin(cluster)
    const outputs = nodes.flatMap((node) => (node.kind === 'sink' ? sinkTopicNames(applicationId, node) : []))
    const internal = internalTopics(graph, applicationId)
    const internalNames = new Set(internal.map(({ topic }) => topic))
    const globals = graph.globals.map(({ source }) => source.topic.name)
    const ofUser = [...new Set([...inputs, ...outputs, ...globals])].filter(
      (topic) => !internalNames.has(topic),
    )
    const topics = byName(await describeTopics(cluster, ofUser))
    refuseMissing(topics)
    const plan = planWith(graph, applicationId, patterns, patterns.agreed, topics)
    for (const one of await prepareInternal(cluster, ports, internal, plan, settings, log))
      topics.set(one.topic, one)
    const details = await readSettings(cluster, [...topics.keys()], log)
    refuseUnfit(internal, details)
    refuseForgetful(graph, details)
    return new TopicCatalog(graph, patterns, applicationId, plan, inputs, topics, details)
  }

  /** Names of all topics that are read, repartition topics included. */
  get inputs(): readonly string[] {
    return [...this.#inputs, ...this.patterns.agreed.keys()]
  }

  /**
   * The tasks of the topology.
   * @param matched topics by pattern; default: those that the group reads
   * @throws TOPOLOGY_INVALID, TOPIC_MISMATCH where these topics ask for other internal ones than there are
   */
  tasks(matched: TopicSizes = this.patterns.agreed): Map<string, TaskPlan> {
    const { patterns } = this
    const plan = planWith(this.#graph, this.#applicationId, patterns, matched, this.#topics)
    for (const topic of plan.internalTopics.keys()) {
      const one = this.#topics.get(topic)
      if (one !== undefined && one.partitions !== plan.internalTopics.get(topic))
        throw wrongPartitions(one, plan)
    }
    return planTasks(
      this.#graph,
      this.#applicationId,
      plan,
      (topic) => matched.get(topic) ?? this.partitionsOf(topic),
      (source) =>
        source.topic.pattern === undefined
          ? [sourceTopicName(this.#applicationId, source)]
          : patterns.topicsOf(source, matched),
    )
  }

  partitionsOf(topic: string): number {
    return this.#topics.get(topic)?.partitions ?? 0
  }

  topicId(topic: string): string {
    return this.#topics.get(topic)?.topicId ?? ''
  }

  /** How long compaction keeps tombstones, ms. */
  deleteRetentionMs(topic: string): number {
    return this.#number(topic, 'delete.retention.ms', defaultDeleteRetentionMs)
  }

  /** The topic behind a sink, by the name that the topology gives it. */
  output(node: SinkNode, name: string): OutputTopic {
    const topic = node.repartition ? repartitionTopicName(this.#applicationId, name) : name
    const definition = node.topics.find((one) => one.name === name)
    return this.#output(
      `${node.name}>${topic}`,
      topic,
      definition as { key: OutputTopic['key']; value: OutputTopic['value'] },
    )
  }

  /** Of a read-only store: the topic that fills it, which nothing is written to for it. */
  changelog(store: StoreDefinition): OutputTopic {
    const topic = restoreTopicName(this.#applicationId, store)
    return this.#output(topic, topic, store)
  }

  #output(id: string, name: string, { key, value }: Pick<OutputTopic, 'key' | 'value'>): OutputTopic {
    const known = this.#outputs.get(id)
    if (known !== undefined) return known
    const output: OutputTopic = {
      name,
      partitions: this.partitionsOf(name),
      batchBytesMax: this.#number(name, 'max.message.bytes', defaultBatchBytesMax),
      key,
      keySuffixBytes: key.partitionSuffixBytes ?? 0,
      value,
    }
    this.#outputs.set(id, output)
    return output
  }

  #number(topic: string, setting: string, otherwise: number): number {
    const value = Number(this.#settings.get(topic)?.get(setting))
    return Number.isFinite(value) && value >= 0 ? value : otherwise
  }
}

/** What a member of the group says of topics by pattern; undefined: the topology has none. */
export const patternsOf = (catalog: TopicCatalog): AssignorOptions['patterns'] =>
  catalog.patterns.used
    ? {
        found: () => catalog.patterns.found,
        tasks: (matched) => catalog.tasks(new Map(Object.entries(matched))),
      }
    : undefined

const planWith = (
  graph: TopologyGraph,
  applicationId: string,
  patterns: TopicPatterns,
  matched: TopicSizes,
  topics: ReadonlyMap<string, TopicDescription>,
): PartitionPlan => {
  refuseUnequalTopics(graph, patterns, matched)
  const plan = planPartitions(
    graph,
    applicationId,
    (topic) => topics.get(topic)?.partitions ?? patterns.largest(topic, matched),
  )
  const [nowhere] = [...plan.internalTopics].find(([, partitions]) => partitions === 0) ?? []
  if (nowhere === undefined) return plan
  throw new MillstreamError('TOPIC_MISSING', {
    what: `no topic matches the pattern by which ${nowhere} is fed, so that its number of partitions is not known`,
    where: { topic: nowhere },
    fix: 'Create a first topic that matches before the worker starts; further ones are found while it runs.',
  })
}

const byName = (topics: readonly TopicDescription[]): Map<string, TopicDescription> =>
  new Map(topics.map((one) => [one.topic, one]))

const refuseMissing = (topics: ReadonlyMap<string, TopicDescription>): void => {
  const missing = [...topics.values()].filter(({ exists }) => !exists).map(({ topic }) => topic)
  if (missing.length === 0) return
  throw new MillstreamError('TOPIC_MISSING', {
    what: `${missing.length === 1 ? 'a topic does' : `${missing.length} topics do`} not exist: ${missing.join(', ')}`,
    fix: 'Create the inputs and outputs of the topology before the worker starts; millstream creates internal topics only.',
  })
}

const prepareInternal = async (
  cluster: Cluster,
  ports: Ports,
  internal: readonly InternalTopic[],
  plan: PartitionPlan,
  settings: WorkerSettings,
  log: Logger,
): Promise<readonly TopicDescription[]> => {
  const names = internal.map(({ topic }) => topic)
  const found = byName(await describeTopics(cluster, names))
  const missing = internal.filter(({ topic }) => found.get(topic)?.exists !== true)
  if (missing.length > 0 && !settings.createInternalTopics) {
    throw new MillstreamError('TOPIC_MISSING', {
      what: `internal topics do not exist: ${missing.map(({ topic }) => `${topic} (${plan.internalTopics.get(topic)} partitions)`).join(', ')}`,
      where: { setting: 'createInternalTopics' },
      fix: 'Create them as `millstream describe` shows them, or allow millstream to.',
    })
  }
  for (const { topic } of internal) {
    const one = found.get(topic)
    if (one?.exists && one.partitions !== plan.internalTopics.get(topic)) throw wrongPartitions(one, plan)
  }
  if (missing.length === 0) return [...found.values()]
  const specs = missing.map(({ topic, settings: topicSettings }) => ({
    topic,
    partitions: plan.internalTopics.get(topic) ?? 1,
    replicationFactor: settings.replicationFactor < 0 ? undefined : settings.replicationFactor,
    settings: topicSettings,
  }))
  await createTopics(cluster, ports, specs, ports.clock.monotonic() + creationPatienceMs)
  log.info('internal topics created', {
    topics: specs.map(({ topic, partitions }) => `${topic} (${partitions})`).join(' '),
  })
  return await describeTopics(cluster, names)
}

const wrongPartitions = ({ topic, partitions }: TopicDescription, plan: PartitionPlan): MillstreamError =>
  new MillstreamError('TOPIC_MISMATCH', {
    what: `the internal topic has ${partitions} partitions, the topology needs ${plan.internalTopics.get(topic)}`,
    where: { topic },
    fix: 'The inputs were given more partitions, or the topology changed: keys would move. Use a new application id, or make the numbers equal again.',
  })

const readSettings = async (
  cluster: Cluster,
  topics: readonly string[],
  log: Logger,
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> => {
  try {
    return await topicSettings(cluster, topics)
  } catch (error) {
    if (!isMillstreamError(error) || error.code !== 'AUTHORIZATION_FAILED') throw error
    log.warn('the settings of the topics may not be read; the defaults of Kafka are assumed', {
      cause: error.message,
    })
    return new Map()
  }
}

/** Topics that were made beforehand, or overridden, must not lose what the runtime relies on. */
const refuseUnfit = (
  internal: readonly InternalTopic[],
  details: ReadonlyMap<string, ReadonlyMap<string, string>>,
): void => {
  for (const { topic, kind } of internal) {
    const policy = details.get(topic)?.get('cleanup.policy')
    if (policy === undefined) continue
    const fits = kind === 'changelog' ? policy === 'compact' : policy === 'delete'
    const retention = Number(details.get(topic)?.get('retention.ms') ?? '-1')
    if (fits && (kind === 'changelog' || retention < 0)) continue
    throw new MillstreamError('TOPIC_MISMATCH', {
      what:
        kind === 'changelog'
          ? `a changelog topic has cleanup.policy ${policy}: state would be lost when its records expire`
          : `a repartition topic has cleanup.policy ${policy} and retention.ms ${retention}: records could expire before they are processed`,
      where: { topic },
      fix:
        kind === 'changelog'
          ? 'Set cleanup.policy to compact.'
          : 'Set cleanup.policy to delete and retention.ms to -1; millstream deletes what it has processed.',
    })
  }
}

/** A store that is restored from a topic must not lose what expires there. */
const refuseForgetful = (
  { subtopologies }: TopologyGraph,
  details: ReadonlyMap<string, ReadonlyMap<string, string>>,
): void => {
  for (const { name, filling } of subtopologies.flatMap(({ stores }) => stores)) {
    const topic = filling?.source.topic.name ?? ''
    const policy = details.get(topic)?.get('cleanup.policy')
    const limit = (setting: string): number => Number(details.get(topic)?.get(setting) ?? '-1')
    const [retentionMs, retentionBytes] = [limit('retention.ms'), limit('retention.bytes')]
    if (policy?.includes('delete') !== true || (retentionMs < 0 && retentionBytes < 0)) continue
    throw new MillstreamError('TOPIC_MISMATCH', {
      what: `a topic that fills a read-only store has cleanup.policy ${policy}, retention.ms ${retentionMs} and retention.bytes ${retentionBytes}: a restored store would lack the rows that expired`,
      where: { topic, store: name },
      fix: 'Set cleanup.policy to compact, or retention.ms and retention.bytes to -1; or keep the topic with table, which has a changelog of its own.',
    })
  }
}
