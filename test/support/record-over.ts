// A record over bytes, from its places one by one.
import type { Serde } from '../../src/serde/serde.ts'
import { StreamRecord } from '../../src/topology/stream-record.ts'

/** Lengths of null are -1. */
export const recordOver = <K, V>(
  buffer: Buffer,
  timestamp: number,
  keyStart: number,
  keyLength: number,
  key: Serde<K, never>,
  valueStart: number,
  valueLength: number,
  value: Serde<V, never>,
  headersStart = 0,
  headerCount = 0,
): StreamRecord<K, V> =>
  StreamRecord.overBytes(
    { buffer, timestamp, keyStart, keyLength, valueStart, valueLength, headersStart, headerCount },
    { key, value },
  )
