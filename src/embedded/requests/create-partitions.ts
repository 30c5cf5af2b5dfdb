// CreatePartitions, key 37, v0-3: raises the number of partitions of topics, each for itself; v2 is flexible. A number
// that is not higher is INVALID_PARTITIONS. With validate_only nothing is changed.
//
// request   topics [ name string · count int32 · assignments [ broker_ids [int32] · tags ]? · tags ] · timeout_ms int32
//           · validate_only bool · tags
// response  throttle_time_ms int32 · results [ name string · error_code int16 · error_message string? · tags ] · tags
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { replicasProblem } from '../replica-assignment.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Wanted {
  readonly name: string
  readonly count: number
  readonly assignments: readonly (readonly number[])[] | null
}

interface Request {
  readonly topics: readonly Wanted[]
  readonly validateOnly: boolean
}

interface Result {
  readonly name: string
  readonly errorCode: number
  readonly message: string | null
}

interface Response {
  readonly results: readonly Result[]
}

const assignmentProblem = (
  broker: BrokerState,
  { count, assignments }: Wanted,
  has: number,
): string | undefined => {
  if (assignments === null) return undefined
  if (assignments.length !== count - has)
    return `Attempted to add ${count - has} additional partition(s), but only ${assignments.length} assignment(s) were specified.`
  return assignments.map((nodes) => replicasProblem(broker, nodes)).find((problem) => problem !== undefined)
}

const add = (broker: BrokerState, wanted: Wanted, validateOnly: boolean): Result => {
  const { name, count } = wanted
  const topic = broker.topics.get(name)
  if (topic === undefined) return { name, errorCode: codes.UNKNOWN_TOPIC_OR_PARTITION, message: null }
  const has = topic.logs.length
  const problem = count > has ? assignmentProblem(broker, wanted, has) : undefined
  if (problem !== undefined) return { name, errorCode: codes.INVALID_REPLICA_ASSIGNMENT, message: problem }
  if (validateOnly && count > has) return { name, errorCode: codes.NONE, message: null }
  return { name, ...broker.topics.addPartitions(name, count) }
}

export const createPartitionsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 3],
  flexibleFrom: 2,

  decode(reader) {
    const topics = reader.structs(() => ({
      name: reader.string(),
      count: reader.int32(),
      assignments: reader.nullableStructs(() => reader.array(() => reader.int32())),
    }))
    reader.int32()
    const validateOnly = reader.bool()
    reader.tags()
    return { topics, validateOnly }
  },

  encode(writer, _version, { results }) {
    writer.int32(0)
    writer.structs(results, ({ name, errorCode, message }) => {
      writer.string(name).int16(errorCode).nullableString(message)
    })
    writer.tags()
  },

  handle({ topics, validateOnly }, { broker }) {
    const distinct = [...new Map(topics.map((wanted) => [wanted.name, wanted])).values()]
    return {
      results: distinct.map((wanted) => {
        const isTwice = topics.filter(({ name }) => name === wanted.name).length > 1
        return isTwice
          ? { name: wanted.name, errorCode: codes.INVALID_REQUEST, message: 'Duplicate topic name.' }
          : add(broker, wanted, validateOnly)
      }),
    }
  },
})
