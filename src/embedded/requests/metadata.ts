// Metadata, key 3, v0-12: the nodes, and of each topic its partitions with their leaders. v1 takes null for all topics
// and names the controller; v4 says whether a topic may be created by the question (auto.create.topics.enable must allow
// it too); v5 tells replicas that are offline, v7 leader epochs (KIP-320), v9 is flexible, v10 has topic ids (KIP-516),
// v12 may ask by id (UNKNOWN_TOPIC_ID). A partition whose leader is down is LEADER_NOT_AVAILABLE and leader -1. Each node
// is a replica of each partition, since all share one state.
//
// request   topics [ (v10+) topic_id uuid · name string (v10+ nullable) · tags ] (v0: empty is all; v1+: null is all)
//           · (v4+) allow_auto_topic_creation bool · (v8-10) include_cluster_authorized_operations bool
//           · (v8+) include_topic_authorized_operations bool · tags
// response  (v3+) throttle_time_ms int32 · brokers [ node_id int32 · host string · port int32 · (v1+) rack string? · tags ]
//           · (v2+) cluster_id string? · (v1+) controller_id int32
//           · topics [ error_code int16 · name string (v12+ nullable) · (v10+) topic_id uuid · (v1+) is_internal bool
//             · partitions [ error_code int16 · partition_index int32 · leader_id int32 · (v7+) leader_epoch int32
//               · replica_nodes [int32] · isr_nodes [int32] · (v5+) offline_replicas [int32] · tags ]
//             · (v8+) topic_authorized_operations int32 · tags ]
//           · (v8-10) cluster_authorized_operations int32 · tags
import type { Writer } from '../../protocol/wire.ts'
import type { BrokerState, Topic } from '../broker-state.ts'
import { codes } from '../codes.ts'
import type { NodeAddress } from '../nodes.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'
import { nameProblem } from '../topic-table.ts'

interface Asked {
  readonly id: string | null
  readonly name: string | null
}

interface Request {
  /** null: all. */
  readonly topics: readonly Asked[] | null
  readonly mayCreate: boolean
}

interface AnsweredPartition {
  readonly errorCode: number
  readonly partition: number
  readonly leader: number
  readonly leaderEpoch: number
}

interface AnsweredTopic {
  readonly errorCode: number
  readonly name: string | null
  readonly id: string | null
  readonly isInternal: boolean
  readonly partitions: readonly AnsweredPartition[]
}

interface Response {
  readonly nodes: readonly NodeAddress[]
  readonly allNodes: readonly number[]
  readonly clusterId: string
  readonly topics: readonly AnsweredTopic[]
}

/** Authorized operations were not asked for, or nobody authorizes here. */
const noOperations = -2_147_483_648

const partitionsOf = ({ nodes }: BrokerState, topic: Topic): AnsweredPartition[] =>
  topic.logs.map((_, partition) => {
    const leader = nodes.leader(topic.name, partition)
    const errorCode = leader < 0 ? codes.LEADER_NOT_AVAILABLE : codes.NONE
    return { errorCode, partition, leader, leaderEpoch: nodes.leaderEpoch(topic.name, partition) }
  })

const known = (broker: BrokerState, topic: Topic): AnsweredTopic => ({
  errorCode: codes.NONE,
  name: topic.name,
  id: topic.id,
  isInternal: topic.isInternal,
  partitions: partitionsOf(broker, topic),
})

const unknown = (errorCode: number, { name, id }: Asked): AnsweredTopic => ({
  errorCode,
  name,
  id,
  isInternal: false,
  partitions: [],
})

