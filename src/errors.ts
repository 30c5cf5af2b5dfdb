// Every error of millstream: its code, what it means and what the runtime does on it. docs/errors.md is held equal
// to this table by a test.

/** What the runtime does when it meets the error. */
export type Reaction =
  /** Stop the worker: nothing is committed past the cause, and a restart without a change would meet it again. */
  | 'stop'
  /** Abort the open transaction, rewind and go on. */
  | 'abort'
  /** The outcome of the commit is unknown or the producer is fenced: re-initialise, read what is committed, replay. */
  | 'recover'
  /** The membership is broken: abort, join the group again, then recover. */
  | 'rejoin'
  /** Act by the policy of the record (fail, retry, skip). */
  | 'policy'
  /** Refuse the call or the start; nothing was begun. */
  | 'refuse'
  /** Wait and repeat the same request. */
  | 'retry'

/** The table of codes. Codes are never reused for another meaning. */
export const errorTable = {
  // settings and modules
  SETTING_INVALID: {
    reaction: 'refuse',
    text: 'One or more settings are unknown, missing or out of range; all mistakes are listed at once.',
  },
  MODULE_NOT_FOUND: {
    reaction: 'refuse',
    text: 'The module given to the command line does not exist or cannot be loaded.',
  },
  MODULE_WITHOUT_TOPOLOGY: {
    reaction: 'refuse',
    text: 'The module has no default export that is a topology.',
  },
  TOPOLOGY_INVALID: {
    reaction: 'refuse',
    text: 'The topology contradicts itself (a stream that leads nowhere, a name used twice, a store not declared).',
  },
  DESCRIPTION_INVALID: {
    reaction: 'refuse',
    text: 'The file given to describe --against is not there, or is not what describe --format json prints.',
  },
  STORE_NOT_DECLARED: { reaction: 'policy', text: 'A processor asked for a store that it did not declare.' },
  OUTPUT_NOT_DECLARED: {
    reaction: 'policy',
    text: 'A processor forwarded to an output that it did not declare.',
  },
  RECORD_EXPIRED: { reaction: 'policy', text: 'A record was read after its turn, when its bytes were gone.' },
  CONTEXT_EXPIRED: { reaction: 'policy', text: 'A context was used after its record was finished.' },
  HTTP_PORT_UNAVAILABLE: {
    reaction: 'refuse',
    text: 'The port for probes and metrics cannot be opened, for instance because another program has it.',
  },
  // cluster
  BROKER_UNREACHABLE: { reaction: 'refuse', text: 'No broker of the list answered.' },
  KAFKA_NOT_AVAILABLE: {
    reaction: 'refuse',
    text: 'No broker was given and none can be started: neither Docker nor Java with Maven is at hand.',
  },
  KAFKA_START_FAILED: {
    reaction: 'refuse',
    text: 'A broker for development or tests was started and did not come up.',
  },
  BROKER_TOO_OLD: { reaction: 'refuse', text: 'A broker lacks a request version that exactly-once needs.' },
  AUTHENTICATION_FAILED: { reaction: 'refuse', text: 'The broker refused the credentials.' },
  AUTHORIZATION_FAILED: {
    reaction: 'stop',
    text: 'The principal lacks a right on a topic, group or transactional id.',
  },
  SCHEMA_REGISTRY_REFUSED: { reaction: 'refuse', text: 'The schema registry refused the credentials.' },
  SCHEMA_REJECTED: {
    reaction: 'refuse',
    text: 'The schema registry does not take a schema to write with: it is not compatible, not valid, or not registered.',
  },
  TOPIC_MISSING: { reaction: 'refuse', text: 'An input, output or internal topic does not exist.' },
  TOPIC_MISMATCH: {
    reaction: 'refuse',
    text: 'A topic exists with partitions or settings that the topology cannot use.',
  },
  REQUEST_TIMED_OUT: {
    reaction: 'retry',
    text: 'A request was sent and not answered in time: its outcome is unknown.',
  },
  CONNECTION_LOST: {
    reaction: 'retry',
    text: 'The connection broke before the answer came: the outcome of the request is unknown.',
  },
  BROKER_ERROR: { reaction: 'stop', text: 'The broker answered with an error that has no better code.' },
  PROTOCOL_INVALID: { reaction: 'stop', text: 'Bytes from the broker do not follow the protocol.' },
  // records
  BATCH_CORRUPT: {
    reaction: 'stop',
    text: 'A record batch does not match its CRC-32C or its own lengths; it is never skipped.',
  },
  COMPRESSION_UNSUPPORTED: {
    reaction: 'stop',
    text: 'A record batch uses a compression or format that is not supported.',
  },
  BATCH_TOO_LARGE: {
    reaction: 'stop',
    text: 'A record batch grows beyond the limit when it is decompressed; it is never skipped.',
  },
  DESERIALIZATION_FAILED: { reaction: 'policy', text: 'The serde refused the bytes of a record.' },
  SCHEMA_PENDING: {
    reaction: 'abort',
    text: 'Bytes name a schema that is still being fetched from the schema registry; the record is processed when it is there.',
  },
  SERIALIZATION_FAILED: { reaction: 'policy', text: 'The serde refused a value.' },
  TIMESTAMP_INVALID: { reaction: 'policy', text: 'The timestamp of a record is negative.' },
  RECORD_TOO_LARGE: { reaction: 'policy', text: 'A record is larger than its topic takes.' },
  PARTITION_INVALID: {
    reaction: 'policy',
    text: 'A partitioner given to `to` chose a partition that the topic does not have.',
  },
  PROCESSING_FAILED: { reaction: 'policy', text: 'A processor threw.' },
  CALL_TIMED_OUT: {
    reaction: 'policy',
    text: 'An asynchronous processor had no answer within its timeoutMs.',
  },
  PUNCTUATOR_FAILED: {
    reaction: 'stop',
    text: 'A punctuator threw: its transaction is aborted, and the tick comes again after a restart.',
  },
  // transactions
  TRANSACTION_ABORTABLE: {
    reaction: 'abort',
    text: 'A request of the open transaction failed: it is aborted and its records are processed again.',
  },
  OUTCOME_UNKNOWN: {
    reaction: 'recover',
    text: 'The answer to EndTxn never came: the transaction is looked up, never guessed.',
  },
  TRANSACTION_HANGING: {
    reaction: 'stop',
    text: 'The coordinator has ended a transaction of this worker, but a partition does not know it (KAFKA-20734), nor how it ended.',
  },
  PRODUCER_FENCED: {
    reaction: 'recover',
    text: 'The producer epoch is no longer current: the coordinator timed the transaction out or a newer self took over.',
  },
  MEMBERSHIP_LOST: { reaction: 'rejoin', text: 'The group no longer knows this member or its generation.' },
  HEARTBEATS_ENDED: {
    reaction: 'stop',
    text: 'The thread that sends the heartbeats ended by itself, so the membership cannot be kept.',
  },
  INSTANCE_FENCED: { reaction: 'stop', text: 'Another process runs with the same group.instance.id.' },
  // state
  STORE_LOCKED: { reaction: 'refuse', text: 'The state directory is in use by a living process.' },
  STORE_FOREIGN: {
    reaction: 'refuse',
    text: 'The state directory belongs to another application, cluster or partition.',
  },
  STORE_CORRUPT: {
    reaction: 'recover',
    text: 'A local store cannot be read; it is rebuilt from its changelog.',
  },
  STORE_DIVERGED: {
    reaction: 'stop',
    text: 'A store that was rebuilt from its changelog is not what was committed (see stateDigest).',
  },
  STORE_LAYOUT: {
    reaction: 'stop',
    text: 'A store was written in another version or with other serdes than the topology declares, or could not be migrated.',
  },
  STORE_FAILED: { reaction: 'stop', text: 'The local store refused a write (for instance a full disk).' },
  SUPPRESS_FULL: {
    reaction: 'stop',
    text: 'A suppressed table has to hold more changes back than it may, and none of them is due.',
  },
  RANGE_INVALIDATED: {
    reaction: 'policy',
    text: 'A range of a store was read on after the store had been written.',
  },
  OFFSETS_MISSING: {
    reaction: 'stop',
    text: 'State exists but no input offset is committed, or an offset was set by hand.',
  },
  OFFSETS_UNSETTLED: {
    reaction: 'retry',
    text: 'The coordinator answered offsets older than what this worker has committed; they are asked for again.',
  },
  RESTORE_INTERRUPTED: {
    reaction: 'retry',
    text: 'The group rebalances while stores are restored; what was restored so far is kept.',
  },
  OFFSET_OUT_OF_RANGE: {
    reaction: 'stop',
    text: 'The committed position lies outside what the topic still holds.',
  },
  // tools
  MEMBER_UNKNOWN: { reaction: 'refuse', text: 'The group has no member with this instance id.' },
  GROUP_ACTIVE: {
    reaction: 'refuse',
    text: 'The application still runs, or ran in between; the command needs it stopped.',
  },
  APPLICATION_NOT_EMPTY: {
    reaction: 'refuse',
    text: 'A savepoint is imported only where the application has no offsets and no records of its own yet.',
  },
  SAVEPOINT_INVALID: {
    reaction: 'refuse',
    text: 'The directory holds no whole savepoint: a file is missing, cut or changed, or of another format.',
  },
  SAVEPOINT_MISMATCH: {
    reaction: 'refuse',
    text: 'The savepoint belongs to another topology, other topics, or another cluster.',
  },
  // test driver
  DRIVER_MISUSED: {
    reaction: 'refuse',
    text: 'A test asked the test driver for what its topology does not have, or at a wrong time.',
  },
  SIMULATION_FAILED: {
    reaction: 'refuse',
    text: 'A run of a simulation came to something that must not be; the message names its seed.',
  },
  TOPOLOGY_ENDLESS: {
    reaction: 'stop',
    text: 'In the test driver one call processed more records than recordsMax: the topology may be feeding itself.',
  },
  // ours
  INVARIANT_BROKEN: { reaction: 'stop', text: 'A run-time assertion failed: a bug in millstream.' },
  CLOSED: { reaction: 'refuse', text: 'The worker, producer or store was closed already.' },
} as const

