// A key-value store that keeps, for a while, what each key was before: read as of a time, written as of a time, also out of
// order. The latest version of a key stands alone, so that reading it is one look-up; what came before it is its history.
//
// key of the latest version:  81 · key bytes
// key of an earlier one:      80 · length of the key int32 · key bytes · timestamp int64
// key of a boundary:          timestamp int64 (from 0) · key bytes
//
// A boundary is where a version ends: what lies before it is of no use once its time is past the history. So what expires
// is a walk over the boundaries from the lowest one on, a few with each write, and never more than a few.
import type { Serde } from '../serde/serde.ts'
import type { KeyedRecord } from './contracts.ts'
import type { HotEntry } from './hot-entry.ts'
import { StoreCodec } from './store-codec.ts'
import type { Timestamped } from './timestamped.ts'
import {
  boundary,
  type Version,
  type VersionEntry,
  type VersionEntryStore,
  type VersionProgress,
  versionProgressBytes,
} from './version-entries.ts'
import { progressKey, timeBytes, timeIn, timeKey } from './window-entries.ts'
import { byKey, lastTimeKey } from './window-table.ts'

/** What became of a version: the latest of its key, an earlier one, or refused since it is past the history. */
export type Put = 'latest' | 'earlier' | 'refused'

/** A version of a key as long as it was or is valid: from <= time < to; `to` undefined: it is the latest one. */
export interface ValidVersion {
  readonly value: unknown
  readonly from: number
  readonly to: number | undefined
}

const latestPrefix = '\u0081'
const afterLatest = '\u0082'
const noProgress: VersionProgress = Object.freeze({ time: -1, expired: '' })

/** A write makes two boundaries at most, so the walk catches up with what is due. */
const boundariesPerWrite = 16
/** How often, within the history, it is looked for what is past it. */
const walksPerHistory = 64

const present = (version: Version | undefined): Timestamped<unknown> | undefined =>
  version === undefined || 'takenOut' in version ? undefined : version

export class VersionTable {
  readonly historyMs: number
  readonly #store: VersionEntryStore
  readonly #codec: StoreCodec<unknown, unknown>
  readonly #stepMs: number
  readonly #hot: HotEntry<VersionEntry>

  /** @param key serde of the keys alone @param value serde of the values alone */
  constructor(store: VersionEntryStore, key: Serde<unknown>, value: Serde<unknown>, historyMs: number) {
    this.#store = store
    this.#hot = store.hotEntry(progressKey, versionProgressBytes)
    this.historyMs = historyMs
    this.#stepMs = Math.max(1, Math.floor(historyMs / walksPerHistory))
    const noLimit = Number.POSITIVE_INFINITY
    this.#codec = new StoreCodec(store.name, key, value, noLimit, noLimit)
  }

  get name(): string {
    return this.#store.name
  }

  /** Highest timestamp that was written, ms; -1 before the first. */
  get time(): number {
    return this.#progress.time
  }

  // ---- as a table

