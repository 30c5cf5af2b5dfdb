// A cluster made of a script, for requests whose answers no real broker would hold back on demand: it has one broker, with
// the leader of every partition and all coordinators, and what becomes of each request is up to the test.
import type { Cluster } from '../../../src/client/cluster.ts'
import { MillstreamError } from '../../../src/errors.ts'
import type { Api } from '../../../src/protocol/api.ts'

/** What a request gets: an answer, or a promise of one. `undefined`: none, until the connection is interrupted. */
export type Script = (api: string, request: unknown, node: number) => unknown

export interface ScriptedCluster {
  readonly cluster: Cluster
  /** Names of the requests that were sent, in order. */
  readonly sent: string[]
  script: Script
  /** Of partitions; -1: none is known. */
  leader: number
}

export const connectionLost = (): MillstreamError =>
  new MillstreamError('CONNECTION_LOST', { what: 'the connection broke' })

const never = (): Promise<never> => new Promise(() => {})

export const scriptedCluster = (transactionVersion: 1 | 2, script: Script): ScriptedCluster => {
  const sent: string[] = []
  const waiting = new Map<string, ((error: Error) => void)[]>()
  const send = (node: number, role: string, { name }: Api<never, unknown>, request: unknown) => {
    sent.push(name)
    const answer = scripted.script(name, request, node)
    if (answer !== undefined) return Promise.resolve(answer)
    return new Promise((_resolve, reject) => {
      waiting.set(role, [...(waiting.get(role) ?? []), reject])
    })
  }
  const connection = {}
  const cluster = {
    transactionVersion,
    requestTimeoutMs: 30_000,
    send,
    brokers: () => [{ nodeId: 0 }],
    sendToAny: (api: Api<never, unknown>, request: unknown) => send(0, 'admin', api, request),
    coordinator: () => Promise.resolve(0),
    forgetCoordinator: () => {},
    connection: () => connection,
    partition: () => (scripted.leader < 0 ? undefined : { leader: scripted.leader, leaderEpoch: 0 }),
    topic: () => ({ partitions: 1, topicId: '' }),
    refreshMetadata: () =>
      scripted.script('Metadata', undefined, 0) === undefined ? never() : Promise.resolve(),
    interrupt: (_node: number, role: string) => {
      for (const reject of waiting.get(role) ?? []) reject(connectionLost())
      waiting.delete(role)
    },
  }
  const scripted = { cluster: cluster as unknown as Cluster, sent, script, leader: 0 }
  return scripted
}

/** What to answer for each partition that the request names. */
export const forPartitions = (request: unknown, answer: object): unknown => ({
  topics: (
    request as { topics: { topic: string; partitions: (number | { partition: number })[] }[] }
  ).topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map((one) => ({
      partition: typeof one === 'number' ? one : one.partition,
      ...answer,
    })),
  })),
})

/** Settles when everything that can go on by itself has. */
export const idle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))
