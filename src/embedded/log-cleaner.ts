// Compaction of a log, as Kafka does it: of each key the last record stays. Only closed segments below the last stable offset are
// touched, when enough of them is new ("dirty"). Data of aborted transactions goes at once, its marker stays until a
// later round finds no data of it any more. Tombstones and such markers then get a delete horizon (KIP-534) and go
// in the first round behind it. The last batch of a producer and the last one of the round stay, if need be without
// records: sequence numbers, epochs and offsets must not be forgotten.
import { BatchView } from '../record/batch-view.ts'
import { controlType } from '../record/control-record.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import type { AbortedTransaction } from './aborted-index.ts'
import { deleteHorizonOf, emptiedBatch, filteredBatch } from './batch-edit.ts'
import type { LogSegments } from './log-segments.ts'
import type { ProducerState } from './producer-states.ts'

interface CleaningRules {
  /** Where the last round ended. */
  readonly cleanedTo: number
  readonly lastStableOffset: number
  /** min.cleanable.dirty.ratio */
  readonly dirtyRatioMin: number
  /** min.compaction.lag.ms */
  readonly lagMsMin: number
  /** max.compaction.lag.ms */
  readonly lagMsMax: number
  readonly nowMs: number
}

interface Round {
  /** Keys are looked for from here on: what is below has one record for each. */
  readonly dirtyFrom: number
  readonly end: number
  readonly aborted: readonly AbortedTransaction[]
  readonly producer: (producerId: number) => ProducerState | undefined
  readonly deleteRetentionMs: number
  readonly nowMs: number
}

export interface Compacted {
  readonly batches: readonly Buffer[]
  /** What is left of the aborted transactions that end below the end of the round. */
  readonly aborted: readonly AbortedTransaction[]
}

/** Up to where a round would go, undefined where none is worth it. */
export const cleanableEnd = (segments: LogSegments, rules: CleaningRules): number | undefined => {
  const { cleanedTo, lastStableOffset, dirtyRatioMin, lagMsMin, lagMsMax, nowMs } = rules
  const young = lagMsMin > 0 ? segments.firstYoungerThan(nowMs - lagMsMin) : undefined
  const end = segments.startOf(Math.min(segments.activeStart, lastStableOffset, young ?? lastStableOffset))
  if (end <= cleanedTo) return undefined
  const dirtyBytes = segments.bytesBetween(segments.startOf(cleanedTo), end)
  if (dirtyBytes === 0) return undefined
  const cleanBytes = segments.bytesBetween(0, segments.startOf(cleanedTo))
  const dirtySince = segments.firstTimestampFrom(cleanedTo) ?? nowMs
  const isDirty = dirtyBytes / (cleanBytes + dirtyBytes) > dirtyRatioMin
  return isDirty || nowMs - dirtySince > lagMsMax ? end : undefined
}

interface OngoingAbort {
  readonly entry: AbortedTransaction
  sawData: boolean
}

/** Follows the transactions along the log, and says what belongs to an aborted one or to none any more. */
class TransactionTrail {
  readonly #coming: AbortedTransaction[]
  readonly #aborting = new Map<number, OngoingAbort>()
  readonly #committing = new Set<number>()
  /** Aborted transactions that have data left, in the order of their markers. */
  readonly kept: AbortedTransaction[] = []

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#coming = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** @returns whether the records of this data batch were aborted */
  data(batch: BatchView): boolean {
    this.#reach(batch.lastOffset)
    if (!batch.isTransactional) return false
    const aborting = this.#aborting.get(batch.producerId)
    if (aborting === undefined) this.#committing.add(batch.producerId)
    else aborting.sawData = true
    return aborting !== undefined
  }

  /** @returns whether this marker ends a transaction of which nothing is left */
  marker(batch: BatchView): boolean {
    this.#reach(batch.lastOffset)
    if (batch.recordCount === 0) return true
    const { producerId } = batch
    const type = controlType(batch)
    if (type === 'other') return false
    if (type === 'commit') return !this.#committing.delete(producerId)
    const aborting = this.#aborting.get(producerId)
    this.#aborting.delete(producerId)
    if (aborting === undefined || !aborting.sawData) return true
    this.kept.push(aborting.entry)
    return false
  }

