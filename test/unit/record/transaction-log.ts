// A partition as a broker keeps it, in small: batches of transactional producers, markers, the index of aborted
// transactions in order of completion, compaction, and fetches that begin and are cut anywhere. It knows of each
// record whether it was committed, so that the abort filter is judged by the truth and not by a second filter.
import fc from 'fast-check'
import type { AbortedTransaction } from '../../../src/record/aborted-filter.ts'
import { type NaiveRecord, naiveBatch, naiveMarker, transactionalBit } from './naive-batch.ts'

/** What happens next in the partition; `producer` is 0 to 4. */
export type LogStep =
  | { readonly does: 'write'; readonly producer: number; readonly count: number; readonly markerKey: boolean }
  | { readonly does: 'writePlain'; readonly producer: number; readonly count: number }
  | { readonly does: 'abort' | 'commit'; readonly producer: number }

interface LogBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly producerId: number
  readonly transactional: boolean
  readonly marker: 'abort' | 'commit' | undefined
  records: NaiveRecord[]
  outcome: 'open' | 'aborted' | 'committed'
  firstOfTransaction: number
}

interface AbortEntry extends AbortedTransaction {
  readonly markerOffset: number
}

export interface FetchedPart {
  readonly bytes: Buffer
  readonly aborted: readonly AbortedTransaction[]
}

// As the coordinator hands them out: near each other, and not in the order of the producers.
const producerIds = [4001, 17, 4000, 2 ** 40, 18]
const value = Buffer.from('v')
/** The key bytes of an abort marker. */
const markerKey = Buffer.from([0, 0, 0, 0])

export class TransactionLog {
  batches: LogBatch[] = []
  #index: AbortEntry[] = []
  #nextOffset = 0
  readonly #open = new Map<number, number>()

