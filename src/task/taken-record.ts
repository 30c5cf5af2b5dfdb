// A record that was taken from its queue before its turn, since it waits for calls: what is to be done in its turn, in the
// order in which the processors before its calls forwarded.
import type { MillstreamError } from '../errors.ts'
import type { RecordMetadata } from '../topology/contracts.ts'
import type { StreamRecord } from '../topology/stream-record.ts'
import type { Call } from './async-calls.ts'
import type { RecordQueue } from './record-queue.ts'

type AnyRecord = StreamRecord<unknown, unknown>

/** Takes records: a processor, a sink. */
export interface Receiver {
  process(record: AnyRecord): void
  /** As `process` of the record with this value. Absent where that takes a record of its own. */
  processValue?(record: AnyRecord, value: unknown): void
}

/** Where a record came from, and when it is. */
export interface RecordPlace {
  readonly topic: string
  readonly partition: number
  readonly headOffset: number
  readonly headTimestamp: number
  /** @throws TIMESTAMP_INVALID, or what the timestamp extractor threw */
  head(): AnyRecord
}

/** What a processor is told of it. */
export const metadataOf = ({ topic, partition, headOffset }: RecordPlace): RecordMetadata => ({
  topic,
  partition,
  offset: headOffset,
})

/** Something that gets a record in its turn. */
export interface Deferred {
  readonly receiver: Receiver
  readonly record: AnyRecord
}

export type TurnItem = Deferred | Call

export class TakenRecord implements RecordPlace {
  readonly queue: RecordQueue
  readonly topic: string
  readonly partition: number
  readonly headOffset: number
  readonly headTimestamp: number
  readonly #record: AnyRecord | undefined
  readonly #error: unknown
  items: TurnItem[] = []
  /** What its topic has for it, whatever the policy of the worker. */
  readonly policy: 'fail' | 'skip' | undefined
  /** Calls whose answers were not handed on yet. */
  waiting = 0
  /** How often it has failed. */
  attempts = 0
  /** Nothing is done for it before then, in monotonic ms. */
  retryAtMs = 0
  /** Decided before its turn: it is left out, or ends the work with this error. */
  verdict: { readonly skip: MillstreamError } | { readonly fail: MillstreamError } | undefined

  /** Takes the head of the queue. */
  constructor(queue: RecordQueue) {
    this.queue = queue
    this.topic = queue.topic
    this.partition = queue.partition
    this.headOffset = queue.headOffset
    this.headTimestamp = queue.headTimestamp
    try {
      this.#record = queue.head()
    } catch (error) {
      this.#error = error
    }
    this.policy = queue.headVerdict
    queue.take()
  }

  head(): AnyRecord {
    if (this.#record === undefined) throw this.#error
    return this.#record
  }
}
