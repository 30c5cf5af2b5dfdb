// Keys of windows: what an aggregation by windows answers, and how such keys lie in a topic. Layouts of Kafka's
// TimeWindowedSerializer and SessionWindowedSerializer.
//
// sessions:           key · end int64 · start int64
// all other windows:  key · start int64
import { Calendar, type CalendarUnit, isTimeZone } from '../base/calendar.ts'
import { MillstreamError } from '../errors.ts'
import { int64 } from './numbers.ts'
import type { Serde } from './serde.ts'
import { type ReadOf, type SerdeOrSchema, toSerde, type WriteOf } from './serde-or-schema.ts'
import { bufferOver } from './text.ts'

/**
 * A key in a window. `start` and `end` in ms since the epoch. A time window ends before `end`, which is infinity where it has
 * none; a session and a sliding window have a last moment, which is `end`.
 */
export interface Windowed<K> {
  readonly key: K
  readonly start: number
  readonly end: number
}

/** How long the windows are: of one length, by the calendar or without an end, so that the start says all, or each of its own. */
export type WindowLength =
  | { readonly kind: 'time' | 'sliding'; readonly sizeMs: number }
  | { readonly kind: 'calendar'; readonly every: CalendarUnit; readonly timeZone: string }
  | { readonly kind: 'sessions' | 'unlimited' }

const timeBytes = 8

const writeTime = (target: Buffer, offset: number, ms: number): void =>
  void int64.encodeInto?.(ms, target, offset)

const readTime = (source: Buffer, offset: number): number =>
  int64.decodeFrom?.(source, offset, offset + timeBytes) as number

const bytesAfterKey = ({ kind }: WindowLength): number => (kind === 'sessions' ? 2 * timeBytes : timeBytes)

/**
 * The serde of keys in windows, for topics that such keys are written to:
 * `topic('views-per-minute', { key: windowed(string, tumbling({ sizeMs: 60_000, graceMs: 0 })), value: int64 })`
 * @param key of the keys alone
 * @param windows the windows, or their length: the start alone is in the topic where all are of one length
 * @throws TOPOLOGY_INVALID where the key is neither a serde nor a schema, or a time zone is none
 */
export const windowed = <S extends SerdeOrSchema>(
  key: S,
  windows: WindowLength,
): Serde<Windowed<ReadOf<S>>, Windowed<WriteOf<S>>> => {
  const inner = toSerde(key, 'the key in a window') as Serde<unknown>
  const suffix = bytesAfterKey(windows)
  if (windows.kind === 'calendar' && !isTimeZone(windows.timeZone))
    throw new MillstreamError('TOPOLOGY_INVALID', { what: `${windows.timeZone} is no time zone` })
  const calendar = windows.kind === 'calendar' ? new Calendar(windows.every, windows.timeZone) : undefined
  /** Undefined: it is written beside the start. */
  const endOf = (start: number): number | undefined => {
    if ('sizeMs' in windows) return start + windows.sizeMs
    return windows.kind === 'unlimited' ? Number.POSITIVE_INFINITY : calendar?.endOf(start)
  }
  const write = (target: Buffer, offset: number, start: number, end: number): void => {
    if (windows.kind !== 'sessions') return writeTime(target, offset, start)
    writeTime(target, offset, end)
    writeTime(target, offset + timeBytes, start)
  }
  const read = (source: Buffer, from: number, to: number): Windowed<unknown> => {
    const keyEnd = to - suffix
    if (keyEnd < from)
      throw new RangeError(`a key in a window takes at least ${suffix} bytes, not ${to - from}`)
    const start = readTime(source, to - timeBytes)
    const end = endOf(start) ?? readTime(source, keyEnd)
    const plain = inner.decodeFrom
      ? inner.decodeFrom(source, from, keyEnd)
      : inner.decode(source.subarray(from, keyEnd))
    return { key: plain, start, end }
  }
  const serde: { -readonly [F in keyof Serde<Windowed<unknown>>]: Serde<Windowed<unknown>>[F] } = {
    name: `windowed(${inner.name})`,
    // All windows of a key are in the partition of the key, as Kafka Streams writes them.
    partitionSuffixBytes: suffix + (inner.partitionSuffixBytes ?? 0),
    encode(value) {
      const bytes = inner.encode(value.key)
      const target = Buffer.allocUnsafe(bytes.length + suffix)
      target.set(bytes)
      write(target, bytes.length, value.start, value.end)
      return target
    },
    decode: (bytes) => read(bufferOver(bytes), 0, bytes.length),
    decodeFrom: read,
  }
  if (inner.at)
    serde.at = (place) => windowed(inner.at?.(place) ?? inner, windows) as unknown as Serde<Windowed<unknown>>
  if (inner.remote) serde.remote = inner.remote
  if (inner.encodeInto) {
    serde.encodeInto = (value, target, offset) => {
      const length = inner.encodeInto?.(value.key, target, offset) ?? -1
      if (length < 0 || target.length - offset - length < suffix) return -1
      write(target, offset + length, value.start, value.end)
      return length + suffix
    }
  }
  return serde as unknown as Serde<Windowed<ReadOf<S>>, Windowed<WriteOf<S>>>
}
