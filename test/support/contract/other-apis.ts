// Requests that millstream never sends, and fields of others that it leaves alone: layouts for the contract only.
// Field by field as in the protocol guide; one version or a few of each.
import type { IsolationLevel } from '../../../src/protocol/list-offsets.ts'
import { metadata } from '../../../src/protocol/metadata.ts'
import type { WireApi } from './wire.ts'

interface NamedError {
  readonly name: string
  readonly errorCode: number
}

export const deleteTopics: WireApi<{ names: readonly string[] }, NamedError[]> = {
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 5],
  flexibleFrom: 4,
  encode: (writer, _version, { names }) => {
    writer
      .array(names, (name) => writer.string(name))
      .int32(10_000)
      .tags()
  },
  decode: (reader, version) => {
    reader.int32()
    return reader.structs(() => {
      const one = { name: reader.string(), errorCode: reader.int16() }
      if (version >= 5) reader.nullableString()
      return one
    })
  },
}

interface PartitionsWanted {
  readonly topic: string
  readonly count: number
  readonly validateOnly?: boolean
}

export const createPartitions: WireApi<PartitionsWanted, NamedError[]> = {
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 2],
  flexibleFrom: 2,
  encode: (writer, _version, { topic, count, validateOnly = false }) => {
    writer.structs([topic], (name) =>
      writer
        .string(name)
        .int32(count)
        .nullableArray(null, () => undefined),
    )
    writer.int32(10_000).bool(validateOnly).tags()
  },
  decode: (reader) => {
    reader.int32()
    return reader.structs(() => {
      const one = { name: reader.string(), errorCode: reader.int16() }
      reader.nullableString()
      return one
    })
  },
}

/** What to do with a setting: 0 set, 1 delete, 2 append, 3 subtract. */
export interface SettingChange {
  readonly name: string
  readonly operation: number
  readonly value: string | null
}

interface SettingChanges {
  readonly topic: string
  readonly changes: readonly SettingChange[]
  readonly validateOnly?: boolean
}

const topicResource = 2

export const incrementalAlterConfigs: WireApi<SettingChanges, NamedError[]> = {
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexibleFrom: 1,
  encode: (writer, _version, { topic, changes, validateOnly = false }) => {
    writer.structs([topic], (name) => {
      writer.int8(topicResource).string(name)
      writer.structs(changes, (one) => writer.string(one.name).int8(one.operation).nullableString(one.value))
    })
    writer.bool(validateOnly).tags()
  },
  decode: (reader) => {
    reader.int32()
    return reader.structs(() => {
      const errorCode = reader.int16()
      reader.nullableString()
      reader.int8()
      return { errorCode, name: reader.string() }
    })
  },
}

interface EpochAsked {
  readonly topic: string
  readonly partition?: number
  readonly currentLeaderEpoch?: number
  readonly leaderEpoch: number
}

interface EpochEnd {
  readonly errorCode: number
  readonly leaderEpoch: number
  readonly endOffset: number
}

export const offsetForLeaderEpoch: WireApi<EpochAsked, EpochEnd> = {
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [3, 4],
  flexibleFrom: 4,
  encode: (writer, _version, { topic, partition = 0, currentLeaderEpoch = -1, leaderEpoch }) => {
    writer.int32(-1).structs([topic], (name) => {
      writer.string(name)
      writer.structs([partition], (one) => writer.int32(one).int32(currentLeaderEpoch).int32(leaderEpoch))
    })
    writer.tags()
  },
  decode: (reader) => {
    reader.int32()
    const topics = reader.structs(() => {
      reader.string()
      return reader.structs(() => {
        const errorCode = reader.int16()
        reader.int32()
        return { errorCode, leaderEpoch: reader.int32(), endOffset: reader.int64() }
      })
    })
    return topics[0]?.[0] ?? reader.fail('there is no partition in it')
  },
}

interface ListedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly state: string
}

export const listGroups: WireApi<
  { states: readonly string[] },
  { errorCode: number; groups: ListedGroup[] }
> = {
  key: 16,
  name: 'ListGroups',
  versions: [3, 4],
  flexibleFrom: 3,
  encode: (writer, version, { states }) => {
    if (version >= 4) writer.array(states, (state) => writer.string(state))
    writer.tags()
  },
  decode: (reader, version) => {
    reader.int32()
    return {
      errorCode: reader.int16(),
      groups: reader.structs(() => ({
        groupId: reader.string(),
        protocolType: reader.string(),
        state: version >= 4 ? reader.string() : '',
      })),
    }
  },
}

export const deleteGroups: WireApi<{ groups: readonly string[] }, NamedError[]> = {
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleFrom: 2,
  encode: (writer, _version, { groups }) => {
    writer.array(groups, (group) => writer.string(group)).tags()
  },
  decode: (reader) => {
    reader.int32()
    return reader.structs(() => ({ name: reader.string(), errorCode: reader.int16() }))
  },
}

interface OffsetsToDelete {
  readonly groupId: string
  readonly topic: string
  readonly partitions: readonly number[]
}

export const offsetDelete: WireApi<OffsetsToDelete, { errorCode: number; partitionErrors: number[] }> = {
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  flexibleFrom: 99,
  encode: (writer, _version, { groupId, topic, partitions }) => {
    writer.string(groupId).structs([topic], (name) => {
      writer.string(name).structs(partitions, (partition) => writer.int32(partition))
    })
  },
  decode: (reader) => {
    const errorCode = reader.int16()
    reader.int32()
    const topics = reader.structs(() => {
      reader.string()
      return reader.structs(() => {
        reader.int32()
        return reader.int16()
      })
    })
    return { errorCode, partitionErrors: topics.flat() }
  },
}

