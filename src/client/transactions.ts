// Transactions as somebody else sees them: which ones are open at a broker, and the end of one whose producer is gone. A
// worker's own are transactional-producer.ts.
import { type BrokerReaction, reactionFor } from '../protocol/error-codes.ts'
import { initProducerId } from '../protocol/init-producer-id.ts'
import { listTransactions } from '../protocol/list-transactions.ts'
import { transactionFailure } from './answers.ts'
import { brokerFailure } from './broker-failure.ts'
import type { Cluster } from './cluster.ts'

export interface OpenTransaction {
  readonly transactionalId: string
  readonly producerId: number
  /** Node id of its coordinator. */
  readonly coordinator: number
}

const NONE = 0
/** What is being committed or aborted (PrepareCommit, PrepareAbort) is decided, and ends without anybody's help. */
const undecided = ['Ongoing']
const seenByNextList: ReadonlySet<BrokerReaction> = new Set<BrokerReaction>([
  'none',
  'retry',
  'find-coordinator',
])

/**
 * The transactions that this broker coordinates and that nobody has decided, of the transactional ids that we may
 * describe.
 * @throws MillstreamError AUTHORIZATION_FAILED, BROKER_TOO_OLD, REQUEST_TIMED_OUT, CONNECTION_LOST, BROKER_ERROR (for
 * instance a coordinator that is still loading)
 */
export const listOpenTransactions = async (cluster: Cluster, node: number): Promise<OpenTransaction[]> => {
  const { errorCode, transactions } = await cluster.send(node, 'admin', listTransactions, {
    states: undecided,
  })
  if (errorCode !== NONE) throw brokerFailure('ListTransactions', errorCode, { broker: node })
  return transactions.map(({ transactionalId, producerId }) => ({
    transactionalId,
    producerId,
    coordinator: node,
  }))
}

/**
 * Aborts an open transaction and fences its producer: InitProducerId without an id and epoch, once. A weapon: who calls it
 * is sure that the producer is gone, or has no right any more to what it does (see `TransactionalProducer.init`).
 * @param transactionTimeoutMs of the next transactions of this transactional id, until its producer says another
 * @returns when the coordinator has begun; whether it had anything to abort, the next list shows
 * @throws MillstreamError AUTHORIZATION_FAILED (the right Write on the transactional id), REQUEST_TIMED_OUT,
 * CONNECTION_LOST
 */
export const fenceProducer = async (
  cluster: Cluster,
  { transactionalId, coordinator }: OpenTransaction,
  transactionTimeoutMs: number,
): Promise<void> => {
  const { errorCode } = await cluster.send(coordinator, 'admin', initProducerId, {
    transactionalId,
    transactionTimeoutMs,
    producerId: -1,
    producerEpoch: -1,
  })
  // CONCURRENT_TRANSACTIONS: the abort has begun, and another request would only bump the epoch once more. NOT_COORDINATOR
  // and the like: the next list comes from the right one.
  if (seenByNextList.has(reactionFor(errorCode, 'InitProducerId'))) return
  throw transactionFailure('InitProducerId', errorCode, { transactionalId })
}