export type ErrorCode = keyof typeof errorTable

export interface ErrorDetails {
  /** What happened, one sentence without a full stop at the end. */
  readonly what: string
  /** Where: topic, partition, offset, setting, store, broker. */
  readonly where?: Readonly<Record<string, unknown>> | undefined
  /** What to do about it. */
  readonly fix?: string | undefined
  readonly cause?: unknown
}

const place = (where: Readonly<Record<string, unknown>> | undefined): string => {
  const parts = Object.entries(where ?? {}).filter(([, value]) => value !== undefined)
  return parts.length === 0 ? '' : ` (${parts.map(([key, value]) => `${key} ${String(value)}`).join(', ')})`
}

/** The one error class of the public interface; tell errors apart by `code`. */
export class MillstreamError extends Error {
  override readonly name = 'MillstreamError'
  readonly code: ErrorCode
  readonly where: Readonly<Record<string, unknown>>
  readonly fix: string | undefined
  readonly #what: string

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(`${code}: ${details.what}${place(details.where)}.${details.fix ? ` ${details.fix}` : ''}`, {
      cause: details.cause,
    })
    this.code = code
    this.#what = details.what
    this.where = details.where ?? {}
    this.fix = details.fix
  }

  /** The sentence of the message that says what happened, alone. */
  get what(): string {
    return this.#what
  }

  get reaction(): Reaction {
    return errorTable[this.code].reaction
  }

  /** The same error with more of its place, as the layers above know it. */
  relocated(where: Readonly<Record<string, unknown>>): MillstreamError {
    return new MillstreamError(this.code, {
      what: this.#what,
      where: { ...where, ...this.where },
      fix: this.fix,
      cause: this.cause,
    })
  }
}

export const isMillstreamError = (error: unknown): error is MillstreamError =>
  error instanceof MillstreamError

/** Not a fault of the record: the schema that its bytes name is on its way. */
export const isSchemaPending = (error: unknown): boolean =>
  isMillstreamError(error) && error.code === 'SCHEMA_PENDING'

/** Turns whatever was thrown into an Error. */
export const ensureError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(`something that is no Error was thrown: ${String(thrown)}`)

/** The error itself where it is one of ours; else it is a bug, and says so. */
export const asMillstreamError = (thrown: unknown): MillstreamError => {
  const error = ensureError(thrown)
  if (isMillstreamError(error)) return error
  return new MillstreamError('INVARIANT_BROKEN', {
    what: `an error that nobody expected: ${error.message}`,
    fix: 'This is a bug in millstream: please report it with this line.',
    cause: error,
  })
}
