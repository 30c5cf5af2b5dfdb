// What may stand where a serde is expected: a serde, or a bare Standard Schema, which means JSON.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { MillstreamError } from '../errors.ts'
import { json } from './json.ts'
import type { SerdePlace } from './remote.ts'
import type { Serde } from './serde.ts'

/** A serde, or a Standard Schema (zod, valibot, …), which means JSON checked by that schema. */
export type SerdeOrSchema = Serde<unknown, never> | StandardSchemaV1

// The schema is asked for first: schemas of some libraries have methods named encode and decode of their own.

/** What is read through a serde or a schema. */
export type ReadOf<S> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferOutput<S>
  : S extends Serde<infer R, never>
    ? R
    : never

/** What may be written through a serde or a schema. */
export type WriteOf<S> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferInput<S>
  : S extends { encode(value: infer W): Uint8Array }
    ? W
    : never

const isSchema = (value: unknown): value is StandardSchemaV1 =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') && '~standard' in value

const isSerde = (value: unknown): value is Serde<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  'encode' in value &&
  'decode' in value &&
  typeof value.encode === 'function' &&
  typeof value.decode === 'function'

// One serde per schema: whether a record may keep its bytes, and whether a store may use them, is decided by the
// identity of the serde.
const serdesOfSchemas = new WeakMap<object, Serde<unknown>>()

/**
 * The serde itself, or the JSON serde of a schema (the same one for the same schema). `place` names where it stands,
 * for instance `value of topic lines`; `topic` where its bytes lie, for serdes that depend on it.
 * @throws TOPOLOGY_INVALID where it is neither, or an asynchronous schema.
 */
export const toSerde = <S extends SerdeOrSchema>(
  given: S,
  place: string,
  topic?: SerdePlace,
): Serde<ReadOf<S>, WriteOf<S>> => {
  const candidate: unknown = given
  if (isSchema(candidate)) {
    let serde = serdesOfSchemas.get(candidate)
    if (serde === undefined) {
      try {
        serde = json(candidate) as Serde<unknown>
      } catch (error) {
        if (!(error instanceof MillstreamError)) throw error
        throw new MillstreamError(error.code, {
          what: `the schema of ${place} is asynchronous`,
          fix: error.fix,
          cause: error,
        })
      }
      serdesOfSchemas.set(candidate, serde)
    }
    return serde as Serde<ReadOf<S>, WriteOf<S>>
  }
  if (isSerde(candidate)) {
    const serde = topic === undefined ? candidate : (candidate.at?.(topic) ?? candidate)
    return serde as unknown as Serde<ReadOf<S>, WriteOf<S>>
  }
  throw new MillstreamError('TOPOLOGY_INVALID', {
    what: `${place} is neither a serde nor a Standard Schema but ${candidate === null ? 'null' : `of type ${typeof candidate}`}`,
    fix: 'Give one of string, int32, int64, bigint64, float64, bytes, json(), a Standard Schema, or a serde of your own.',
  })
}
