// CreateTopics, key 19, v2-7: creates topics, each for itself. v4 takes -1 for the default number of partitions and
// replicas (KIP-464); v5 is flexible and answers the settings (KIP-525); v7 answers the topic id (KIP-516). With
// validate_only nothing is made, and the answer is as if it were. A replication factor above the number of nodes is
// refused as on a real cluster, although here every node has every partition. A topic that is named twice is refused, and
// none of its namesakes is made.
//
// request   topics [ name string · num_partitions int32 · replication_factor int16
//             · assignments [ partition_index int32 · broker_ids [int32] · tags ]
//             · configs [ name string · value string? · tags ] · tags ] · timeout_ms int32 · validate_only bool · tags
// response  throttle_time_ms int32 · topics [ name string · (v7+) topic_id uuid · error_code int16
//             · error_message string? · (v5+) num_partitions int32 · (v5+) replication_factor int16
//             · (v5+) configs [ name string · value string? · read_only bool · config_source int8 · is_sensitive bool
//               · tags ] (nullable) · tags ] · tags
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { replicasProblem } from '../replica-assignment.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'
import { type DescribedSetting, describeTopic } from '../topic-settings.ts'

interface Assignment {
  readonly partition: number
  readonly nodes: readonly number[]
}

interface TopicToCreate {
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly assignments: readonly Assignment[]
  readonly settings: readonly (readonly [name: string, value: string | null])[]
}

interface Request {
  readonly topics: readonly TopicToCreate[]
  readonly validateOnly: boolean
}

interface CreatedTopic {
  readonly name: string
  readonly id: string | null
  readonly errorCode: number
  readonly message: string | null
  readonly partitions: number
  readonly replicationFactor: number
  readonly settings: readonly DescribedSetting[]
}

interface Response {
  readonly topics: readonly CreatedTopic[]
}

interface Problem {
  readonly errorCode: number
  readonly message: string
}

const takeDefault = -1

const refuse = (
  name: string,
  { errorCode, message }: { errorCode: number; message: string | null },
): CreatedTopic => ({
  name,
  id: null,
  errorCode,
  message,
  partitions: -1,
  replicationFactor: -1,
  settings: [],
})

const assignmentProblem = (broker: BrokerState, topic: TopicToCreate): Problem | undefined => {
  const { assignments, partitions, replicationFactor } = topic
  const unset = (what: string): Problem => ({
    errorCode: codes.INVALID_REQUEST,
    message: `A manual partition assignment was specified, but ${what} was not set to -1.`,
  })
  const invalid = (message: string): Problem => ({ errorCode: codes.INVALID_REPLICA_ASSIGNMENT, message })
  if (replicationFactor !== takeDefault) return unset('replication factor')
  if (partitions !== takeDefault) return unset('numPartitions')
  const numbers = new Set<number>()
  for (const { partition, nodes } of assignments) {
    if (numbers.has(partition))
      return invalid(`Found multiple manual partition assignments for partition ${partition}`)
    numbers.add(partition)
    const problem = replicasProblem(broker, nodes)
    if (problem !== undefined) return invalid(problem)
  }
  const isConsecutive = assignments.every((_, at) => numbers.has(at))
  return isConsecutive ? undefined : invalid('partitions should be a consecutive 0-based integer sequence')
}

const replicationProblem = (
  broker: BrokerState,
  { replicationFactor }: TopicToCreate,
): Problem | undefined => {
  if (replicationFactor === takeDefault) return undefined
  const errorCode = codes.INVALID_REPLICATION_FACTOR
  if (replicationFactor <= 0) {
    const message = 'Replication factor must be larger than 0, or -1 to use the default value.'
    return { errorCode, message }
  }
  const count = broker.nodes.ids().length
  if (replicationFactor <= count) return undefined
  const message =
    `Unable to replicate the partition ${replicationFactor} time(s): The target replication factor of ` +
    `${replicationFactor} cannot be reached because only ${count} broker(s) are registered or some brokers have all their log directories ` +
    'cordoned.'
  return { errorCode, message }
}

const create = (broker: BrokerState, topic: TopicToCreate, validateOnly: boolean): CreatedTopic => {
  const { name, assignments } = topic
  const unset = topic.settings.find(([, value]) => value === null)
  const partitions =
    assignments.length > 0
      ? assignments.length
      : topic.partitions === takeDefault
        ? broker.settings.defaultPartitions
        : topic.partitions
  const settings = Object.fromEntries(topic.settings.map(([key, value]) => [key, value ?? '']))
  const checked = broker.topics.check(name, { partitions, settings: {} })
  if (checked.errorCode !== codes.NONE) return refuse(name, checked)
  const problem =
    assignments.length > 0 ? assignmentProblem(broker, topic) : replicationProblem(broker, topic)
  if (problem !== undefined) return refuse(name, problem)
  if (unset !== undefined) {
    const message = `Null value not supported for topic configs: ${unset[0]}`
    return refuse(name, { errorCode: codes.INVALID_CONFIG, message })
  }
  const done = validateOnly
    ? broker.topics.check(name, { partitions, settings })
    : broker.topics.create(name, { partitions, settings })
  if (done.errorCode !== codes.NONE) return refuse(name, done)
  const replicationFactor = assignments[0]?.nodes.length ?? Math.max(1, topic.replicationFactor)
  return {
    name,
    id: broker.topics.get(name)?.id ?? null,
    errorCode: codes.NONE,
    message: null,
    partitions,
    replicationFactor,
    settings: describeTopic(new Map(Object.entries(settings))),
  }
}

export const createTopicsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 19,
  name: 'CreateTopics',
  versions: [2, 7],
  flexibleFrom: 5,

  decode(reader) {
    const topics = reader.structs(() => ({
      name: reader.string(),
      partitions: reader.int32(),
      replicationFactor: reader.int16(),
      assignments: reader.structs(() => ({
        partition: reader.int32(),
        nodes: reader.array(() => reader.int32()),
      })),
      settings: reader.structs((): [string, string | null] => [reader.string(), reader.nullableString()]),
    }))
    reader.int32()
    const validateOnly = reader.bool()
    reader.tags()
    return { topics, validateOnly }
  },

  encode(writer, version, { topics }) {
    writer.int32(0)
    writer.structs(topics, (topic) => {
      writer.string(topic.name)
      if (version >= 7) writer.uuid(topic.id)
      writer.int16(topic.errorCode).nullableString(topic.message)
      if (version < 5) return
      writer.int32(topic.partitions).int16(topic.replicationFactor)
      writer.structs(topic.settings, ({ name, value, source }) => {
        writer.string(name).nullableString(value).bool(false).int8(source).bool(false)
      })
    })
    writer.tags()
  },

  handle({ topics, validateOnly }, { broker }) {
    const count = new Map<string, number>()
    for (const { name } of topics) count.set(name, (count.get(name) ?? 0) + 1)
    const twice = [...count].filter(([, times]) => times > 1).map(([name]) => name)
    const message = 'Duplicate topic name.'
    return {
      topics: [
        ...twice.map((name) => refuse(name, { errorCode: codes.INVALID_REQUEST, message })),
        ...topics
          .filter(({ name }) => !twice.includes(name))
          .map((topic) => create(broker, topic, validateOnly)),
      ],
    }
  },
})
