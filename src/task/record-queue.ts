// The records of one input partition that were fetched and not processed yet: raw batches, decoded one record ahead.
import { invariant } from '../base/assert.ts'
import { isSchemaPending, MillstreamError } from '../errors.ts'
import type { BatchView } from '../record/batch-view.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import type { SourceNode } from '../topology/contracts.ts'
import { StreamRecord } from '../topology/stream-record.ts'
import { SchemaGate } from './schema-gate.ts'

/** What a fetch brought for a partition: accepted data batches, and where reading goes on. */
export interface FetchedRecords {
  readonly batches: readonly BatchView[]
  /** Position after everything seen, markers and aborted records included. */
  readonly nextOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
}

/** Where a queue begins. */
export interface QueueStart {
  readonly offset: number
  /** Highest timestamp of the records before it, ms; -1 for none. */
  readonly partitionTime: number
}

/** What a record at hand has that others have not: in one place, so that going on to the next record forgets it at once. */
class OddHead {
  /** With the timestamp that was extracted or chosen for it. */
  record: StreamRecord<unknown, unknown> | undefined
  error: MillstreamError | undefined
  /** What becomes of it, whatever the policy of the worker. */
  verdict: 'fail' | 'skip' | undefined
  attempts = 0
}

export class RecordQueue {
  /** The topic as the broker knows it. */
  readonly topic: string
  readonly partition: number
  readonly source: SourceNode
  /** Nobody looks at a record that had its turn: the memory of a batch is let go with its last one. */
  letsMemoryGo = false
  readonly #batches: BatchView[] = []
  readonly #cursor = new RecordCursor()
  #hasHead = false
  #headTimestamp = -1
  /** Undefined for nearly every record. */
  #odd: OddHead | undefined
  /** Begins as a number, as the position does: in a field that began undefined V8 makes an object of each timestamp. */
  #partitionTime = -1
  #committedPartitionTime = -1
  readonly #now: () => number
  /** Everything below has been processed or is no data. */
  #position = -1
  #fetchedUpTo = -1
  #endOffset = -1
  #bufferedBytes = 0
  /** The batch that the cursor is in. */
  #batch: BatchView | undefined
  readonly #gate: SchemaGate | undefined
  #gateIsShut = false
  /** The timestamp extractor met a schema that is not here: it gets the record again that the cursor is at. */
  #waitsAtCursor = false
  /** The records that were taken before their turn, the oldest first. */
  readonly #taken: { readonly offset: number; readonly timestamp: number }[] = []
  /** While there are some: the highest timestamp of those before them. */
  #turnTime = -1
  /** Batches behind them that are read to the end: their bytes, and the last of these offsets in each. */
  readonly #heldBatches: { readonly upTo: number; readonly bytes: number }[] = []

  /** @param now wall-clock time, ms since the epoch */
  constructor(
    topic: string,
    partition: number,
    source: SourceNode,
    { offset, partitionTime }: QueueStart,
    now: () => number,
  ) {
    this.topic = topic
    this.partition = partition
    this.source = source
    this.#position = offset
    this.#fetchedUpTo = offset
    this.#partitionTime = partitionTime
    this.#committedPartitionTime = partitionTime
    this.#now = now
    this.#gate = SchemaGate.of(source.topic)
  }

