// Where null is meant: as a value of a store or a topic (a tombstone), or as an absent key.
import { type ReadOf, type SerdeOrSchema, type WriteOf, toSerde } from './serde-or-schema.ts'
import type { Serde } from './serde.ts'

/**
 * The same serde with null beside its values: null is written as null bytes (in Kafka a tombstone or an absent key)
 * and null bytes are read as null.
 */
export const nullable = <S extends SerdeOrSchema>(
  serdeOrSchema: S,
): Serde<ReadOf<S> | null, WriteOf<S> | null> => {
  type R = ReadOf<S> | null
  type W = WriteOf<S> | null
  const inner = toSerde(serdeOrSchema, 'nullable') as Serde<R, W>
  const refuseNull = (value: W): void => {
    if (value === null) throw new TypeError('null has no bytes: it is written as null')
  }
  const serde: { -readonly [F in keyof Serde<R, W>]: Serde<R, W>[F] } = {
    name: `nullable(${inner.name})`,
    acceptsAllBytes: inner.acceptsAllBytes === true,
    copies: inner.copies === true,
    primitive: inner.primitive === true,
    partitionSuffixBytes: inner.partitionSuffixBytes ?? 0,
    encode(value: W): Uint8Array {
      refuseNull(value)
      return inner.encode(value)
    },
    decode: (source: Uint8Array): R => inner.decode(source),
    decodeNull: (): R => null,
    encodesNull: (value: W): boolean => value === null || inner.encodesNull?.(value) === true,
  }
  if (inner.at) serde.at = (place) => nullable((inner.at?.(place) ?? inner) as S & Serde<R, W>)
  if (inner.remote) serde.remote = inner.remote
  if (inner.encodeInto) {
    serde.encodeInto = (value: W, target: Buffer, offset: number): number => {
      refuseNull(value)
      return inner.encodeInto?.(value, target, offset) ?? -1
    }
  }
  if (inner.decodeFrom)
    serde.decodeFrom = (source: Buffer, start: number, end: number): R =>
      inner.decodeFrom?.(source, start, end) as R
  return serde
}
