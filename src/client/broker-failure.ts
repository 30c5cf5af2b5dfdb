// What an error code of a broker becomes outside of a transaction: an error of ours whose code says what the runtime
// does. `transactionFailure` (answers.ts) does the same for the requests of a transaction.
import { type ErrorCode, MillstreamError } from '../errors.ts'
import type { ApiName } from '../protocol/api.ts'
import { type BrokerReaction, brokerError, reactionFor } from '../protocol/error-codes.ts'

type Outcome = readonly [code: ErrorCode, fix?: string]

const byName: Readonly<Record<string, Outcome>> = {
  UNKNOWN_TOPIC_OR_PARTITION: ['TOPIC_MISSING', 'Create the topic, or correct its name.'],
  UNKNOWN_TOPIC_ID: ['TOPIC_MISSING', 'Create the topic, or correct its name.'],
  INVALID_TOPIC_EXCEPTION: [
    'TOPIC_MISSING',
    'A topic name has letters, digits, ".", "_" and "-", at most 249.',
  ],
  FENCED_INSTANCE_ID: [
    'INSTANCE_FENCED',
    'Another process runs with the same instance id: give each its own.',
  ],
}

const byReaction: Readonly<Partial<Record<BrokerReaction, Outcome>>> = {
  denied: [
    'AUTHORIZATION_FAILED',
    'Grant the right on the resource named here to the principal of the worker.',
  ],
  authenticate: ['AUTHENTICATION_FAILED', 'Check the setting sasl.'],
  unsupported: ['BROKER_TOO_OLD', 'Update the brokers: Kafka 3.9 is the oldest version that is tested.'],
  rejoin: ['MEMBERSHIP_LOST'],
  rebalance: ['MEMBERSHIP_LOST'],
}

/**
 * @param where topic, partition, group or member
 * @param detail what the broker said beside the code
 */
export const brokerFailure = (
  api: ApiName,
  code: number,
  where: Readonly<Record<string, unknown>>,
  detail?: string | null,
): MillstreamError => {
  const { name, text } = brokerError(code)
  const [ours, fix] = byName[name] ?? byReaction[reactionFor(code, api)] ?? ['BROKER_ERROR']
  return new MillstreamError(ours, { what: `${api} was answered ${name}: ${detail || text}`, where, fix })
}
