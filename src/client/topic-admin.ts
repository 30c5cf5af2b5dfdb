// Topics: what is there, with which settings; creating those that are missing; deleting records that nobody reads again.
import type { Ports } from '../base/ports.ts'
import { partitionId } from '../base/topic-partition.ts'
import { MillstreamError } from '../errors.ts'
import { createTopics as createTopicsApi } from '../protocol/create-topics.ts'
import { deleteRecords as deleteRecordsApi } from '../protocol/delete-records.ts'
import { describeConfigs, TOPIC_RESOURCE } from '../protocol/describe-configs.ts'
import { brokerError, reactionFor } from '../protocol/error-codes.ts'
import { metadata } from '../protocol/metadata.ts'
import { byTopic, isRepeatable } from './answers.ts'
import { Backoff } from './backoff.ts'
import { brokerFailure } from './broker-failure.ts'
import type { Cluster } from './cluster.ts'

export interface TopicDescription {
  readonly topic: string
  readonly exists: boolean
  /** 0 where it does not exist. */
  readonly partitions: number
  /** base64url; '' where it does not exist. */
  readonly topicId: string
  readonly internal: boolean
}

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /** Undefined takes the broker's default.replication.factor. */
  readonly replicationFactor?: number | undefined
  /** Settings of the topic, for instance cleanup.policy. */
  readonly settings?: Readonly<Record<string, string>> | undefined
}

export interface RecordsToDelete {
  readonly topic: string
  readonly partition: number
  /** Records below this offset go. */
  readonly offset: number
}

const NONE = 0

/**
 * @throws MillstreamError AUTHORIZATION_FAILED, CONNECTION_LOST
 */
export const describeTopics = async (
  cluster: Cluster,
  topics: readonly string[],
): Promise<TopicDescription[]> => {
  if (topics.length > 0) await cluster.refreshMetadata(topics)
  return topics.map((topic) => {
    const known = cluster.topic(topic)
    if (known === undefined) return { topic, exists: false, partitions: 0, topicId: '', internal: false }
    return { topic, exists: true, ...known }
  })
}

/**
 * Numbers of partitions by topic: of all that the principal may see, without internal ones of Kafka.
 * @throws MillstreamError CONNECTION_LOST
 */
export const listTopics = async (cluster: Cluster): Promise<Map<string, number>> => {
  const { topics } = await cluster.sendToAny(metadata, { topics: null })
  const known = topics.filter(({ errorCode, isInternal }) => errorCode === NONE && !isInternal)
  return new Map(known.map(({ topic, partitions }) => [topic, partitions.length]))
}

/**
 * The settings of each topic by name, defaults included.
 * @throws MillstreamError TOPIC_MISSING, AUTHORIZATION_FAILED (the right DescribeConfigs), CONNECTION_LOST
 */
export const topicSettings = async (
  cluster: Cluster,
  topics: readonly string[],
): Promise<Map<string, ReadonlyMap<string, string>>> => {
  const settings = new Map<string, ReadonlyMap<string, string>>()
  if (topics.length === 0) return settings
  const resources = topics.map((name) => ({ type: TOPIC_RESOURCE, name, keys: null }))
  const response = await cluster.sendToAny(describeConfigs, { resources })
  for (const { name, errorCode, errorMessage, configs } of response.resources) {
    if (errorCode !== NONE) throw brokerFailure('DescribeConfigs', errorCode, { topic: name }, errorMessage)
    settings.set(name, new Map(configs.map((config) => [config.name, config.value ?? ''])))
  }
  return settings
}

/**
 * Creates topics and waits until every broker knows them. A topic that exists already is fine when it has the same
 * number of partitions; its settings are not looked at.
 * @param deadline on the monotonic clock
 * @throws MillstreamError TOPIC_MISMATCH (another number of partitions), AUTHORIZATION_FAILED (the right Create),
 * BROKER_ERROR (for instance a setting that the broker does not know), REQUEST_TIMED_OUT
 */
export const createTopics = async (
  cluster: Cluster,
  ports: Ports,
  topics: readonly TopicSpec[],
  deadline: number,
): Promise<void> => {
  if (topics.length === 0) return
  const backoff = new Backoff(ports)
  let missing = topics
  let last = ''
  while (missing.length > 0) {
    const round = await askToCreate(cluster, missing)
    missing = round.again
    last = round.why
    if (missing.length > 0 && !(await backoff.wait(deadline))) throw notInTime(missing, last)
  }
  await waitUntilKnown(cluster, ports, topics, deadline)
}

const askToCreate = async (
  cluster: Cluster,
  topics: readonly TopicSpec[],
): Promise<{ again: readonly TopicSpec[]; why: string }> => {
  const request = {
    topics: topics.map(({ topic, partitions, replicationFactor = -1, settings = {} }) => ({
      topic,
      partitions,
      replicationFactor,
      configs: settings,
    })),
    timeoutMs: cluster.requestTimeoutMs,
    validateOnly: false,
  }
  let why = ''
  const done = new Set<string>()
  try {
    const response = await cluster.sendToAny(createTopicsApi, request)
    for (const { topic, errorCode, errorMessage } of response.topics) {
      const reaction = reactionFor(errorCode, 'CreateTopics')
      if (reaction === 'none') done.add(topic)
      else if (reaction === 'retry' || reaction === 'refresh-metadata') why = brokerError(errorCode).name
      else throw brokerFailure('CreateTopics', errorCode, { topic }, errorMessage)
    }
  } catch (error) {
    // Created or not: asking again tells, since a topic that exists is fine.
    if (!isRepeatable(error)) throw error
    why = error.message
  }
  return { again: topics.filter(({ topic }) => !done.has(topic)), why }
}