  #reach(offset: number): void {
    while (this.#coming.length > 0 && (this.#coming[0] as AbortedTransaction).firstOffset <= offset) {
      const entry = this.#coming.shift() as AbortedTransaction
      this.#aborting.set(entry.producerId, { entry, sawData: false })
    }
  }
}

/** A view that is thrown away after use: the decompressed bytes are not kept with the log. */
const passing = (batch: BatchView): BatchView => new BatchView(batch.buffer, batch.start, batch.place)

const keyOf = (cursor: RecordCursor): string =>
  cursor.buffer.toString('latin1', cursor.keyStart, cursor.keyStart + cursor.keyLength)

/** Offset of the last record of each key that was not aborted. */
const lastOffsets = (batches: readonly BatchView[], { dirtyFrom, aborted }: Round): Map<string, number> => {
  const offsets = new Map<string, number>()
  const trail = new TransactionTrail(aborted)
  const cursor = new RecordCursor()
  for (const batch of batches) {
    if (batch.isControl) trail.marker(batch)
    else if (!trail.data(batch) && batch.lastOffset >= dirtyFrom) {
      cursor.reset(passing(batch))
      while (cursor.next()) if (cursor.keyLength >= 0) offsets.set(keyOf(cursor), cursor.offset)
    }
  }
  return offsets
}

/** Whether this is the batch by which its producer's sequence number, or else its epoch, is known. */
const isLastOfProducer = (batch: BatchView, { producer }: Round): boolean => {
  const state = batch.producerId < 0 ? undefined : producer(batch.producerId)
  if (state === undefined) return false
  const last = state.batches.at(-1)
  return last === undefined
    ? batch.isControl && batch.producerEpoch === state.epoch
    : batch.lastOffset === last.lastOffset
}

interface Verdict {
  readonly kept: (cursor: RecordCursor) => boolean
  /** Records that go once the delete horizon has passed. */
  readonly expires: (cursor: RecordCursor) => boolean
}

const verdictOf = (
  batch: BatchView,
  trail: TransactionTrail,
  offsets: ReadonlyMap<string, number>,
  nowMs: number,
): Verdict => {
  const horizon = deleteHorizonOf(batch)
  const hasPassed = horizon !== undefined && horizon <= nowMs
  if (batch.isControl) {
    const isEmpty = trail.marker(batch)
    return { kept: () => !(isEmpty && hasPassed), expires: () => isEmpty }
  }
  if (trail.data(batch)) return { kept: () => false, expires: () => false }
  return {
    kept: (cursor) => {
      if (cursor.keyLength < 0) return false
      const isLast = cursor.offset >= (offsets.get(keyOf(cursor)) ?? -1)
      return isLast && (cursor.valueLength >= 0 || !hasPassed)
    },
    expires: (cursor) => cursor.valueLength < 0,
  }
}

/** What is left of a batch: itself, a part of it, or undefined for nothing. */
const compactBatch = (batch: BatchView, { kept, expires }: Verdict, round: Round): Buffer | undefined => {
  let keptCount = 0
  let expiring = false
  const cursor = new RecordCursor()
  cursor.reset(passing(batch))
  while (cursor.next()) {
    if (!kept(cursor)) continue
    keptCount++
    expiring ||= expires(cursor)
  }
  if (keptCount === 0) {
    const mustStay = isLastOfProducer(batch, round) || batch.nextOffset === round.end
    return mustStay ? emptiedBatch(batch) : undefined
  }
  const needsHorizon = expiring && deleteHorizonOf(batch) === undefined
  if (keptCount === batch.recordCount && !needsHorizon) return batch.buffer.subarray(batch.start, batch.end)
  return filteredBatch(batch, kept, needsHorizon ? round.nowMs + round.deleteRetentionMs : undefined)
}

/** One round over closed batches. @param batches all of the log below the end of the round */
export const compact = (batches: readonly BatchView[], round: Round): Compacted => {
  const offsets = lastOffsets(batches, round)
  const trail = new TransactionTrail(round.aborted)
  const left: Buffer[] = []
  for (const batch of batches) {
    const bytes = compactBatch(batch, verdictOf(batch, trail, offsets, round.nowMs), round)
    if (bytes !== undefined) left.push(bytes)
  }
  return { batches: left, aborted: trail.kept }
}
