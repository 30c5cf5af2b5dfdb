// JSON as UTF-8, checked by a Standard Schema where one is given. Sole importer of @standard-schema/spec beside
// serde-or-schema.ts, which infers types from it.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { MillstreamError } from '../errors.ts'
import type { Serde } from './serde.ts'
import { bufferOver, readUtf8, writeUtf8 } from './text.ts'

const toText = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw new TypeError(`JSON has no text for a value of type ${typeof value}`)
  return text
}

/** JSON without a check: `T` is what the program claims. */
const unchecked: Serde<unknown> = {
  name: 'json',
  copies: true,
  encode: (value: unknown): Uint8Array => Buffer.from(toText(value), 'utf8'),
  encodeInto: (value: unknown, target: Buffer, offset: number): number =>
    writeUtf8(toText(value), target, offset),
  decode: (source: Uint8Array): unknown => JSON.parse(readUtf8(bufferOver(source), 0, source.length)),
  decodeFrom: (source: Buffer, start: number, end: number): unknown =>
    JSON.parse(readUtf8(source, start, end)),
}

const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

const asynchronous = (vendor: string): MillstreamError =>
  new MillstreamError('TOPOLOGY_INVALID', {
    what: `the schema (of ${vendor}) is asynchronous, but records are decoded synchronously`,
    fix: 'Use a schema without asynchronous checks or transforms, and do asynchronous work in a processor of its own.',
  })

// Whether a schema is asynchronous is not written on it: the standard shows it only in the answer of validate.
// Schemas that are always asynchronous (valibot's) answer any of these values with a promise and are refused here, before
// anything runs. One that does so for some values only (a refinement of zod's deep in an object) is met at the first
// such value, and refused there.
const probes: readonly unknown[] = [undefined, null, '', 0, false, {}, []]

const refuseAsynchronous = (schema: StandardSchemaV1): void => {
  for (const probe of probes) {
    let answer: unknown
    try {
      answer = schema['~standard'].validate(probe)
    } catch {
      continue // a transform that throws on what is not its input
    }
    if (isPromiseLike(answer)) {
      answer.then(undefined, () => undefined)
      throw asynchronous(schema['~standard'].vendor)
    }
  }
}

const pathOf = (issue: StandardSchemaV1.Issue): string =>
  (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')

const issuesMax = 5

const describeIssues = (issues: readonly StandardSchemaV1.Issue[]): string => {
  const texts = issues
    .slice(0, issuesMax)
    .map((issue) => (pathOf(issue) === '' ? issue.message : `${pathOf(issue)}: ${issue.message}`))
  if (issues.length > issuesMax) texts.push(`and ${issues.length - issuesMax} more`)
  return texts.join('; ')
}

const validated = (schema: StandardSchemaV1, value: unknown): unknown => {
  const result = schema['~standard'].validate(value)
  if (isPromiseLike(result)) {
    result.then(undefined, () => undefined)
    throw asynchronous(schema['~standard'].vendor)
  }
  if (result.issues !== undefined)
    throw new TypeError(`the schema refuses it: ${describeIssues(result.issues)}`)
  return result.value
}

/** JSON without a check: `T` is what the program claims. */
export function json<T = unknown>(): Serde<T>
/**
 * JSON checked by a Standard Schema. Reading answers the schema's output; writing takes its input, checks it (what could
 * not be read back is not written), and writes it as it was given.
 * @throws TOPOLOGY_INVALID when the schema is asynchronous.
 */
export function json<S extends StandardSchemaV1>(
  schema: S,
): Serde<StandardSchemaV1.InferOutput<S>, StandardSchemaV1.InferInput<S>>
export function json(given?: StandardSchemaV1): Serde<unknown> {
  if (given === undefined) return unchecked
  const schema = given
  refuseAsynchronous(schema)
  const checked = (value: unknown): string => {
    validated(schema, value)
    return toText(value)
  }
  return {
    name: `json(${schema['~standard'].vendor})`,
    copies: true,
    encode: (value: unknown): Uint8Array => Buffer.from(checked(value), 'utf8'),
    encodeInto: (value: unknown, target: Buffer, offset: number): number =>
      writeUtf8(checked(value), target, offset),
    decode: (source: Uint8Array): unknown => validated(schema, unchecked.decode(source)),
    decodeFrom: (source: Buffer, start: number, end: number): unknown =>
      validated(schema, JSON.parse(readUtf8(source, start, end))),
  }
}
