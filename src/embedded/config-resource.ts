// What settings belong to, as the requests about settings name it, and what is wrong with such a name.
import { codes } from './codes.ts'
import { nameProblem } from './topic-table.ts'

export const resourceTypes = { topic: 2, node: 4 } as const

export interface Resource {
  readonly type: number
  readonly name: string
}

interface Problem {
  readonly errorCode: number
  readonly message: string
}

/** Kafka's words for any request that makes no sense. */
export const wrongRequest =
  'This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.'

/** Of the name of a topic that does not exist. */
export const topicProblem = (name: string): Problem | undefined => {
  const message = nameProblem(name)
  return message === undefined ? undefined : { errorCode: codes.INVALID_TOPIC_EXCEPTION, message }
}

/** Of the name of a node: its id, or '' for what all nodes have. */
export const nodeProblem = (name: string, nodeId: number): Problem | undefined => {
  if (name === '' || name === String(nodeId)) return undefined
  const message = /^-?\d+$/.test(name)
    ? `Unexpected broker id, expected ${nodeId} or empty string, but received ${name}`
    : `Broker id must be an integer, but it is: ${name}`
  return { errorCode: codes.INVALID_REQUEST, message }
}