  get(key: unknown): Timestamped<unknown> | undefined {
    return present(this.#latest(this.#codec.key(key)))
  }

  getOf(record: KeyedRecord<unknown>): Timestamped<unknown> | undefined {
    return present(this.#latest(this.#keyOf(record)))
  }

  /** The version that was valid at this time; none where the time is past the history and it is not the latest one. */
  asOf(key: unknown, timestamp: number): Timestamped<unknown> | undefined {
    return present(this.#asOf(this.#codec.key(key), timestamp))
  }

  putOf(record: KeyedRecord<unknown>, { value, timestamp }: Timestamped<unknown>): Put {
    return this.#put(this.#keyOf(record), value, timestamp)
  }

  /** From the time of the record on the key has no value. */
  deleteOf(record: KeyedRecord<unknown> & { readonly timestamp: number }): Put {
    return this.#put(this.#keyOf(record), undefined, record.timestamp)
  }

  // ---- as a store

  /** @param value undefined: from this time on the key has none */
  put(key: unknown, value: unknown, timestamp: number): Put {
    if (!Number.isSafeInteger(timestamp) || timestamp < 0)
      throw new RangeError(`store ${this.name}: a version takes a timestamp in ms from 0, not ${timestamp}`)
    return this.#put(this.#codec.key(key), value, timestamp)
  }

  /** Versions that were valid at some time with from <= time < to, the latest first; what is past the history is left out. */
  *versions(key: unknown, from: number, to: number): IterableIterator<ValidVersion> {
    const bytes = this.#codec.key(key)
    const latest = this.#latest(bytes)
    if (latest === undefined) return
    let end = latest.timestamp
    if (latest.timestamp < to) {
      const value = present(latest)
      if (value !== undefined) yield { value: value.value, from: latest.timestamp, to: undefined }
    } else end = this.#following(bytes, to, latest)
    const earliest = Math.max(from, this.#visibleFrom)
    const history = byKey(bytes)
    const high = history + timeKey(Math.max(0, Math.min(to, latest.timestamp)))
    for (const { value: entry } of this.#store.range(history, high, { reverse: true })) {
      if (end <= earliest) return
      const version = entry as Version
      const value = present(version)
      if (value !== undefined) yield { value: value.value, from: version.timestamp, to: end }
      end = version.timestamp
    }
  }

  /** The latest versions of the keys in their order. */
  *rows(
    from: unknown,
    to: unknown,
    reverse: boolean,
  ): IterableIterator<{ readonly key: unknown; readonly value: unknown }> {
    const low = latestPrefix + (from === undefined ? '' : this.#codec.key(from))
    const high = to === undefined ? afterLatest : latestPrefix + this.#codec.key(to)
    for (const { key, value } of this.#store.range(low, high, { reverse })) {
      const version = present(value as Version)
      if (version !== undefined) yield { key: this.#codec.keyOf(key.slice(1)), value: version.value }
    }
  }

  get #progress(): VersionProgress {
    return (this.#hot.get() as VersionProgress | undefined) ?? noProgress
  }

  /** The earliest time as of which everything can be read. */
  get #visibleFrom(): number {
    return this.time - this.historyMs
  }

  #keyOf(record: KeyedRecord<unknown>): string {
    return this.#codec.rawKeyOf(record) ?? this.#codec.key(record.key)
  }

  #latest(key: string): Version | undefined {
    return this.#store.get(latestPrefix + key) as Version | undefined
  }

  #asOf(key: string, timestamp: number): Version | undefined {
    const latest = this.#latest(key)
    if (latest === undefined || latest.timestamp <= timestamp) return latest
    if (timestamp < this.#visibleFrom || timestamp < 0) return undefined
    const history = byKey(key)
    for (const { value } of this.#store.range(history, history + timeKey(timestamp + 1), { reverse: true }))
      return value as Version
    return undefined
  }

  /** When the version ends that is valid right before this time or at it: the next timestamp from there on. */
  #following(key: string, from: number, latest: Version): number {
    const history = byKey(key)
    const low = history + timeKey(Math.max(0, from))
    for (const { value } of this.#store.range(low, history + lastTimeKey)) return (value as Version).timestamp
    return latest.timestamp
  }

  #put(key: string, value: unknown, timestamp: number): Put {
    const { time, expired } = this.#progress
    if (timestamp < time - this.historyMs) return 'refused'
    const isNull = value === undefined || this.#codec.isNull(value)
    const version: Version = isNull ? { takenOut: true, timestamp } : { value, timestamp }
    const latest = this.#latest(key)
    const isLatest = latest === undefined || timestamp >= latest.timestamp
    if (isLatest) this.#putLatest(key, version, latest)
    else this.#putEarlier(key, version, latest)
    // Where the history is longer than it was: the walk has passed here.
    const isBehind = timeKey(timestamp) < expired
    if (timestamp > time || isBehind)
      this.#hot.set({
        time: Math.max(time, timestamp),
        expired: isBehind ? timeKey(timestamp) : expired,
      })
    this.#expire()
    return isLatest ? 'latest' : 'earlier'
  }

  #putLatest(key: string, version: Version, before: Version | undefined): void {
    const { timestamp } = version
    if (before !== undefined && before.timestamp < timestamp) {
      this.#store.put(byKey(key) + timeKey(before.timestamp), before)
      this.#bound(key, timestamp)
    } else if ('takenOut' in version) this.#bound(key, timestamp)
    this.#store.put(latestPrefix + key, version)
  }

  #putEarlier(key: string, version: Version, latest: Version): void {
    const { timestamp } = version
    this.#bound(key, timestamp)
    this.#bound(key, this.#following(key, timestamp + 1, latest))
    this.#store.put(byKey(key) + timeKey(timestamp), version)
  }

  #bound(key: string, timestamp: number): void {
    const id = timeKey(timestamp) + key
    if (!this.#store.has(id)) this.#store.put(id, boundary)
  }

  /** Goes on with the walk: over boundaries before which nobody may look any more. */
  #expire(): void {
    const { time, expired } = this.#progress
    // Not the boundary at the edge: a version may still be put there, and it must not lie behind the walk.
    const due = Math.floor((time - this.historyMs) / this.#stepMs) * this.#stepMs
    if (due <= 0) return
    const end = timeKey(due)
    if (expired >= end) return
    const passed: string[] = []
    for (const { key } of this.#store.range(expired, end)) {
      passed.push(key)
      if (passed.length === boundariesPerWrite) break
    }
    for (const id of passed) this.#pass(id)
    const last = passed.length === boundariesPerWrite ? `${passed.at(-1)}\u0000` : end
    this.#hot.set({ time, expired: last })
  }

  /** Removes a boundary, the version before it, and the one behind it where that is the end of its key. */
  #pass(id: string): void {
    const key = id.slice(timeBytes)
    const timestamp = timeIn(id, 0)
    const history = byKey(key)
    const before = [...this.#store.range(history, history + timeKey(timestamp))]
    for (const { key: earlier } of before) this.#store.delete(earlier)
    for (const place of [history + timeKey(timestamp), latestPrefix + key]) {
      const version = this.#store.get(place) as Version | undefined
      if (version !== undefined && 'takenOut' in version && version.timestamp === timestamp)
        this.#store.delete(place)
    }
    this.#store.delete(id)
  }
}