  /** The next position to read, past markers and aborted records that were seen: what is committed. */
  get position(): number {
    if (this.#taken.length > 0) return this.#taken[0]?.offset as number
    return this.#hasHead ? this.#cursor.offset : this.#position
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Whether a record is at hand. */
  get hasHead(): boolean {
    return this.#hasHead
  }

  /** Highest timestamp of the records that had their turn, also of those that were left out, ms; -1 before the first one. */
  get partitionTime(): number {
    return this.#taken.length > 0 ? this.#turnTime : this.#partitionTime
  }

  /** The topic says what becomes of the record at hand. */
  get headVerdict(): 'fail' | 'skip' | undefined {
    return this.#odd?.verdict
  }

  /** The record at hand has failed. @returns how often by now */
  countFailure(): number {
    return ++this.#oddHead.attempts
  }

  /** Timestamp of the record at hand by its extractor, ms; what could not be extracted is an error of `head`. */
  get headTimestamp(): number {
    return this.#headTimestamp
  }

  get headOffset(): number {
    return this.#cursor.offset
  }

  /** Whether the next batch, or the next record, waits for schemas. */
  get isHeldBack(): boolean {
    return this.#gateIsShut || this.#waitsAtCursor
  }

  /** Goes on where a batch or a record was held back, if what it waits for has come. */
  tryGate(): void {
    if (this.isHeldBack) this.#advance()
  }

  /** Whether all that the broker could give is here: an empty queue that is not caught up will have records soon. */
  get caughtUp(): boolean {
    return !this.isHeldBack && this.#endOffset >= 0 && this.#fetchedUpTo >= this.#endOffset
  }

  add(fetched: FetchedRecords): void {
    invariant(fetched.nextOffset >= this.#fetchedUpTo, 'positions only grow', {
      topic: this.topic,
      partition: this.partition,
      from: this.#fetchedUpTo,
      to: fetched.nextOffset,
    })
    for (const batch of fetched.batches) {
      this.#batches.push(batch)
      this.#bufferedBytes += batch.sizeInBytes
    }
    this.#fetchedUpTo = fetched.nextOffset
    this.#endOffset = fetched.lastStableOffset >= 0 ? fetched.lastStableOffset : fetched.highWatermark
    if (!this.#hasHead && !this.#waitsAtCursor) this.#advance()
  }

  /** The record at hand. @throws TIMESTAMP_INVALID, or what the timestamp extractor threw. */
  head(): StreamRecord<unknown, unknown> {
    if (this.#odd?.error !== undefined) throw this.#odd.error
    // Not kept: most records are asked for once, and to write a new object into an old one costs more than to make it again.
    return this.#odd?.record ?? this.#makeRecord()
  }

  /**
   * Goes on to the next record. The time of the one at hand counts whatever became of it: a record that is taken before its
   * turn may be left out when those behind it have their timestamps already.
   */
  pop(): void {
    if (this.#headTimestamp > this.#partitionTime) this.#partitionTime = this.#headTimestamp
    this.#position = this.#cursor.offset + 1
    this.#advance()
  }

  /** Whether records were taken that did not have their turn. */
  get hasTaken(): boolean {
    return this.#taken.length > 0
  }

  /** Goes on to the next record, before the one at hand has had its turn: the position stays at it. */
  take(): void {
    if (this.#taken.length === 0) this.#turnTime = this.#partitionTime
    this.#taken.push({ offset: this.headOffset, timestamp: this.#headTimestamp })
    this.pop()
  }

  /** The oldest record that was taken has had its turn. */
  finishTaken(): void {
    const taken = this.#taken.shift()
    if (taken !== undefined) this.#turnTime = Math.max(this.#turnTime, taken.timestamp)
    const open = this.#taken[0]?.offset ?? Number.POSITIVE_INFINITY
    for (
      let held = this.#heldBatches[0];
      held !== undefined && held.upTo < open;
      held = this.#heldBatches[0]
    ) {
      this.#bufferedBytes -= held.bytes
      this.#heldBatches.shift()
    }
  }

  /** What was processed is committed. */
  settle(): void {
    this.#committedPartitionTime = this.partitionTime
  }

  /** Drops everything and goes back. @param partitionTime absent: what was committed */
  reset(position: number, partitionTime: number = this.#committedPartitionTime): void {
    this.#partitionTime = partitionTime
    this.#committedPartitionTime = partitionTime
    this.#batches.length = 0
    this.#taken.length = 0
    this.#heldBatches.length = 0
    this.#cursor.release()
    this.#hasHead = false
    this.#odd = undefined
    this.#bufferedBytes = 0
    this.#batch = undefined
    this.#gateIsShut = false
    this.#waitsAtCursor = false
    this.#position = position
    this.#fetchedUpTo = position
    this.#endOffset = -1
  }

  // The loop over all records: what is rare is in functions of its own, so that V8 inlines what is not.
  #advance(): void {
    this.#odd = undefined
    const cursor = this.#cursor
    do {
      while (this.#waitsAtCursor || cursor.next()) {
        // A fetch may start inside a batch: what lies below the position was processed before.
        if (cursor.offset < this.#position) continue
        const { timestamp } = cursor
        const isPlain = timestamp >= 0 && this.source.timestampExtractor === undefined
        this.#headTimestamp = isPlain && Number.isSafeInteger(timestamp) ? timestamp : this.#otherTimestamp()
        this.#hasHead = !this.#waitsAtCursor
        return
      }
    } while (this.#nextBatch())
  }

  /** Goes before the first record of the next batch. @returns false where there is none, or it is held back */
  #nextBatch(): boolean {
    this.#endBatch()
    const batch = this.#batches[0]
    this.#gateIsShut = batch !== undefined && this.#gate?.lets(batch) === false
    if (batch === undefined || this.#gateIsShut) {
      this.#cursor.release()
      this.#hasHead = false
      // Held back: the position stays where it is, before the first record of the batch.
      if (!this.#gateIsShut) this.#position = this.#fetchedUpTo
      return false
    }
    this.#batches.shift()
    this.#batch = batch
    this.#cursor.reset(batch)
    return true
  }

  /** The cursor has passed the last record of its batch, if it was in one. */
  #endBatch(): void {
    const batch = this.#batch
    if (batch === undefined) return
    const last = this.#taken.at(-1)
    if (last === undefined) this.#bufferedBytes -= batch.sizeInBytes
    else this.#heldBatches.push({ upTo: last.offset, bytes: batch.sizeInBytes })
    if (this.letsMemoryGo) batch.memory?.release()
    this.#batch = undefined
  }

  /** Timestamp of the record at the cursor where it has an extractor, or its own is none. */
  #otherTimestamp(): number {
    const extractor = this.source.timestampExtractor
    if (extractor === undefined) return this.#instead(this.#cursor.timestamp)
    let timestamp: number
    this.#waitsAtCursor = false
    try {
      timestamp = extractor(this.#makeRecord(), this.#partitionTime)
    } catch (error) {
      // When its batch came up the schema was known not to exist; that is not remembered for ever.
      this.#waitsAtCursor = isSchemaPending(error)
      if (this.#waitsAtCursor) return this.#partitionTime
      this.#oddHead.error = new MillstreamError('TIMESTAMP_INVALID', {
        what: 'the timestamp extractor threw',
        cause: error,
      })
      return this.#partitionTime
    }
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) return this.#instead(timestamp)
    // Not of the record that the extractor had: it may have changed what was decoded for it.
    this.#oddHead.record = this.#makeRecord().withTimestamp(timestamp)
    return timestamp
  }

  /** What the topic has for a record whose timestamp is none. */
  #instead(timestamp: number): number {
    const policy = this.source.topic.onInvalidTimestamp
    const found =
      policy === 'partition-time' ? this.#partitionTime : policy === 'wall-clock' ? this.#now() : -1
    if (found >= 0) {
      this.#oddHead.record = this.#makeRecord().withTimestamp(found)
      return found
    }
    if (policy !== undefined) this.#oddHead.verdict = policy === 'skip' ? 'skip' : 'fail'
    const without = policy === 'partition-time' ? ', and no record of its partition before it has one' : ''
    this.#oddHead.error = new MillstreamError('TIMESTAMP_INVALID', {
      what: `the record has the timestamp ${String(timestamp)}${without}`,
      fix: 'Let the producer set it, or give the topic a timestamp extractor, or onInvalidTimestamp.',
    })
    return this.#partitionTime
  }

  get #oddHead(): OddHead {
    this.#odd ??= new OddHead()
    return this.#odd
  }

  #makeRecord(): StreamRecord<unknown, unknown> {
    return StreamRecord.overBytes(this.#cursor, this.source.topic)
  }
}
