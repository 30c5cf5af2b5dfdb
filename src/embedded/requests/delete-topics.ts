// DeleteTopics, key 20, v1-6: removes topics with their records, each for itself. v4 is flexible, v5 adds a sentence to an
// error, v6 may name topics by id (KIP-516). A topic that is named twice, by name or by id, is refused.
//
// request   v1-5  topic_names [string] · timeout_ms int32 · tags
//           v6    topics [ name string? · topic_id uuid · tags ] · timeout_ms int32 · tags
// response  throttle_time_ms int32 · responses [ name string (v6 nullable) · (v6) topic_id uuid · error_code int16
//           · (v5+) error_message string? · tags ] · tags
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Named {
  readonly name: string | null
  readonly id: string | null
}

interface Request {
  readonly topics: readonly Named[]
}

interface Deleted extends Named {
  readonly errorCode: number
  readonly message: string | null
}

interface Response {
  readonly topics: readonly Deleted[]
}

const remove = ({ topics }: BrokerState, { name, id }: Named, times: number): Deleted => {
  const refuse = (errorCode: number, message: string): Deleted => ({ name, id, errorCode, message })
  if (name !== null && id !== null)
    return refuse(codes.INVALID_REQUEST, 'You may not specify both topic name and topic id.')
  if (name === null && id === null)
    return refuse(codes.INVALID_REQUEST, 'Neither topic name nor id were specified.')
  const topic = name === null ? topics.byId(id ?? '') : topics.get(name)
  if (topic === undefined) {
    return name === null
      ? refuse(codes.UNKNOWN_TOPIC_ID, 'This server does not host this topic ID.')
      : refuse(codes.UNKNOWN_TOPIC_OR_PARTITION, 'This server does not host this topic-partition.')
  }
  if (times > 1) {
    const text = 'The provided topic name maps to an ID that was already supplied.'
    return refuse(codes.INVALID_REQUEST, text)
  }
  topics.delete(topic.name)
  return { name: topic.name, id: topic.id, errorCode: codes.NONE, message: null }
}

export const deleteTopicsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexibleFrom: 4,

  decode(reader, version) {
    const topics: Named[] =
      version >= 6
        ? reader.structs(() => ({ name: reader.nullableString(), id: reader.uuid() }))
        : reader.array(() => ({ name: reader.string(), id: null }))
    reader.int32()
    reader.tags()
    return { topics }
  },

  encode(writer, version, { topics }) {
    writer.int32(0)
    writer.structs(topics, ({ name, id, errorCode, message }) => {
      if (version >= 6) writer.nullableString(name).uuid(id)
      else writer.string(name ?? '')
      writer.int16(errorCode)
      if (version >= 5) writer.nullableString(message)
    })
    writer.tags()
  },

  handle({ topics }, { broker }) {
    const idOf = ({ name, id }: Named): string =>
      (name === null ? id : broker.topics.get(name)?.id) ?? `name ${name}`
    const times = new Map<string, number>()
    for (const named of topics) times.set(idOf(named), (times.get(idOf(named)) ?? 0) + 1)
    const distinct = [...new Map(topics.map((named) => [idOf(named), named])).values()]
    const counts = distinct.map((named) => times.get(idOf(named)) ?? 1)
    return { topics: distinct.map((named, at) => remove(broker, named, counts[at] ?? 1)) }
  },
})
