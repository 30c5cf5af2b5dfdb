// The log of a partition: its batches with their offsets, and what follows from them (producer states, open and aborted
// transactions, leader epochs, segments). There are no replicas that could lag, so the high watermark is the end of the
// log; the last stable offset is where the first open transaction begins.
//
// Batches are kept as they came, copied once; base offset, leader epoch and what the topic's timestamp type asks for are
// set in place. Where there is a file, a batch stands in it before the append is answered.
import { lowerBound } from '../base/lower-bound.ts'
import type { TopicPartition } from '../base/topic-partition.ts'
import { BatchView } from '../record/batch-view.ts'
import { controlType } from '../record/control-record.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import { AbortedIndex, type AbortedTransaction } from './aborted-index.ts'
import { type AppendRules, checkBatch, type Refusal } from './batch-check.ts'
import { markerBatch, placeBatch, stampBatch } from './batch-edit.ts'
import type { BrokerState, MarkedLog, Marker } from './broker-state.ts'
import { ByteStore } from './byte-store.ts'
import { codes } from './codes.ts'
import { type EpochEnd, LeaderEpochs } from './leader-epochs.ts'
import { cleanableEnd, compact } from './log-cleaner.ts'
import type { LogFile } from './log-file.ts'
import { LogSegments, type SegmentLimits } from './log-segments.ts'
import { type ProducerState, ProducerStates } from './producer-states.ts'

export interface PartitionLogOptions {
  readonly topic: string
  readonly partition: number
  readonly broker: Pick<BrokerState, 'ports' | 'nodes'>
  /** Of the topic, by its name in Kafka. */
  readonly setting: (name: string) => string
  /** Undefined: in memory alone. */
  readonly file: LogFile | undefined
}

export interface AppendAnswer extends Refusal {
  /** -1 with an error. */
  readonly baseOffset: number
  /** -1 unless the broker stamps the records. */
  readonly logAppendTimeMs: number
  readonly logStartOffset: number
}

export interface LogRead {
  /** Pieces of the log, in order. */
  readonly parts: readonly Buffer[]
  readonly bytes: number
  /** In order of completion; empty under read_uncommitted. */
  readonly aborted: readonly AbortedTransaction[]
}

export interface FoundRecord {
  readonly timestamp: number
  readonly offset: number
  readonly leaderEpoch: number
}

/** producer.id.expiration.ms of Kafka */
const producerExpirationMs = 86_400_000
/** Bytes of dropped records that a file may hold beyond as many as those that are kept. */
const spareFileBytes = 1024 * 1024

/** Errors with which a broker does not say where the log begins. */
const startIsUntold: ReadonlySet<number> = new Set([
  codes.CORRUPT_MESSAGE,
  codes.MESSAGE_TOO_LARGE,
  codes.RECORD_LIST_TOO_LARGE,
])

export class PartitionLog implements MarkedLog {
  readonly topic: string
  readonly partition: number
  readonly #broker: Pick<BrokerState, 'ports' | 'nodes'>
  readonly #setting: (name: string) => string
  readonly #file: LogFile | undefined
  readonly #place: TopicPartition
  readonly #segments = new LogSegments()
  readonly #producers = new ProducerStates()
  readonly #aborted = new AbortedIndex()
  readonly #epochs = new LeaderEpochs()
  readonly #watchers = new Set<() => void>()
  #store = new ByteStore()
  #batches: BatchView[] = []
  #bytes = 0
  #start = 0
  #end = 0
  #cleanedTo = 0

  /** Reads what the file holds. */
  constructor({ topic, partition, broker, setting, file }: PartitionLogOptions) {
    this.topic = topic
    this.partition = partition
    this.#place = { topic, partition }
    this.#broker = broker
    this.#setting = setting
    this.#file = file
    if (file !== undefined) this.#load(file)
  }

  get startOffset(): number {
    return this.#start
  }

  /** The offset of the next record, and the high watermark. */
  get endOffset(): number {
    return this.#end
  }

