// ListOffsets, key 2, v4-7: an offset of each partition by timestamp, or its earliest or latest one.
// v2 adds the isolation level (KIP-98): "latest" is then the last stable offset instead of the high watermark; v4 the
// leader epoch (KIP-320); v5 may answer OFFSET_NOT_AVAILABLE (KIP-207); v6 flexible; v7 takes timestamp -3 (KIP-734).
//
// request   replica_id int32 (-1) · isolation_level int8 · topics [ name string · partitions [ partition_index int32
//             · current_leader_epoch int32 · timestamp int64 · tags ] · tags ] · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · error_code int16
//             · timestamp int64 · offset int64 · leader_epoch int32 · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'

export type IsolationLevel = 'read_uncommitted' | 'read_committed'

/** Asks for the high watermark (read_uncommitted) or the last stable offset (read_committed). */
export const LATEST_TIMESTAMP = -1
/** Asks for the log start offset. */
export const EARLIEST_TIMESTAMP = -2

export const isolationByte = (level: IsolationLevel): 0 | 1 => (level === 'read_committed' ? 1 : 0)

export interface ListOffsetsPartition {
  readonly partition: number
  /** -1: do not check. Else the broker answers FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH where it differs. */
  readonly currentLeaderEpoch: number
  /** Milliseconds since the epoch, or LATEST_TIMESTAMP, or EARLIEST_TIMESTAMP. */
  readonly timestamp: number
}

export interface ListOffsetsRequest {
  readonly isolationLevel: IsolationLevel
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly ListOffsetsPartition[] }[]
}

export interface ListedOffset {
  readonly partition: number
  readonly errorCode: number
  /** Timestamp of the record found; -1 for latest and earliest. */
  readonly timestamp: number
  /** -1 where no record has that timestamp or a later one, and with an error. */
  readonly offset: number
  readonly leaderEpoch: number
}

export interface ListOffsetsResponse {
  readonly throttleTimeMs: number
  readonly topics: { readonly topic: string; readonly partitions: ListedOffset[] }[]
}

const CONSUMER = -1

export const listOffsets: Api<ListOffsetsRequest, ListOffsetsResponse> = defineApi({
  key: 2,
  name: 'ListOffsets',
  versions: [4, 7],
  flexibleFrom: 6,

  encode(writer, _version, request) {
    writer.int32(CONSUMER).int8(isolationByte(request.isolationLevel))
    writer.structs(request.topics, (topic) => {
      writer.string(topic.topic).structs(topic.partitions, (partition) => {
        writer.int32(partition.partition).int32(partition.currentLeaderEpoch).int64(partition.timestamp)
      })
    })
    writer.tags()
  },

  decode(reader) {
    const response = {
      throttleTimeMs: reader.int32(),
      topics: reader.structs(() => ({
        topic: reader.string(),
        partitions: reader.structs(() => ({
          partition: reader.int32(),
          errorCode: reader.int16(),
          timestamp: reader.int64(),
          offset: reader.int64(),
          leaderEpoch: reader.int32(),
        })),
      })),
    }
    reader.tags()
    return response
  },
})