  run(step: LogStep): void {
    const producerId = producerIds[step.producer] as number
    if (step.does === 'write' || step.does === 'writePlain') {
      const transactional = step.does === 'write'
      // A producer id belongs to a transactional or to an idempotent producer, never to both.
      const id = transactional ? producerId : 90_000 + step.producer
      if (transactional && !this.#open.has(id)) this.#open.set(id, this.#nextOffset)
      const key = step.does === 'write' && step.markerKey ? markerKey : Buffer.from(`k${this.#nextOffset}`)
      this.#append(id, transactional, undefined, step.count, key)
    } else this.#end(producerId, step.does)
  }

  /** Ends every open transaction, so that the last stable offset is the end of the log. */
  close(abort: (producerId: number) => boolean): void {
    for (const producerId of [...this.#open.keys()])
      this.#end(producerId, abort(producerId) ? 'abort' : 'commit')
  }

  get lastStableOffset(): number {
    return Math.min(this.#nextOffset, ...this.#open.values())
  }

  /** Offsets that a read_committed consumer must see from `start` on, up to the last stable offset. */
  visible(start: number): number[] {
    return this.batches
      .filter(
        (batch) => batch.marker === undefined && (batch.outcome === 'committed' || !batch.transactional),
      )
      .flatMap((batch) => batch.records.map((record) => record.offset))
      .filter((offset) => offset >= start && offset < this.lastStableOffset)
  }

  /**
   * Compaction: removes records, then (with `collect`) batches that are empty, and the markers and index entries of
   * transactions that have nothing left; some of it stays, as in a log that is only partly cleaned.
   */
  compact(removes: (offset: number) => boolean, collect: (offset: number) => boolean): void {
    for (const batch of this.batches) {
      if (batch.marker === undefined && batch.outcome !== 'open') {
        batch.records = batch.records.filter((record) => !removes(record.offset))
      }
    }
    const withData = new Set(
      this.batches
        .filter((batch) => batch.marker === undefined && batch.records.length > 0)
        .map((batch) => batch.firstOfTransaction),
    )
    const gone = (first: number): boolean => !withData.has(first)
    // The entry goes before the marker: a marker without an entry happens, an entry without a marker does not.
    this.#index = this.#index.filter((entry) => !(gone(entry.firstOffset) && collect(entry.firstOffset)))
    const listed = new Set(this.#index.map((entry) => entry.firstOffset))
    this.batches = this.batches.filter((batch) => {
      if (batch.outcome === 'open' || !collect(batch.baseOffset)) return true
      if (batch.marker === undefined) return batch.records.length > 0
      return !gone(batch.firstOfTransaction) || listed.has(batch.firstOfTransaction)
    })
  }

  /** @param extraBytes how much beyond the first batch fits; may cut a batch. */
  fetch(start: number, extraBytes: number, wideIndex: boolean): FetchedPart {
    const lastStable = this.lastStableOffset
    const wanted = this.batches.filter((batch) => batch.lastOffset >= start && batch.lastOffset < lastStable)
    const encoded = wanted.map(encode)
    const size = (encoded[0]?.length ?? 0) + extraBytes
    const bytes = Buffer.concat(encoded)
    let sum = 0
    let upper = start
    wanted.forEach((batch, index) => {
      sum += encoded[index]?.length ?? 0
      if (sum <= size) upper = batch.lastOffset + 1
    })
    // The broker lists by index entries that overlap what it sends, or a little more.
    if (wideIndex) upper = lastStable
    const aborted = this.#index.filter((entry) => entry.markerOffset >= start && entry.firstOffset < upper)
    return { bytes: bytes.subarray(0, Math.min(size, bytes.length)), aborted }
  }

  #append(
    producerId: number,
    transactional: boolean,
    marker: LogBatch['marker'],
    count: number,
    key: Buffer,
  ): void {
    const baseOffset = this.#nextOffset
    const records = Array.from({ length: count }, (_, index) => ({
      offset: baseOffset + index,
      timestamp: 1000,
      key,
      value,
    }))
    const firstOfTransaction = this.#open.get(producerId) ?? baseOffset
    this.#nextOffset += count
    const lastOffset = this.#nextOffset - 1
    const outcome = transactional && marker === undefined ? 'open' : 'committed'
    this.batches.push({
      baseOffset,
      lastOffset,
      producerId,
      transactional,
      marker,
      records,
      outcome,
      firstOfTransaction,
    })
  }

  #end(producerId: number, marker: 'abort' | 'commit'): void {
    const markerOffset = this.#nextOffset
    this.#append(producerId, true, marker, 1, markerKey)
    const firstOffset = this.#open.get(producerId)
    // A transaction that wrote nothing into this partition: a marker may still come, but it is not indexed.
    if (firstOffset === undefined) return
    this.#open.delete(producerId)
    if (marker === 'abort') this.#index.push({ producerId, firstOffset, markerOffset })
    for (const batch of this.batches) {
      if (batch.producerId === producerId && batch.outcome === 'open')
        batch.outcome = marker === 'abort' ? 'aborted' : 'committed'
    }
  }
}

/** By the records of a batch, which compaction replaces: a log is fetched from many offsets. */
const encodings = new WeakMap<readonly NaiveRecord[], Buffer>()

const encode = (batch: LogBatch): Buffer => {
  const known = encodings.get(batch.records)
  const bytes = known ?? encodeAfresh(batch)
  encodings.set(batch.records, bytes)
  return bytes
}

const encodeAfresh = (batch: LogBatch): Buffer => {
  if (batch.marker !== undefined) return naiveMarker(batch.baseOffset, batch.producerId, batch.marker)
  const { baseOffset, lastOffset, records, producerId } = batch
  const attributes = batch.transactional ? transactionalBit : 0
  return naiveBatch({
    baseOffset,
    lastOffset,
    records,
    producerId,
    attributes,
    producerEpoch: 0,
    baseSequence: 0,
  })
}

const producer = fc.nat(4)
export const logStep: fc.Arbitrary<LogStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('write' as const),
      producer,
      count: fc.integer({ min: 1, max: 3 }),
      markerKey: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('writePlain' as const), producer, count: fc.constant(1) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constantFrom('abort' as const, 'commit' as const), producer }),
  },
)
