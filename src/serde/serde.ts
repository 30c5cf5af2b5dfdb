// The contract of a serde: how a value of the user becomes bytes and comes back.
import type { RemoteSerde, SerdePlace } from './remote.ts'

/**
 * Converts between values and bytes. `R` is what is read, `W` what may be written (they differ for schemas that
 * transform). `encode` and `decode` are synchronous. Null (a tombstone, an absent key) reaches a serde only through `decodeNull` and `encodesNull`.
 */
export interface Serde<R, W = R> {
  /** Short name for descriptions and errors, for instance `int64`. */
  readonly name: string
  /** @throws any error when the value cannot be written. */
  encode(value: W): Uint8Array
  /** `bytes` is a view that is valid during the call only: copy what is kept. @throws any error when the bytes are refused. */
  decode(bytes: Uint8Array): R

  /**
   * Optional fast path of `encode`: writes into `target` at `offset` and returns the length, or -1 when it does
   * not fit (then the caller grows the buffer and calls again).
   */
  encodeInto?(value: W, target: Buffer, offset: number): number
  /** Optional fast path of `decode` over `source[start, end)`, without a view object. */
  decodeFrom?(source: Buffer, start: number, end: number): R
  /** What null bytes are read as. Absent: null bytes are refused (see `nullable`). */
  decodeNull?(): R
  /** Whether this value is written as null bytes. Absent: never. */
  encodesNull?(value: W): boolean
  /** Every sequence of bytes is valid: a value that nobody looked at may pass through as it came. */
  readonly acceptsAllBytes?: boolean
  /** What was read keeps none of the bytes it was read from, which are written again afterwards. Absent: not known. */
  readonly copies?: boolean
  /**
   * Values are made of primitives: what was read keeps none of the bytes it was read from, and is written as the same
   * bytes. A store reads such a value where it lies, any other from a copy.
   */
  readonly primitive?: boolean
  /** Of a key: so many of its last bytes have no say in its partition. */
  readonly partitionSuffixBytes?: number
  /** The serde as it stands at a place, where its bytes depend on that. Absent: it is the same everywhere. */
  at?(place: SerdePlace): Serde<R, W>
  /** What has to be fetched before bytes can be read and values written. Absent: nothing. */
  readonly remote?: RemoteSerde
}
