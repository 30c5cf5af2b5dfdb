// Every error code that a broker may answer: its name, what it says, and the one reaction that is decided for it.
// Nothing else in the project compares raw codes to decide what happens next.
//
// Two rules run through the table. A reaction never guesses the outcome of a transaction: where it may have been
// decided without us, the answer is `recover`, never `abort`. And every repetition (`retry`, `refresh-metadata`,
// `find-coordinator`) is bounded by a deadline of the caller, so that a fault that does not pass becomes an error.
import type { ApiName } from './api.ts'

export type BrokerReaction =
  /** Not a failure: what was asked for holds. */
  | 'none'
  /** Passing trouble at the broker: wait, then repeat the same request, byte by byte. */
  | 'retry'
  /** The leader (or controller) moved, or the broker's view lags: refresh the metadata, then repeat there. */
  | 'refresh-metadata'
  /** The coordinator moved: look it up, then repeat there. */
  | 'find-coordinator'
  /** The open transaction cannot be completed but is ours to end: abort it and process its records again. */
  | 'abort'
  /**
   * Producer id, epoch or transaction are no longer what we hold: the coordinator timed the transaction out, or a
   * newer self took over. Check the membership, then initialise the producer and read what is committed.
   */
  | 'recover'
  /** The group does not know this member or its generation: it owns nothing any more and joins again. */
  | 'rejoin'
  /** The group rebalances: end what is open within the budget, then join; the membership itself stands. */
  | 'rebalance'
  /** The position lies outside the log: decide by the policy of the topic where to go on. */
  | 'reset-position'
  /** This batch can never be taken, however often it is sent: a record in it is at fault, not the cluster. */
  | 'record'
  /** The principal lacks a right: an administrator has to act. */
  | 'denied'
  /** The credentials or the way of logging in are refused. */
  | 'authenticate'
  /** The broker (or its version, format or settings) does not have what was asked for. */
  | 'unsupported'
  /** A mistake in settings or a bug: it would come again, so the worker stops and names it. */
  | 'stop'

export interface BrokerError {
  readonly code: number
  readonly name: string
  /** One line, without a full stop. */
  readonly text: string
  /** The reaction where `reactionFor` knows nothing more special for the API. */
  readonly reaction: BrokerReaction
}

type Overrides = Readonly<Partial<Record<ApiName, BrokerReaction>>>

interface Row extends BrokerError {
  readonly on: Overrides | undefined
}

const row = (code: number, name: string, reaction: BrokerReaction, text: string, on?: Overrides): Row => ({
  code,
  name,
  reaction,
  text,
  on,
})

// In a transaction an error without a meaning of its own ends in an abort, which is safe as long as EndTxn was not
// sent. At EndTxn itself it says nothing about the outcome.
const inTransaction: Overrides = {
  Produce: 'abort',
  TxnOffsetCommit: 'abort',
  AddPartitionsToTxn: 'abort',
  AddOffsetsToTxn: 'abort',
  EndTxn: 'recover',
}

// A coordinator that does not know a topic yet is asked again: there is no leader to look for.
const askAgain: Overrides = {
  AddPartitionsToTxn: 'retry',
  TxnOffsetCommit: 'retry',
  OffsetCommit: 'retry',
  OffsetFetch: 'retry',
}

// Since KIP-890 the leader that takes a produce asks the transaction coordinator by itself and passes its trouble on.
// It finds that coordinator by itself, too, so there is nothing for us to look up.
const leaderAsks: Overrides = { Produce: 'retry' }

