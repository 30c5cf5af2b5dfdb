// The store of a join of streams. Records lie by side, by stretch of time and then by key, so that those of a key within a
// window are one or two scans, and what is past its retention is a walk from the lowest entry, stretch by stretch.
//
// key of a record:          side · start of the stretch int64 · length of the key int32 · key · timestamp int64 · number int32
// key of one that waits:    02 + side · timestamp int64 · length of the key int32 · key · number int32
// key of the progress:      FF
import { invariant } from '../base/assert.ts'
import type { Serde } from '../serde/serde.ts'
import type { KeyedRecord } from './contracts.ts'
import {
  type JoinEntry,
  type JoinEntryStore,
  type JoinProgress,
  joinProgressBytes,
  type Kept,
  leftSide,
  type PerSide,
  rightSide,
  type Side,
  waiting,
} from './join-entries.ts'
import type { HotEntry } from './hot-entry.ts'
import { JoinFilter } from './join-filter.ts'
import { StoreCodec } from './store-codec.ts'
import { progressKey, removeLowest, timeBytes, timeIn, timeKey } from './window-entries.ts'
import { lastTimeKey } from './window-table.ts'

/** What the store of a join is laid out for, ms. */
export interface JoinShape {
  readonly kind: 'join'
  readonly beforeMs: number
  readonly afterMs: number
  readonly graceMs: number
  /** Sides whose records are told alone where none was there to be joined with. */
  readonly outer: PerSide<boolean>
}

/** A record of a join as it is kept. */
export interface JoinRecord {
  readonly side: Side
  /** The bytes of the key alone. */
  readonly key: string
  readonly timestamp: number
  /** Among those of the same side, key and time: in the order in which they came. */
  readonly number: number
  readonly value: unknown
}

const numberBytes = 4
/** How often, within the retention, what is past it is removed. */
const expiriesPerRetention = 8
/** Above every number. */
const lastNumber = '\u00ff\u00ff\u00ff\u00ff'
const nothingWaits = '\u00ff'
const sideKeys: PerSide<string> = ['\u0000', '\u0001']
const waitingKeys: PerSide<string> = ['\u0002', '\u0003']
const sides = [rightSide, leftSide] as const

const noProgress: JoinProgress = {
  time: -1,
  closing: -1,
  kept: [-1, -1],
  closed: [nothingWaits, nothingWaits],
  expired: sideKeys,
}