  get lastStableOffset(): number {
    return Math.max(this.#producers.firstOpenOffset() ?? this.#end, this.#start)
  }

  /** Of the leader, and so of the next batch. */
  get leaderEpoch(): number {
    const epoch = this.#broker.nodes.leaderEpoch(this.topic, this.partition)
    this.#epochs.seen(epoch, this.#end)
    return epoch
  }

  openTransactions(): ReadonlyMap<number, number> {
    return this.#producers.open
  }

  producers(): Iterable<ProducerState> {
    return this.#producers.all()
  }

  hasOpenTransaction(producerId: number, epoch: number): boolean {
    return this.#producers.hasOpenTransaction(producerId, epoch)
  }

  /** Whether a batch or a marker of this producer was appended with a later epoch. */
  knowsNewerEpoch(producerId: number, epoch: number): boolean {
    return (this.#producers.get(producerId)?.epoch ?? epoch) > epoch
  }

  /** A transactional batch is about to be verified with its coordinator (see ProducerStates). */
  beginVerification(producerId: number, epoch: number, sequence: number, startsAtZero: boolean): void {
    this.#producers.beginVerification(producerId, epoch, sequence, startsAtZero)
  }

  /**
   * Appends a batch of a producer.
   * @param batch one whole batch; its bytes are copied
   * @param isVerified the coordinator knows that this partition is part of the producer's transaction
   */
  append(batch: Buffer, isVerified: boolean): AppendAnswer {
    const nowMs = this.#broker.ports.clock.now()
    const rules = this.#rules()
    const checked = checkBatch(batch, this.#place, rules, nowMs)
    if (typeof checked !== 'number') return this.#refused(checked)
    const view = new BatchView(batch, 0, this.#place)
    if (view.producerId >= 0) {
      const duplicate = this.#producers.duplicateOf(view)
      if (duplicate !== undefined) return this.#done(duplicate.firstOffset, duplicate.timestamp)
      const errorCode = this.#producerError(view, isVerified)
      if (errorCode !== codes.NONE) return this.#refused({ errorCode, message: null, recordErrors: [] })
    }
    const appended = this.#add(batch, rules.stampsRecords ? nowMs : checked, rules.stampsRecords)
    if (appended.producerId >= 0) this.#producers.appended(appended)
    this.#changed()
    return this.#done(appended.baseOffset, rules.stampsRecords ? nowMs : -1)
  }

  appendMarker(marker: Marker): number {
    const errorCode = this.#producers.checkMarker(marker)
    if (errorCode !== codes.NONE) return errorCode
    const nowMs = this.#broker.ports.clock.now()
    const { baseOffset } = this.#add(markerBatch(marker, nowMs), nowMs, false)
    this.#endTransaction(marker, baseOffset, nowMs)
    this.#changed()
    return codes.NONE
  }

  /**
   * Batches from the one that holds `offset` on, as many as fit; all of them are whole, and of one segment, since a broker
   * reads no further in one go either.
   * @param atLeastOne the first one comes even where it is larger than `bytesMax` (KIP-74)
   * @returns undefined where the offset lies outside the log
   */
  read(offset: number, bytesMax: number, isCommitted: boolean, atLeastOne: boolean): LogRead | undefined {
    if (offset < this.#start || offset > this.#end) return undefined
    let at = this.#indexOf(offset)
    const segmentEnd = this.#segments.endOf(this.#batches[at]?.baseOffset ?? offset) ?? this.#end
    const limit = Math.min(isCommitted ? this.lastStableOffset : this.#end, segmentEnd)
    const parts: Buffer[] = []
    let bytes = 0
    let end = offset
    // From the last stable offset on there is nothing, also where it lies in the middle of a batch (DeleteRecords).
    while (offset < limit && at < this.#batches.length) {
      const first = this.#batches[at] as BatchView
      let last: BatchView | undefined
      // Batches that stand side by side in memory go out as one piece.
      for (let next: BatchView | undefined = first; next !== undefined; next = this.#batches[at]) {
        const isFirst = bytes === 0 && atLeastOne
        if (next.baseOffset >= limit || (bytes + next.sizeInBytes > bytesMax && !isFirst)) break
        if (last !== undefined && (next.buffer !== first.buffer || next.start !== last.end)) break
        last = next
        bytes += next.sizeInBytes
        at++
      }
      if (last === undefined) break
      parts.push(first.buffer.subarray(first.start, last.end))
      end = last.nextOffset
    }
    return {
      parts,
      bytes,
      aborted: isCommitted && end > offset ? this.#aborted.overlapping(offset, end) : [],
    }
  }

  /** The first record with that timestamp or a later one. */
  findByTimestamp(timestampMs: number): FoundRecord | undefined {
    for (let at = this.#indexOf(this.#start); at < this.#batches.length; at++) {
      const batch = this.#batches[at] as BatchView
      if (batch.maxTimestamp < timestampMs) continue
      const found = this.#findIn(batch, (timestamp) => timestamp >= timestampMs)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** The record with the largest timestamp. */
  findNewest(): FoundRecord | undefined {
    let newest: BatchView | undefined
    for (const batch of this.#batches)
      if (batch.recordCount > 0 && batch.maxTimestamp > (newest?.maxTimestamp ?? -1)) newest = batch
    if (newest === undefined) return undefined
    const { maxTimestamp } = newest
    return this.#findIn(newest, (timestamp) => timestamp === maxTimestamp)
  }

  /** The epoch in which the log begins, -1 where it is not known. */
  get firstEpoch(): number {
    return this.leaderEpoch < 0 ? -1 : this.#epochs.of(this.#start)
  }

  endOfEpoch(epoch: number): EpochEnd {
    return this.leaderEpoch < 0 ? this.#epochs.endOf(-1, -1) : this.#epochs.endOf(epoch, this.#end)
  }

  /** Records below the offset are gone from now on. */
  deleteBelow(offset: number): void {
    if (offset <= this.#start) return
    this.#start = offset
    const dropped = this.#batches.splice(0, this.#indexOf(offset))
    for (const batch of dropped) this.#bytes -= batch.sizeInBytes
    this.#segments.dropBelow(offset, this.#end)
    this.#epochs.dropBelow(offset)
    this.#aborted.replaceBelow(offset, [])
    this.#keepStart()
    this.#changed()
  }

  /** Retention and compaction, as the settings of the topic have it. */
  clean(): void {
    const nowMs = this.#broker.ports.clock.now()
    this.#producers.expire(nowMs - producerExpirationMs)
    const policy = this.#setting('cleanup.policy')
    if (policy.includes('delete')) {
      const limits = {
        retentionMs: this.#number('retention.ms'),
        retentionBytes: this.#number('retention.bytes'),
      }
      const expired = this.#segments.expiredBelow(this.#end, limits, nowMs)
      if (expired !== undefined) this.deleteBelow(expired)
    }
    if (policy.includes('compact')) this.#compact(nowMs)
  }

  /** Calls after each append, marker and deletion, and when the log is closed. @returns what ends it */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed)
    return () => this.#watchers.delete(changed)
  }

  close(): void {
    this.#file?.close()
    this.#changed()
  }

  #producerError(view: BatchView, isVerified: boolean): number {
    const { producerId, producerEpoch } = view
    const isInTransaction = isVerified || this.hasOpenTransaction(producerId, producerEpoch)
    return view.isTransactional && !isInTransaction ? codes.INVALID_TXN_STATE : this.#producers.check(view)
  }

  /** Puts a copy of a batch at the end of the log and into the file. */
  #add(batch: Buffer, timestampMs: number, stampedByBroker: boolean): BatchView {
    const { buffer, start } = this.#store.add(batch)
    const bytes = buffer.subarray(start, start + batch.length)
    placeBatch(bytes, this.#end, this.leaderEpoch)
    stampBatch(bytes, timestampMs, stampedByBroker)
    this.#file?.append(bytes)
    return this.#take(buffer, start)
  }

  /** A batch in memory that has its offsets. */
  #take(buffer: Buffer, start: number): BatchView {
    const view = new BatchView(buffer, start, this.#place)
    const nowMs = this.#broker.ports.clock.now()
    this.#segments.append(view, this.#segmentLimits(), nowMs)
    this.#batches.push(view)
    this.#bytes += view.sizeInBytes
    this.#end = view.nextOffset
    return view
  }

  #endTransaction(marker: Omit<Marker, 'transactionVersion'>, offset: number, timestampMs: number): void {
    const ended = this.#producers.markerAppended(marker, timestampMs)
    if (ended === undefined || marker.committed) return
    const lastStableOffset = this.#producers.firstOpenOffset() ?? this.#end
    this.#aborted.add({ ...ended, lastOffset: offset, lastStableOffset })
  }

  #load(file: LogFile): void {
    const { batches, startOffset } = file.load()
    for (const bytes of batches) {
      const { buffer, start } = this.#store.add(bytes)
      const view = this.#take(buffer, start)
      this.#epochs.seen(view.partitionLeaderEpoch, view.baseOffset)
      if (view.isControl) this.#replayMarker(view)
      else if (view.producerId >= 0) this.#producers.appended(view)
    }
    this.#broker.nodes.raiseLeaderEpoch(this.topic, this.partition, this.#epochs.latest)
    if (startOffset <= this.#start) return
    this.#end = Math.max(this.#end, startOffset)
    this.#start = startOffset
    const dropped = this.#batches.splice(0, this.#indexOf(startOffset))
    for (const batch of dropped) this.#bytes -= batch.sizeInBytes
    this.#segments.dropBelow(startOffset, this.#end)
    this.#epochs.dropBelow(startOffset)
  }

  #replayMarker(view: BatchView): void {
    const type = controlType(view)
    // Compaction emptied it: its transaction is long gone.
    if (type === 'other') return
    const cursor = new RecordCursor()
    cursor.reset(view)
    cursor.next()
    const { producerId, producerEpoch } = view
    const coordinatorEpoch = cursor.buffer.readInt32BE(cursor.valueStart + 2)
    const marker = { producerId, producerEpoch, coordinatorEpoch, committed: type === 'commit' }
    this.#endTransaction(marker, view.baseOffset, view.maxTimestamp)
  }

  #keepStart(): void {
    const file = this.#file
    if (file === undefined) return
    if (file.size > 2 * this.#bytes + spareFileBytes) this.#rewrite(file)
    else file.appendStart(this.#start)
  }

  #rewrite(file: LogFile): void {
    file.rewrite(
      this.#start,
      this.#batches.map(({ buffer, start, end }) => buffer.subarray(start, end)),
    )
  }

  #compact(nowMs: number): void {
    const end = cleanableEnd(this.#segments, {
      cleanedTo: Math.max(this.#cleanedTo, this.#start),
      lastStableOffset: this.lastStableOffset,
      dirtyRatioMin: this.#number('min.cleanable.dirty.ratio'),
      lagMsMin: this.#number('min.compaction.lag.ms'),
      lagMsMax: this.#number('max.compaction.lag.ms'),
      nowMs,
    })
    if (end === undefined) return
    const count = this.#indexOf(end)
    const { batches, aborted } = compact(this.#batches.slice(0, count), {
      dirtyFrom: this.#cleanedTo,
      end,
      aborted: this.#aborted.overlapping(this.#start, end),
      producer: (producerId) => this.#producers.get(producerId),
      deleteRetentionMs: this.#number('delete.retention.ms'),
      nowMs,
    })
    this.#aborted.replaceBelow(end, aborted)
    this.#cleanedTo = end
    this.#replace(count, batches)
    this.#segments.recount(end, this.#batches.slice(0, batches.length), this.#segmentLimits())
    if (this.#file !== undefined) this.#rewrite(this.#file)
  }

  /** Other batches for the first ones; all are copied together, so that the memory of those that are gone is free. */
  #replace(count: number, batches: readonly Buffer[]): void {
    this.#store = new ByteStore()
    const rest = this.#batches.slice(count).map(({ buffer, start, end }) => buffer.subarray(start, end))
    this.#batches = [...batches, ...rest].map((bytes) => {
      const { buffer, start } = this.#store.add(bytes)
      return new BatchView(buffer, start, this.#place)
    })
    this.#bytes = this.#batches.reduce((sum, batch) => sum + batch.sizeInBytes, 0)
  }

  #findIn(batch: BatchView, isFound: (timestamp: number) => boolean): FoundRecord | undefined {
    const cursor = new RecordCursor()
    // A view of its own: the decompressed bytes are not kept with the log.
    cursor.reset(new BatchView(batch.buffer, batch.start, this.#place))
    while (cursor.next()) {
      const { timestamp, offset } = cursor
      if (offset >= this.#start && isFound(timestamp))
        return { timestamp, offset, leaderEpoch: batch.partitionLeaderEpoch }
    }
    return undefined
  }

  /** Index of the first batch that ends at `offset` or behind it. */
  #indexOf(offset: number): number {
    return lowerBound(
      this.#batches.length,
      (index) => (this.#batches[index] as BatchView).lastOffset < offset,
    )
  }

  #rules(): AppendRules {
    return {
      bytesMax: this.#number('max.message.bytes'),
      segmentBytesMax: this.#number('segment.bytes'),
      isCompacted: this.#setting('cleanup.policy').includes('compact'),
      stampsRecords: this.#setting('message.timestamp.type') === 'LogAppendTime',
      beforeMsMax: this.#number('message.timestamp.before.max.ms'),
      afterMsMax: this.#number('message.timestamp.after.max.ms'),
    }
  }

  #segmentLimits(): SegmentLimits {
    return { bytesMax: this.#number('segment.bytes'), ageMsMax: this.#number('segment.ms') }
  }

  #number(name: string): number {
    return Number(this.#setting(name))
  }

  #done(baseOffset: number, logAppendTimeMs: number): AppendAnswer {
    const { NONE } = codes
    const logStartOffset = this.#start
    return { errorCode: NONE, message: null, recordErrors: [], baseOffset, logAppendTimeMs, logStartOffset }
  }

  #refused(refusal: Refusal): AppendAnswer {
    const logStartOffset = startIsUntold.has(refusal.errorCode) ? -1 : this.#start
    return { ...refusal, baseOffset: -1, logAppendTimeMs: -1, logStartOffset }
  }

  #changed(): void {
    // A copy: those that are called end their watch and begin another one.
    for (const changed of [...this.#watchers]) changed()
  }
}

/** The log of a partition, undefined where there is none. */
export const logOf = (broker: BrokerState, topic: string, partition: number): PartitionLog | undefined =>
  broker.topics.get(topic)?.logs[partition] as PartitionLog | undefined