const byName = (broker: BrokerState, name: string, mayCreate: boolean): AnsweredTopic => {
  const asked = { name, id: null }
  const topic = broker.topics.get(name)
  if (topic !== undefined) return known(broker, topic)
  if (nameProblem(name) !== undefined) return unknown(codes.INVALID_TOPIC_EXCEPTION, asked)
  const { autoCreateTopics, defaultPartitions } = broker.settings
  if (!mayCreate || !autoCreateTopics) return unknown(codes.UNKNOWN_TOPIC_OR_PARTITION, asked)
  const { errorCode } = broker.topics.create(name, { partitions: defaultPartitions })
  const created = broker.topics.get(name)
  return created === undefined ? unknown(errorCode, asked) : known(broker, created)
}

const answer = (broker: BrokerState, asked: Asked, mayCreate: boolean): AnsweredTopic => {
  if (asked.name !== null) return byName(broker, asked.name, mayCreate)
  if (asked.id === null) return unknown(codes.UNKNOWN_SERVER_ERROR, { name: '', id: null })
  const topic = broker.topics.byId(asked.id)
  return topic === undefined ? unknown(codes.UNKNOWN_TOPIC_ID, asked) : known(broker, topic)
}

/** A topic that is asked for twice is answered once. */
const distinct = (topics: readonly Asked[]): readonly Asked[] => [
  ...new Map(topics.map((asked) => [asked.name ?? `id ${asked.id}`, asked])).values(),
]

const writeTopic = (
  writer: Writer,
  version: number,
  topic: AnsweredTopic,
  { nodes, allNodes }: Response,
): void => {
  const up = nodes.map(({ nodeId }) => nodeId)
  const writeNodes = (ids: readonly number[]): unknown => writer.array(ids, (id) => writer.int32(id))
  writer.int16(topic.errorCode)
  if (version >= 12) writer.nullableString(topic.name)
  else writer.string(topic.name ?? '')
  if (version >= 10) writer.uuid(topic.id)
  if (version >= 1) writer.bool(topic.isInternal)
  writer.structs(topic.partitions, (partition) => {
    writer.int16(partition.errorCode).int32(partition.partition).int32(partition.leader)
    if (version >= 7) writer.int32(partition.leaderEpoch)
    writeNodes(allNodes)
    writeNodes(up)
    if (version >= 5) writeNodes(allNodes.filter((id) => !up.includes(id)))
  })
  if (version >= 8) writer.int32(noOperations)
}

export const metadataHandler: RequestHandler<Request, Response> = defineHandler({
  key: 3,
  name: 'Metadata',
  versions: [0, 12],
  flexibleFrom: 9,

  decode(reader, version) {
    const read = (): Asked => {
      const id = version >= 10 ? reader.uuid() : null
      return { id, name: version >= 10 ? reader.nullableString() : reader.string() }
    }
    const topics = version >= 1 ? reader.nullableStructs(read) : reader.structs(read)
    const mayCreate = version < 4 || reader.bool()
    if (version >= 8 && version <= 10) reader.bool()
    if (version >= 8) reader.bool()
    reader.tags()
    return { topics: version === 0 && topics?.length === 0 ? null : topics, mayCreate }
  },

  encode(writer, version, response) {
    if (version >= 3) writer.int32(0)
    writer.structs(response.nodes, ({ nodeId, host, port }) => {
      writer.int32(nodeId).string(host).int32(port)
      if (version >= 1) writer.nullableString(null)
    })
    if (version >= 2) writer.nullableString(response.clusterId)
    if (version >= 1) writer.int32(response.nodes[0]?.nodeId ?? -1)
    writer.structs(response.topics, (topic) => writeTopic(writer, version, topic, response))
    if (version >= 8 && version <= 10) writer.int32(noOperations)
    writer.tags()
  },

  handle({ topics, mayCreate }, { broker }) {
    const answered =
      topics === null
        ? [...broker.topics.all()].map((topic) => known(broker, topic))
        : distinct(topics).map((asked) => answer(broker, asked, mayCreate))
    return {
      nodes: broker.nodes.addresses(),
      allNodes: broker.nodes.ids(),
      clusterId: broker.clusterId,
      topics: answered,
    }
  },
})