interface OffsetsOfGroups {
  readonly groups: readonly string[]
  readonly topic: string
}

interface OffsetOfGroup {
  readonly groupId: string
  readonly errorCode: number
  readonly offset: number
}

/** Of partition 0. */
export const offsetFetchOfGroups: WireApi<OffsetsOfGroups, OffsetOfGroup[]> = {
  key: 9,
  name: 'OffsetFetch',
  versions: [8, 8],
  flexibleFrom: 6,
  encode: (writer, _version, { groups, topic }) => {
    writer.structs(groups, (group) => {
      writer
        .string(group)
        .structs([topic], (name) => writer.string(name).array([0], (one) => writer.int32(one)))
    })
    writer.bool(true).tags()
  },
  decode: (reader) => {
    reader.int32()
    return reader.structs(() => {
      const groupId = reader.string()
      const topics = reader.structs(() => {
        reader.string()
        return reader.structs(() => {
          reader.int32()
          const offset = reader.int64()
          reader.int32()
          reader.nullableString()
          reader.int16()
          return offset
        })
      })
      return {
        groupId,
        errorCode: reader.int16(),
        offset: topics[0]?.[0] ?? reader.fail('there is no partition in it'),
      }
    })
  },
}

export const describeCluster: WireApi<null, { errorCode: number; clusterId: string; brokers: number[] }> = {
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 0],
  flexibleFrom: 0,
  encode: (writer) => {
    writer.bool(false).tags()
  },
  decode: (reader) => {
    reader.int32()
    const errorCode = reader.int16()
    reader.nullableString()
    const clusterId = reader.string()
    reader.int32()
    const brokers = reader.structs(() => {
      const nodeId = reader.int32()
      reader.string()
      reader.int32()
      reader.nullableString()
      return nodeId
    })
    return { errorCode, clusterId, brokers }
  },
}

/** Metadata that makes the topics which it names and which are missing. */
export const metadataWithCreation: typeof metadata = {
  ...metadata,
  versions: [9, 9],
  encode: (writer, _version, { topics }) => {
    writer.nullableStructs(topics, (topic) => writer.string(topic))
    writer.bool(true).bool(false).bool(false).tags()
  },
}

interface TopicOfId {
  readonly errorCode: number
  readonly name: string | null
  readonly partitions: number
}

/** Metadata of a topic by its id alone. */
export const metadataById: WireApi<{ topicId: string }, TopicOfId> = {
  key: 3,
  name: 'Metadata',
  versions: [12, 12],
  flexibleFrom: 9,
  encode: (writer, _version, { topicId }) => {
    writer.structs([topicId], (id) => writer.uuid(id).nullableString(null))
    writer.bool(false).bool(false).tags()
  },
  decode: (reader) => {
    reader.int32()
    reader.structs(() => {
      reader.int32()
      reader.string()
      reader.int32()
      reader.nullableString()
    })
    reader.nullableString()
    reader.int32()
    const topics = reader.structs(() => {
      const errorCode = reader.int16()
      const name = reader.nullableString()
      reader.uuid()
      reader.bool()
      const partitions = reader.structs(() => {
        reader.int16()
        for (let field = 0; field < 3; field++) reader.int32()
        for (let list = 0; list < 3; list++) reader.array(() => reader.int32())
      }).length
      reader.int32()
      return { errorCode, name, partitions }
    })
    return topics[0] ?? reader.fail('there is no topic in it')
  },
}

interface SessionFetch {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly isolationLevel?: IsolationLevel
}

/** Fetch that goes on with a session of the broker's (KIP-227) and names no partition. @returns its error code */
export const fetchInSession: WireApi<SessionFetch, number> = {
  key: 1,
  name: 'Fetch',
  versions: [11, 11],
  flexibleFrom: 12,
  encode: (writer, _version, { sessionId, sessionEpoch }) => {
    writer.int32(-1).int32(0).int32(1).int32(1_000_000).int8(0).int32(sessionId).int32(sessionEpoch)
    writer.int32(0).int32(0).string('')
  },
  decode: (reader) => {
    reader.int32()
    return reader.int16()
  },
}

interface TransactionFilters {
  readonly states?: readonly string[]
  readonly producerIds?: readonly number[]
  readonly durationMs?: number
}

export const filteredTransactions: WireApi<
  TransactionFilters,
  { errorCode: number; unknownStates: string[]; transactionalIds: string[] }
> = {
  key: 66,
  name: 'ListTransactions',
  versions: [1, 1],
  flexibleFrom: 0,
  encode: (writer, _version, { states = [], producerIds = [], durationMs = -1 }) => {
    writer.array(states, (state) => writer.string(state))
    writer
      .array(producerIds, (id) => writer.int64(id))
      .int64(durationMs)
      .tags()
  },
  decode: (reader) => {
    reader.int32()
    return {
      errorCode: reader.int16(),
      unknownStates: reader.array(() => reader.string()),
      transactionalIds: reader.structs(() => {
        const id = reader.string()
        reader.int64()
        reader.string()
        return id
      }),
    }
  },
}