/** Each broker learns of a topic on its own; one that does not know it yet refuses produces and fetches. */
const waitUntilKnown = async (
  cluster: Cluster,
  ports: Ports,
  topics: readonly TopicSpec[],
  deadline: number,
): Promise<void> => {
  const names = topics.map(({ topic }) => topic)
  const backoff = new Backoff(ports)
  for (;;) {
    const open = new Map<string, string>()
    for (const { nodeId, host, port } of cluster.brokers()) {
      try {
        const response = await cluster.send(nodeId, 'admin', metadata, { topics: names })
        for (const { topic, errorCode, partitions } of response.topics) {
          const ready = errorCode === NONE && partitions.every(({ leaderId }) => leaderId >= 0)
          if (ready) checkPartitions(topics, topic, partitions.length)
          else open.set(topic, `broker ${host}:${port} says ${brokerError(errorCode).name}`)
        }
      } catch (error) {
        // A broker that is down learns of it before it serves anything again.
        if (!isRepeatable(error)) throw error
      }
    }
    if (open.size === 0) break
    const still = topics.filter(({ topic }) => open.has(topic))
    if (!(await backoff.wait(deadline))) throw notInTime(still, [...open.values()][0] ?? '')
  }
  await cluster.refreshMetadata(names)
}

const checkPartitions = (topics: readonly TopicSpec[], topic: string, partitions: number): void => {
  const wanted = topics.find((spec) => spec.topic === topic)?.partitions
  if (wanted === undefined || wanted === -1 || wanted === partitions) return
  throw new MillstreamError('TOPIC_MISMATCH', {
    what: `the topic exists with ${partitions} partitions, and ${wanted} are needed`,
    where: { topic },
    fix: 'Delete the topic when nothing in it is needed, or make the partitions agree. Adding partitions moves keys to others.',
  })
}

const notInTime = (topics: readonly TopicSpec[], why: string): MillstreamError =>
  new MillstreamError('REQUEST_TIMED_OUT', {
    what: `the topics could not be created in time; at last: ${why}`,
    where: { topic: topics.map(({ topic }) => topic).join(', ') },
    fix: 'Look at the health of the brokers and of the controller.',
  })

/**
 * DeleteRecords on the leaders: everything below the given offsets goes. Harmless to repeat.
 * @param deadline on the monotonic clock
 * @throws MillstreamError AUTHORIZATION_FAILED (the right Delete on the topic), TOPIC_MISSING, REQUEST_TIMED_OUT,
 * BROKER_ERROR (for instance POLICY_VIOLATION for a topic that is compacted only)
 */
export const deleteRecords = async (
  cluster: Cluster,
  ports: Ports,
  records: readonly RecordsToDelete[],
  deadline: number,
): Promise<void> => {
  const backoff = new Backoff(ports)
  let missing = records
  for (;;) {
    const round = await deleteOnLeaders(cluster, missing)
    missing = round.again
    if (missing.length === 0) return
    if (!(await backoff.wait(deadline))) {
      throw new MillstreamError('REQUEST_TIMED_OUT', {
        what: `records could not be deleted in time; at last: ${round.why}`,
        where: {
          partitions: missing.map(({ topic, partition }) => partitionId(topic, partition)).join(', '),
        },
      })
    }
    await cluster.refreshMetadata([...new Set(missing.map(({ topic }) => topic))]).catch((error: unknown) => {
      if (!isRepeatable(error)) throw error
    })
  }
}

const deleteOnLeaders = async (
  cluster: Cluster,
  records: readonly RecordsToDelete[],
): Promise<{ again: RecordsToDelete[]; why: string }> => {
  const leaders = new Map<number, RecordsToDelete[]>()
  const again: RecordsToDelete[] = []
  let why = 'no leader is known'
  for (const entry of records) {
    const leader = cluster.partition(entry.topic, entry.partition)?.leader
    if (leader === undefined) again.push(entry)
    else leaders.set(leader, [...(leaders.get(leader) ?? []), entry])
  }
  await Promise.all(
    [...leaders].map(async ([node, mine]) => {
      const done = new Set<string>()
      try {
        const request = { topics: byTopic(mine), timeoutMs: cluster.requestTimeoutMs }
        const response = await cluster.send(node, 'admin', deleteRecordsApi, request)
        for (const { topic, partitions } of response.topics) {
          for (const { partition, errorCode } of partitions) {
            if (errorCode === NONE) done.add(partitionId(topic, partition))
            else why = judgeDeletion(topic, partition, errorCode)
          }
        }
      } catch (error) {
        if (!isRepeatable(error)) throw error
        why = error.message
      }
      again.push(...mine.filter(({ topic, partition }) => !done.has(partitionId(topic, partition))))
    }),
  )
  return { again, why }
}

/** @returns the name of an error that passes. @throws the others */
const judgeDeletion = (topic: string, partition: number, errorCode: number): string => {
  const reaction = reactionFor(errorCode, 'DeleteRecords')
  if (reaction === 'retry' || reaction === 'refresh-metadata') return brokerError(errorCode).name
  throw brokerFailure('DeleteRecords', errorCode, { topic, partition })
}