const int32Key = (value: number): string =>
  String.fromCharCode((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)

const int32In = (key: string, at: number): number => {
  let value = 0
  for (let index = at; index < at + numberBytes; index++) value = value * 256 + key.charCodeAt(index)
  return value
}

const withSide = <T>(both: PerSide<T>, side: Side, value: T): PerSide<T> =>
  side === rightSide ? [value, both[1]] : [both[0], value]

const waitingAt = 1 + timeBytes + numberBytes

const placeFrom = (side: Side, id: string): Place => ({
  id,
  side,
  key: id.slice(waitingAt, -numberBytes),
  timestamp: timeIn(id, 1),
  number: int32In(id, id.length - numberBytes),
})

const waitingId = (side: Side, key: string, timestamp: number, number: number): string =>
  waitingKeys[side] + timeKey(timestamp) + int32Key(key.length) + key + int32Key(number)

/** Where the records of a key lie that are of the stretch of time which begins there. */
const stretchOf = (side: Side, start: number, key: string): string =>
  sideKeys[side] + timeKey(start) + int32Key(key.length) + key

interface Place extends Omit<JoinRecord, 'value'> {
  readonly id: string
}

/** What waits on one side, the earliest first. */
class WaitingWalk {
  readonly #side: Side
  readonly #entries: Iterator<{ readonly key: string }>
  readonly #openMs: number
  head: Place | undefined

  /** @param openMs how long after its time a record can be joined */
  constructor(side: Side, entries: Iterator<{ readonly key: string }>, openMs: number) {
    this.#side = side
    this.#entries = entries
    this.#openMs = openMs
    this.go()
  }

  /** The last moment at which the head can be joined. */
  get closes(): number {
    return this.head === undefined ? Number.POSITIVE_INFINITY : this.head.timestamp + this.#openMs
  }

  get position(): string {
    return this.head?.id ?? nothingWaits
  }

  go(): void {
    const next = this.#entries.next()
    this.head = next.done === true ? undefined : placeFrom(this.#side, next.value.key)
  }

  end(): void {
    this.#entries.return?.()
  }
}

/** Both sides of a join work on one store, each with a table of its own. */
const filters = new WeakMap<JoinEntryStore, JoinFilter>()

export class JoinTable {
  readonly shape: JoinShape
  /** How long after it, in the time of its side, a record is found. */
  readonly #retentionMs: number
  /** Length of a stretch of time: a window meets at most two. */
  readonly #stretchMs: number
  /** From one look for what is past its retention to the next, in stretches. */
  readonly #expiryMs: number
  readonly #store: JoinEntryStore
  readonly #codec: StoreCodec<unknown, unknown>
  readonly #hot: HotEntry<JoinEntry>

  /** @param key serde of the keys alone */
  constructor(store: JoinEntryStore, key: Serde<unknown>, shape: JoinShape) {
    this.#store = store
    this.#hot = store.hotEntry(progressKey, joinProgressBytes)
    this.shape = shape
    const { beforeMs, afterMs, graceMs } = shape
    this.#retentionMs = Math.max(1, beforeMs + afterMs + graceMs)
    this.#stretchMs = Math.max(1, beforeMs + afterMs)
    this.#expiryMs = this.#stretchMs * Math.ceil(this.#retentionMs / expiriesPerRetention / this.#stretchMs)
    const noLimit = Number.POSITIVE_INFINITY
    this.#codec = new StoreCodec(store.name, key, key, noLimit, noLimit)
  }

  /** The bytes of the record's key. @throws SERIALIZATION_FAILED */
  keyOf(record: KeyedRecord<unknown>): string {
    return this.#codec.rawKeyOf(record) ?? this.#codec.key(record.key)
  }

  /** A key out of its bytes. @throws DESERIALIZATION_FAILED */
  keyFrom(key: string): unknown {
    return this.#codec.keyOf(key)
  }

  /**
   * A record of this time has come: to be called first, with each of them. @param joinable it has a key and a value
   * @returns the highest timestamp seen by now
   */
  advance(timestamp: number, joinable: boolean): number {
    const progress = this.#progress
    const time = Math.max(progress.time, timestamp)
    const closing = joinable && timestamp === time ? time : progress.closing
    if (time !== progress.time || closing !== progress.closing) this.#hot.set({ ...progress, time, closing })
    return time
  }

  /** How far behind a record of this side those of the other may be that it is joined with. */
  reachMs(side: Side): number {
    return side === leftSide ? this.shape.afterMs : this.shape.beforeMs
  }

  /** Records of a side and key between two times, both included, that are not past their retention: the oldest first. */
  find(side: Side, key: string, from: number, to: number): JoinRecord[] {
    const found: JoinRecord[] = []
    const kept = this.#progress.kept[side]
    const first = Math.max(0, from, this.#visibleFrom(kept))
    const last = Math.min(to, kept)
    const stretchMs = this.#stretchMs
    const filter = this.#filter()
    for (let start = this.#startOf(first); start <= last; start += stretchMs) {
      if (filter.excludes(side, start, key)) continue
      const prefix = stretchOf(side, start, key)
      const high = prefix + timeKey(Math.min(last + 1, start + stretchMs))
      for (const { key: id, value } of this.#store.range(prefix + timeKey(Math.max(first, start)), high))
        found.push({
          side,
          key,
          timestamp: timeIn(id, prefix.length),
          number: int32In(id, prefix.length + timeBytes),
          value: (value as Kept).value,
        })
    }
    return found
  }

  /** Keeps a record, so that others find it. One that nobody would find is kept only while it waits. */
  keep(side: Side, key: string, timestamp: number, value: unknown, waits: boolean): void {
    const progress = this.#progress
    const before = progress.kept[side]
    const kept = Math.max(before, timestamp)
    let next = kept === before ? progress : { ...progress, kept: withSide(progress.kept, side, kept) }
    if (waits || timestamp >= this.#visibleFrom(kept)) {
      // Later than all others of its side: none is of the same time.
      const isLatest = timestamp > before
      const number = isLatest ? 0 : this.#unusedNumber(side, key, timestamp)
      const id = this.#idOf(side, key, timestamp, number)
      this.#store.insert(id, { side, value })
      this.#filter().note(side, this.#startOf(timestamp), key)
      // One that waits though it is past its retention, or a grace that is longer than it was: the walk has passed here.
      if (id < next.expired[side]) next = { ...next, expired: withSide(next.expired, side, id) }
      if (waits) {
        const place = waitingId(side, key, timestamp, number)
        // The place of another one, too: of a record that is kept elsewhere since the window was another one (0020).
        if (isLatest) this.#store.insert(place, waiting)
        else this.#store.put(place, waiting)
        if (place < next.closed[side]) next = { ...next, closed: withSide(next.closed, side, place) }
      }
    }
    if (next !== progress) this.#hot.set(next)
  }

  /** The record is joined: it does not wait any more. */
  meet({ side, key, timestamp, number }: JoinRecord): void {
    this.#store.delete(waitingId(side, key, timestamp, number))
  }

  /** Whether a walk may have something to do. */
  get hasWork(): boolean {
    const { closed, expired } = this.#progress
    return sides.some((side) => {
      const lowest = closed[side]
      const closes = lowest !== nothingWaits && timeIn(lowest, 1) < this.#closedBefore(side)
      const passed = expired[side]
      return closes || passed.length === 1 || timeIn(passed, 1) < this.#expiryEndMs(side)
    })
  }

  /**
   * The next records that waited in vain, in the order in which they close. They are gone with this: nobody is joined with
   * what was told alone. Fewer than `entriesMax`: these were the last.
   */
  takeClosed(entriesMax: number): JoinRecord[] {
    const progress = this.#progress
    const walks: PerSide<WaitingWalk> = [this.#waitingOf(rightSide), this.#waitingOf(leftSide)]
    const [right, left] = walks
    const taken: Place[] = []
    while (taken.length < entriesMax) {
      const next = right.closes <= left.closes ? right : left
      if (next.head === undefined || next.closes >= progress.closing) break
      taken.push(next.head)
      next.go()
    }
    const closed: PerSide<string> = [right.position, left.position]
    for (const walk of walks) walk.end()
    const records = taken.map((place) => this.#take(place))
    if (closed[rightSide] !== progress.closed[rightSide] || closed[leftSide] !== progress.closed[leftSide])
      this.#hot.set({ ...progress, closed })
    return records
  }

  /** Removes the next records that are past their retention. What waits stays. @returns whether there may be more */
  expire(entriesMax: number): boolean {
    const progress = this.#progress
    let left = entriesMax
    const positions = sides.map((side) => {
      const from = progress.expired[side]
      const end = this.#expiryEnd(side)
      if (from >= end || left === 0) return from
      const removed = removeLowest(this.#store, from, end, left)
      left -= removed.length
      return left === 0 ? `${removed.at(-1)}\u0000` : end
    })
    const expired = positions as unknown as PerSide<string>
    if (
      expired[rightSide] !== progress.expired[rightSide] ||
      expired[leftSide] !== progress.expired[leftSide]
    )
      this.#hot.set({ ...progress, expired })
    return left === 0
  }

  /** What waits on this side and is of an earlier time than this has closed. */
  #closedBefore(side: Side): number {
    return this.#progress.closing - this.reachMs(side) - this.shape.graceMs
  }

  /** Earliest timestamp that is found on a side whose latest record is of that time. */
  #visibleFrom(kept: number): number {
    return kept - this.#retentionMs + 1
  }

  /** Where the walk over what is past its retention ends. What was not told yet is not past it. */
  #expiryEnd(side: Side): string {
    return sideKeys[side] + timeKey(this.#expiryEndMs(side))
  }

  #expiryEndMs(side: Side): number {
    const hidden = this.#visibleFrom(this.#progress.kept[side])
    const last = this.shape.outer[side] ? Math.min(hidden, this.#closedBefore(side)) : hidden
    return Math.max(0, last - (last % this.#expiryMs))
  }

  /** Of the stretch that this time is in. */
  #startOf(timestamp: number): number {
    return timestamp - (timestamp % this.#stretchMs)
  }

  #idOf(side: Side, key: string, timestamp: number, number: number): string {
    return stretchOf(side, this.#startOf(timestamp), key) + timeKey(timestamp) + int32Key(number)
  }

  /** What need not be looked for: made before something is kept. */
  #filter(): JoinFilter {
    const known = filters.get(this.#store)
    const { loads } = this.#store
    if (known?.loads === loads) return known
    const lastStretch = (kept: number): number => (kept < 0 ? -1 : this.#startOf(kept))
    const [right, left] = this.#progress.kept
    const made = new JoinFilter(loads, [lastStretch(right), lastStretch(left)])
    filters.set(this.#store, made)
    return made
  }

  #unusedNumber(side: Side, key: string, timestamp: number): number {
    const first = this.#idOf(side, key, timestamp, 0)
    if (!this.#store.has(first)) return 0
    const last = first.slice(0, -numberBytes) + lastNumber
    for (const { key: id } of this.#store.range(first, last, { reverse: true }))
      return int32In(id, id.length - numberBytes) + 1
    return 0
  }

  #waitingOf(side: Side): WaitingWalk {
    const from = this.#progress.closed[side]
    const end = waitingKeys[side] + lastTimeKey
    return new WaitingWalk(
      side,
      from < end ? this.#store.range(from, end) : [].values(),
      this.reachMs(side) + this.shape.graceMs,
    )
  }

  #take({ id, side, key, timestamp, number }: Place): JoinRecord {
    const kept = this.#idOf(side, key, timestamp, number)
    const entry = this.#store.get(kept) as Kept | undefined
    invariant(entry !== undefined, 'what waits is kept', { store: this.#store.name, timestamp })
    // In this order: of a changelog without transactions a beginning may be all there is.
    this.#store.delete(id)
    this.#store.delete(kept)
    return { side, key, timestamp, number, value: entry.value }
  }

  get #progress(): JoinProgress {
    return (this.#hot.get() as JoinProgress | undefined) ?? noProgress
  }
}
