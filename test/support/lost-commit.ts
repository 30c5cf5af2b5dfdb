// Troubles for a worker behind the proxy: a commit whose end it does not learn, answers that say something else, and a
// member that is put out of its group from outside.
import { leaveGroup } from '../../src/protocol/leave-group.ts'
import { connect } from './client.ts'
import { apiKeys, type ProxiedRequest, readEndTxn, type Verdict } from './proxy.ts'

/** The api keys of membership and of what a recovery asks. */
export const recoveryKeys = {
  ListOffsets: 2,
  OffsetFetch: 9,
  JoinGroup: 11,
  Heartbeat: 12,
  SyncGroup: 14,
} as const

export type LostOutcome = 'applied' | 'never arrived'

/** In a flexible answer: correlation id int32 · tags · throttle_time_ms int32 · error_code int16 */
const errorAt = 9

/** The answer to a heartbeat (v4), saying REBALANCE_IN_PROGRESS. */
export const askToRejoin = (answer: Buffer): Buffer => {
  const changed = Buffer.from(answer)
  changed.writeInt16BE(27, errorAt)
  return changed
}

/** The answer to EndTxn, saying INVALID_TXN_STATE: whether it was committed has to be looked up. */
export const refuseEnd = (answer: Buffer): Buffer => {
  const changed = Buffer.from(answer)
  changed.writeInt16BE(48, errorAt)
  return changed
}

/**
 * The answer to TxnOffsetCommit v3+, with UNKNOWN_SERVER_ERROR for its first partition, so that the transaction is
 * aborted: correlation id int32 · tags · throttle_time_ms int32 · topics [ name string · partitions [ index int32 ·
 * error_code int16 · tags ] · tags ] · tags
 */
export const refuseOffsets = (answer: Buffer): Buffer => {
  const refused = Buffer.from(answer)
  const nameAt = 10
  refused.writeInt16BE(-1, nameAt + answer.readUInt8(nameAt) + 5)
  return refused
}

/** The same answer for another request of its kind. */
export const answerAgain = (kept: Buffer, request: ProxiedRequest): Buffer => {
  const again = Buffer.from(kept)
  again.writeInt32BE(request.correlationId, 0)
  return again
}

/** Lets one EndTxn(commit) be applied or not, and nobody learn which, until the producer is initialised again. */
export class LostCommit {
  readonly #outcome: LostOutcome
  /** idle -> armed -> lost (nothing of EndTxn is answered) -> initialised (InitProducerId succeeded) */
  state: 'idle' | 'armed' | 'lost' | 'initialised' = 'idle'

  constructor(outcome: LostOutcome) {
    this.#outcome = outcome
  }

  request(request: ProxiedRequest): Verdict {
    if (request.apiKey !== apiKeys.EndTxn || !readEndTxn(request).committed) return 'pass'
    if (this.state === 'lost') return 'cut'
    if (this.state !== 'armed') return 'pass'
    if (this.#outcome === 'applied') return 'pass'
    this.state = 'lost'
    return 'cut'
  }

  answer(request: ProxiedRequest, answer: Buffer): Verdict {
    const succeeded = (): boolean => answer.readInt16BE(errorAt) === 0
    if (request.apiKey === apiKeys.InitProducerId && this.state === 'lost' && succeeded()) {
      this.state = 'initialised'
    } else if (request.apiKey === apiKeys.EndTxn && this.state === 'armed' && readEndTxn(request).committed) {
      if (!succeeded()) return 'pass'
      this.state = 'lost'
      return 'cut'
    }
    return 'pass'
  }
}

/** Puts a member out of its group, as an operator's tool does (KIP-345). It learns of it by its next heartbeat. */
export const putOut = async (groupId: string, groupInstanceId: string): Promise<void> => {
  const cluster = await connect()
  try {
    const node = await cluster.coordinator('group', groupId)
    const member = { memberId: '', groupInstanceId, reason: 'test' }
    const answer = await cluster.send(node, 'admin', leaveGroup, { groupId, members: [member] })
    const errorCode = answer.errorCode || (answer.members[0]?.errorCode ?? -1)
    if (errorCode !== 0) throw new Error(`LeaveGroup was answered ${errorCode}`)
  } finally {
    await cluster.close()
  }
}

/** OffsetFetch for the positions of tasks: whether the coordinator is loaded is asked without a topic (loaded-group.ts). */
export const asksForPositions = (
  { apiKey, bytes }: ProxiedRequest,
  app: { readonly input: string },
): boolean => apiKey === recoveryKeys.OffsetFetch && bytes.includes(app.input)
