// TxnOffsetCommit, key 28, v0-5: offsets of a group as part of the open transaction of a producer. They are pending
// until the marker of the transaction reaches the partition of the offsets topic that the group belongs to.
// That partition must be part of the transaction: v5 adds it (transactions version 2, KIP-890), below it must have been
// added (AddOffsetsToTxn), or it is INVALID_TXN_STATE, from v4 on TRANSACTION_ABORTABLE. This is looked at before the
// group is, so that v5 also begins a transaction whose offsets are then refused.
// v2 adds the leader epoch; v3 is flexible and names member and generation, so that a zombie is refused (KIP-447).
// A rebalance does not stand in the way: the generation counts, not the state. While the coordinator of the transaction
// ends the one before, v5 is CONCURRENT_TRANSACTIONS. A coordinator that reads its state is COORDINATOR_NOT_AVAILABLE
// below v2, since old clients do not know better.
//
// request   transactional_id string · group_id string · producer_id int64 · producer_epoch int16
//           · (v3+) generation_id int32 · (v3+) member_id string · (v3+) group_instance_id string?
//           · topics [ name string · partitions [ partition_index int32 · committed_offset int64
//           · (v2+) committed_leader_epoch int32 · committed_metadata string? · tags ] · tags ] · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · error_code int16
//           · tags ] · tags ] · tags
import { type BrokerState, offsetsTopic } from '../broker-state.ts'
import { codes } from '../codes.ts'
import {
  type ByTopic,
  type OffsetToCommit,
  type PartitionError,
  putOffsets,
  refuseAll,
  withExisting,
} from '../group-commit.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly transactionalId: string
  readonly groupId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly generationId: number
  readonly memberId: string
  readonly instanceId: string | null
  readonly topics: readonly ByTopic<OffsetToCommit>[]
}

const addsFrom = 5
const abortableFrom = 4
const loadingFrom = 2

/** NONE, or why this producer may not write offsets of this group in a transaction. */
const checkProducer = (broker: BrokerState, request: Request, version: number): number => {
  const { transactionalId, groupId, producerId, producerEpoch } = request
  const groups = groupsOf(broker)
  const error = groups.offsets.checkProducer(groupId, producerId, producerEpoch)
  if (error !== codes.NONE || groups.offsets.isOpen(groupId, producerId, producerEpoch)) return error
  const partitions = [{ topic: offsetsTopic, partition: groups.partitionOf(groupId) }]
  const isAdded = version >= addsFrom
  const answer = broker.transactions.admit(transactionalId, producerId, producerEpoch, partitions, isAdded)
  if (answer === codes.NETWORK_EXCEPTION) return codes.COORDINATOR_LOAD_IN_PROGRESS
  const isAbortable = answer === codes.INVALID_TXN_STATE && version >= abortableFrom
  return isAbortable ? codes.TRANSACTION_ABORTABLE : answer
}

const checkMember = (broker: BrokerState, request: Request): number => {
  const { groupId, memberId, instanceId, generationId } = request
  const groups = groupsOf(broker)
  const group = generationId < 0 ? groups.getOrCreate(groupId) : groups.get(groupId)
  return group?.checkCommit(memberId, instanceId, generationId, true) ?? codes.ILLEGAL_GENERATION
}

const check = (request: Request, { broker, nodeId, version }: RequestContext): number => {
  if (request.groupId === '') return codes.INVALID_GROUP_ID
  const notHere = broker.nodes.coordinatorError('group', request.groupId, nodeId)
  if (notHere !== codes.NONE) return notHere
  const error = checkProducer(broker, request, version)
  return error === codes.NONE ? checkMember(broker, request) : error
}

export const txnOffsetCommitHandler: RequestHandler<Request, readonly ByTopic<PartitionError>[]> =
  defineHandler({
    key: 28,
    name: 'TxnOffsetCommit',
    versions: [0, 5],
    flexibleFrom: 3,

    decode(reader, version) {
      const request = {
        transactionalId: reader.string(),
        groupId: reader.string(),
        producerId: reader.int64(),
        producerEpoch: reader.int16(),
        generationId: version >= 3 ? reader.int32() : -1,
        memberId: version >= 3 ? reader.string() : '',
        instanceId: version >= 3 ? reader.nullableString() : null,
        topics: reader.structs(() => ({
          topic: reader.string(),
          partitions: reader.structs(() => ({
            partition: reader.int32(),
            offset: reader.int64(),
            leaderEpoch: version >= 2 ? reader.int32() : -1,
            metadata: reader.nullableString(),
          })),
        })),
      }
      reader.tags()
      return request
    },

    encode(writer, _version, topics) {
      writer.int32(0)
      writer.structs(topics, ({ topic, partitions }) => {
        writer.string(topic)
        writer.structs(partitions, ({ partition, errorCode }) => writer.int32(partition).int16(errorCode))
      })
      writer.tags()
    },

    handle(request, context) {
      const { broker, version } = context
      return withExisting(broker, request.topics, (topics) => {
        const error = check(request, context)
        if (error === codes.COORDINATOR_LOAD_IN_PROGRESS && version < loadingFrom) {
          return refuseAll(topics, codes.COORDINATOR_NOT_AVAILABLE)
        }
        if (error !== codes.NONE) return refuseAll(topics, error)
        const { offsets } = groupsOf(broker)
        return putOffsets(broker, topics, (topic, partition, offset) => {
          offsets.commitPending(request.groupId, topic, partition, request, offset)
        })
      })
    },
  })