const rows: readonly Row[] = [
  row(-1, 'UNKNOWN_SERVER_ERROR', 'retry', 'The broker met an error that it has no code for', {
    ...inTransaction,
    SyncGroup: 'rejoin', // an assignment too large for the group's topic: repeating the same one cannot help
  }),
  row(0, 'NONE', 'none', 'No error'),
  row(1, 'OFFSET_OUT_OF_RANGE', 'reset-position', 'The offset lies outside what the partition holds', {
    DeleteRecords: 'retry', // above the high watermark of a leader that has just taken over
  }),
  row(2, 'CORRUPT_MESSAGE', 'stop', 'A batch does not match its checksum or is malformed', {
    Produce: 'abort',
  }),
  row(
    3,
    'UNKNOWN_TOPIC_OR_PARTITION',
    'refresh-metadata',
    'The broker does not host this partition',
    askAgain,
  ),
  row(4, 'INVALID_FETCH_SIZE', 'stop', 'The number of bytes asked for is not valid'),
  row(5, 'LEADER_NOT_AVAILABLE', 'refresh-metadata', 'The partition is electing a leader', askAgain),
  row(6, 'NOT_LEADER_OR_FOLLOWER', 'refresh-metadata', 'The broker no longer leads this partition', askAgain),
  row(7, 'REQUEST_TIMED_OUT', 'retry', 'The broker could not finish the request in time'),
  row(8, 'BROKER_NOT_AVAILABLE', 'refresh-metadata', 'The broker is not available'),
  row(
    9,
    'REPLICA_NOT_AVAILABLE',
    'refresh-metadata',
    'The broker has no replica of this partition at the moment',
  ),
  row(10, 'MESSAGE_TOO_LARGE', 'record', 'The batch is larger than max.message.bytes of its topic'),
  row(11, 'STALE_CONTROLLER_EPOCH', 'refresh-metadata', 'The controller moved'),
  row(
    12,
    'OFFSET_METADATA_TOO_LARGE',
    'stop',
    'The metadata of an offset is longer than offset.metadata.max.bytes',
  ),
  row(13, 'NETWORK_EXCEPTION', 'retry', 'The broker lost a connection that it needed for this request'),
  row(14, 'COORDINATOR_LOAD_IN_PROGRESS', 'retry', 'The coordinator is still loading its state'),
  row(
    15,
    'COORDINATOR_NOT_AVAILABLE',
    'find-coordinator',
    'No coordinator is available at the moment',
    leaderAsks,
  ),
  row(
    16,
    'NOT_COORDINATOR',
    'find-coordinator',
    'The broker is not the coordinator, or no longer',
    leaderAsks,
  ),
  row(
    17,
    'INVALID_TOPIC_EXCEPTION',
    'stop',
    'The topic has a name that cannot be used, or may not be written to',
  ),
  row(18, 'RECORD_LIST_TOO_LARGE', 'record', 'The batch is larger than segment.bytes of its topic'),
  // Nothing was appended (19), or it was but on too few replicas (20): the same bytes under the same sequence either
  // go in now or are recognised.
  row(19, 'NOT_ENOUGH_REPLICAS', 'retry', 'Fewer replicas are in sync than min.insync.replicas asks for'),
  row(
    20,
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'retry',
    'The batch was appended, but on too few replicas in sync',
  ),
  row(21, 'INVALID_REQUIRED_ACKS', 'stop', 'The number of acknowledgements asked for is not valid'),
  row(22, 'ILLEGAL_GENERATION', 'rejoin', 'The generation is not the current one of the group'),
  row(23, 'INCONSISTENT_GROUP_PROTOCOL', 'stop', 'The members of the group have no protocol in common'),
  row(24, 'INVALID_GROUP_ID', 'stop', 'The group id is not valid'),
  row(25, 'UNKNOWN_MEMBER_ID', 'rejoin', 'The group does not know this member', { LeaveGroup: 'none' }),
  row(26, 'INVALID_SESSION_TIMEOUT', 'stop', 'sessionTimeoutMs is outside what the broker allows for groups'),
  row(27, 'REBALANCE_IN_PROGRESS', 'rebalance', 'The group rebalances'),
  row(
    28,
    'INVALID_COMMIT_OFFSET_SIZE',
    'stop',
    'One commit holds more than a batch of the offsets topic can take',
  ),
  row(29, 'TOPIC_AUTHORIZATION_FAILED', 'denied', 'The principal lacks a right on the topic'),
  row(30, 'GROUP_AUTHORIZATION_FAILED', 'denied', 'The principal lacks a right on the group'),
  row(31, 'CLUSTER_AUTHORIZATION_FAILED', 'denied', 'The principal lacks a right on the cluster'),
  row(32, 'INVALID_TIMESTAMP', 'record', 'The timestamp of a record is outside what its topic takes'),
  row(33, 'UNSUPPORTED_SASL_MECHANISM', 'authenticate', 'The broker does not offer this SASL mechanism'),
  row(34, 'ILLEGAL_SASL_STATE', 'authenticate', 'The request does not fit the state of the login'),
  row(35, 'UNSUPPORTED_VERSION', 'unsupported', 'The broker does not take this version of the request'),
  row(36, 'TOPIC_ALREADY_EXISTS', 'stop', 'A topic of this name exists', {
    CreateTopics: 'none', // another worker, or our own repeated request, was first; the caller checks what is there
  }),
  row(37, 'INVALID_PARTITIONS', 'stop', 'The number of partitions is not valid'),
  row(
    38,
    'INVALID_REPLICATION_FACTOR',
    'stop',
    'The replication factor is below 1 or above the number of brokers',
  ),
  row(39, 'INVALID_REPLICA_ASSIGNMENT', 'stop', 'The assignment of replicas is not valid'),
  row(40, 'INVALID_CONFIG', 'stop', 'A setting of the topic is not valid'),
  row(41, 'NOT_CONTROLLER', 'refresh-metadata', 'The broker is not the controller, or no longer'),
  row(42, 'INVALID_REQUEST', 'stop', 'The broker finds the request contradictory'),
  row(
    43,
    'UNSUPPORTED_FOR_MESSAGE_FORMAT',
    'unsupported',
    'The record format of the topic is too old for the request',
  ),
  row(44, 'POLICY_VIOLATION', 'stop', 'A policy of the cluster forbids what was asked for'),
  // Batches of a partition are numbered, and one that overtook a batch that is being repeated goes in once that one is
  // in. Where the gap is real, the deadline of the transaction turns the repetition into an abort.
  row(45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'abort', 'The batch before this one has not arrived', {
    Produce: 'retry',
    EndTxn: 'recover',
  }),
  row(46, 'DUPLICATE_SEQUENCE_NUMBER', 'none', 'The broker took this batch before'),
  row(47, 'INVALID_PRODUCER_EPOCH', 'recover', 'The producer epoch is not the current one'),
  row(48, 'INVALID_TXN_STATE', 'recover', 'The transaction is not in a state for this request'),
  row(
    49,
    'INVALID_PRODUCER_ID_MAPPING',
    'recover',
    'The transactional id has another producer id, or has expired',
  ),
  row(
    50,
    'INVALID_TRANSACTION_TIMEOUT',
    'stop',
    'transactionTimeoutMs is above transaction.max.timeout.ms of the broker',
  ),
  // The markers of the transaction before are still being written, or the coordinator is busy with this id.
  row(
    51,
    'CONCURRENT_TRANSACTIONS',
    'retry',
    'The coordinator is not done with an earlier step of this transactional id',
  ),
  row(
    52,
    'TRANSACTION_COORDINATOR_FENCED',
    'find-coordinator',
    'The transaction coordinator was replaced',
    leaderAsks,
  ),
  row(
    53,
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    'denied',
    'The principal lacks a right on the transactional id',
  ),
  row(54, 'SECURITY_DISABLED', 'unsupported', 'The broker runs without the security feature asked for'),
  row(55, 'OPERATION_NOT_ATTEMPTED', 'abort', 'Not tried, because another partition of the request failed', {
    EndTxn: 'recover',
  }),
  row(56, 'KAFKA_STORAGE_ERROR', 'refresh-metadata', 'The log directory of the partition failed'),
  row(57, 'LOG_DIR_NOT_FOUND', 'stop', 'The broker has no such log directory'),
  row(58, 'SASL_AUTHENTICATION_FAILED', 'authenticate', 'The credentials are refused'),
  row(59, 'UNKNOWN_PRODUCER_ID', 'recover', 'The partition has forgotten this producer id'),
  row(60, 'REASSIGNMENT_IN_PROGRESS', 'retry', 'Replicas of the partition are being moved'),
  row(61, 'DELEGATION_TOKEN_AUTH_DISABLED', 'authenticate', 'The broker has no delegation tokens'),
  row(62, 'DELEGATION_TOKEN_NOT_FOUND', 'authenticate', 'The delegation token does not exist'),
  row(
    63,
    'DELEGATION_TOKEN_OWNER_MISMATCH',
    'authenticate',
    'The delegation token belongs to another principal',
  ),
  row(
    64,
    'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED',
    'authenticate',
    'Delegation tokens cannot be used on this connection',
  ),
  row(
    65,
    'DELEGATION_TOKEN_AUTHORIZATION_FAILED',
    'denied',
    'The principal lacks a right on the delegation token',
  ),
  row(66, 'DELEGATION_TOKEN_EXPIRED', 'authenticate', 'The delegation token has expired'),
  row(67, 'INVALID_PRINCIPAL_TYPE', 'authenticate', 'The broker does not know this kind of principal'),
  row(68, 'NON_EMPTY_GROUP', 'stop', 'The group still has members'),
  row(69, 'GROUP_ID_NOT_FOUND', 'rejoin', 'The group does not exist', {
    LeaveGroup: 'none',
    DescribeGroups: 'none',
  }),
  // Sessions are not used (fetch.ts), so a broker has no cause for 70, 71 and 106; a repeated full fetch answers them.
  row(70, 'FETCH_SESSION_ID_NOT_FOUND', 'retry', 'The fetch session does not exist'),
  row(71, 'INVALID_FETCH_SESSION_EPOCH', 'retry', 'The fetch session is at another request'),
  row(
    72,
    'LISTENER_NOT_FOUND',
    'refresh-metadata',
    'The leader has no listener of the kind that we came in by',
  ),
  row(73, 'TOPIC_DELETION_DISABLED', 'stop', 'The cluster does not delete topics'),
  row(74, 'FENCED_LEADER_EPOCH', 'refresh-metadata', 'Our leader epoch is older than that of the broker'),
  // The broker learns of its new epoch in a moment: our metadata is ahead of it, not behind.
  row(75, 'UNKNOWN_LEADER_EPOCH', 'retry', 'Our leader epoch is newer than that of the broker'),
  row(76, 'UNSUPPORTED_COMPRESSION_TYPE', 'unsupported', 'This compression cannot be used here'),
  row(77, 'STALE_BROKER_EPOCH', 'stop', 'The broker registered anew; an answer for brokers only'),
  row(78, 'OFFSET_NOT_AVAILABLE', 'retry', 'The new leader has not caught up to the high watermark'),
  // The answer carries the member id to ask with (KIP-394): the caller puts it in before it repeats.
  row(
    79,
    'MEMBER_ID_REQUIRED',
    'retry',
    'The group gave out a member id and wants the join repeated with it',
  ),
  row(80, 'PREFERRED_LEADER_NOT_AVAILABLE', 'refresh-metadata', 'The preferred leader is not available'),
  row(81, 'GROUP_MAX_SIZE_REACHED', 'stop', 'The group has group.max.size members'),
  row(82, 'FENCED_INSTANCE_ID', 'stop', 'Another process joined with the same group.instance.id'),
  row(83, 'ELIGIBLE_LEADERS_NOT_AVAILABLE', 'refresh-metadata', 'No replica may lead the partition'),
  row(84, 'ELECTION_NOT_NEEDED', 'none', 'The partition needs no election'),
  row(85, 'NO_REASSIGNMENT_IN_PROGRESS', 'none', 'No replicas are being moved'),
  row(86, 'GROUP_SUBSCRIBED_TO_TOPIC', 'stop', 'The group still subscribes to the topic'),
  row(
    87,
    'INVALID_RECORD',
    'record',
    'A record breaks a rule of its topic (a compacted one takes no null key)',
  ),
  row(88, 'UNSTABLE_OFFSET_COMMIT', 'retry', 'A transaction that touches these offsets is not decided yet'),
  row(89, 'THROTTLING_QUOTA_EXCEEDED', 'retry', 'The quota for changes to the cluster is used up for now'),
  row(90, 'PRODUCER_FENCED', 'recover', 'A newer producer has the same transactional id'),
  row(91, 'RESOURCE_NOT_FOUND', 'stop', 'What the request names does not exist'),
  row(92, 'DUPLICATE_RESOURCE', 'stop', 'The request names the same thing twice'),
  row(93, 'UNACCEPTABLE_CREDENTIAL', 'authenticate', 'The credential does not meet the rules of the cluster'),
  row(94, 'INCONSISTENT_VOTER_SET', 'stop', 'The controllers disagree on who votes'),
  row(95, 'INVALID_UPDATE_VERSION', 'stop', 'A version to update from or to is not valid'),
  row(96, 'FEATURE_UPDATE_FAILED', 'stop', 'The features of the cluster could not be changed'),
  row(97, 'PRINCIPAL_DESERIALIZATION_FAILURE', 'authenticate', 'The controller could not read who we are'),
  row(98, 'SNAPSHOT_NOT_FOUND', 'stop', 'The controller has no such snapshot'),
  row(99, 'POSITION_OUT_OF_RANGE', 'stop', 'The position is outside the snapshot of the controller'),
  row(100, 'UNKNOWN_TOPIC_ID', 'refresh-metadata', 'The broker does not know this topic id'),
  row(101, 'DUPLICATE_BROKER_REGISTRATION', 'stop', 'The broker id is in use'),
  row(102, 'BROKER_ID_NOT_REGISTERED', 'stop', 'The broker id is not registered'),
  row(103, 'INCONSISTENT_TOPIC_ID', 'refresh-metadata', 'The topic was deleted and created again'),
  row(104, 'INCONSISTENT_CLUSTER_ID', 'stop', 'The broker belongs to another cluster'),
  row(105, 'TRANSACTIONAL_ID_NOT_FOUND', 'recover', 'The transactional id does not exist or has expired'),
  row(106, 'FETCH_SESSION_TOPIC_ID_ERROR', 'retry', 'The fetch session mixes topic ids and names'),
  row(107, 'INELIGIBLE_REPLICA', 'stop', 'A replica may not join those in sync; an answer for brokers only'),
  row(108, 'NEW_LEADER_ELECTED', 'refresh-metadata', 'The partition has got a new leader'),
  row(
    109,
    'OFFSET_MOVED_TO_TIERED_STORAGE',
    'stop',
    'The offset is in tiered storage; an answer for replicas only',
  ),
  // 110 to 113: the new group protocol (KIP-848), which a group of ours can only meet when it was converted to it.
  row(110, 'FENCED_MEMBER_EPOCH', 'rejoin', 'The member epoch is fenced'),
  row(111, 'UNRELEASED_INSTANCE_ID', 'stop', 'Another member still uses this instance id'),
  row(112, 'UNSUPPORTED_ASSIGNOR', 'unsupported', 'The group does not take this assignor'),
  row(113, 'STALE_MEMBER_EPOCH', 'rejoin', 'The member epoch is not the current one'),
  row(
    114,
    'MISMATCHED_ENDPOINT_TYPE',
    'stop',
    'The request went to a controller instead of a broker, or the reverse',
  ),
  row(115, 'UNSUPPORTED_ENDPOINT_TYPE', 'unsupported', 'The broker does not know this kind of endpoint'),
  row(116, 'UNKNOWN_CONTROLLER_ID', 'stop', 'The controller id is not known'),
  row(117, 'UNKNOWN_SUBSCRIPTION_ID', 'stop', 'The telemetry subscription is not known'),
  row(118, 'TELEMETRY_TOO_LARGE', 'stop', 'The telemetry is larger than the broker takes'),
  row(119, 'INVALID_REGISTRATION', 'stop', 'The registration of the broker is not valid'),
  row(120, 'TRANSACTION_ABORTABLE', 'abort', 'The transaction cannot be completed and is to be aborted'),
  row(121, 'INVALID_RECORD_STATE', 'stop', 'A record of a share group is in another state'),
  row(122, 'SHARE_SESSION_NOT_FOUND', 'stop', 'The share session does not exist'),
  row(123, 'INVALID_SHARE_SESSION_EPOCH', 'stop', 'The share session is at another request'),
  row(124, 'FENCED_STATE_EPOCH', 'stop', 'The state of the share group is at another epoch'),
  row(125, 'INVALID_VOTER_KEY', 'stop', 'The key of a controller that votes does not match'),
  row(126, 'DUPLICATE_VOTER', 'stop', 'The controller votes already'),
  row(127, 'VOTER_NOT_FOUND', 'stop', 'The controller does not vote'),
  row(128, 'INVALID_REGULAR_EXPRESSION', 'stop', 'The regular expression is not valid'),
  row(
    129,
    'REBOOTSTRAP_REQUIRED',
    'refresh-metadata',
    'Our view of the cluster is too old: begin at the first brokers',
  ),
  row(
    130,
    'STREAMS_INVALID_TOPOLOGY',
    'unsupported',
    'The topology is not valid (groups kept by the broker, KIP-1071)',
  ),
  row(
    131,
    'STREAMS_INVALID_TOPOLOGY_EPOCH',
    'unsupported',
    'The epoch of the topology is not valid (KIP-1071)',
  ),
  row(132, 'STREAMS_TOPOLOGY_FENCED', 'unsupported', 'The epoch of the topology is outdated (KIP-1071)'),
  row(133, 'SHARE_SESSION_LIMIT_REACHED', 'stop', 'The broker has as many share sessions as it allows'),
]

const byCode: ReadonlyMap<number, Row> = new Map(rows.map((entry) => [entry.code, entry]))

// A broker newer than this table. What its code means is not known, so nothing may be repeated or committed on it.
const unknown = (code: number): Row =>
  row(code, `UNKNOWN_CODE_${code}`, 'stop', 'The broker is newer than this table of codes', inTransaction)

const find = (code: number): Row => byCode.get(code) ?? unknown(code)

/** All codes of the table, ascending. */
export const brokerErrors: readonly BrokerError[] = rows

/** The row of a code; for one that is not in the table a row that says so, with the reaction `stop`. */
export const brokerError = (code: number): BrokerError => find(code)

/** What is done when this API is answered this code. */
export function reactionFor(code: number, apiName: ApiName): BrokerReaction {
  const entry = find(code)
  return entry.on?.[apiName] ?? entry.reaction
}
