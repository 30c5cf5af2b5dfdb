// `millstream/schema-registry`: serdes whose schemas are kept in a schema registry (Confluent's, Apicurio's, Karapace, …).
import type { ConnectionOptions } from 'node:tls'
import { ensureError, MillstreamError } from '../../errors.ts'
import type { Serde } from '../serde.ts'
import type { RegistryAuth, SchemaKind, SchemaReference, StoredSchema } from './connection.ts'
import { type CompiledSchema, compile, type FormatOptions, recordNameOf } from './formats.ts'
import { SchemaRegistry } from './registry.ts'
import { SchemaSerde } from './schema-serde.ts'
import type { SubjectStrategy } from './subjects.ts'

export type { FormatOptions, RegistryAuth, SchemaReference, SchemaRegistry, SubjectStrategy }

/** The text of a schema; that of Avro and JSON Schema may be an object instead. */
export type SchemaText = string | object

/** A schema given by hand, for bytes that name its id. */
export interface KnownSchema {
  readonly type: 'avro' | 'json' | 'protobuf'
  readonly schema: SchemaText
}

export interface SchemaRegistryOptions {
  /** Where it is, several where it has replicas. Absent: nobody is asked, and ids are given out in this process. */
  readonly url?: string | readonly string[]
  readonly auth?: RegistryAuth
  readonly tls?: ConnectionOptions
  /** For one request, ms; default 5000. Requests without an answer are repeated. */
  readonly timeoutMs?: number
  /** How long "there is no schema with this id" is believed, ms; default 30000. */
  readonly absentForMs?: number
  /** Schemas by id that need not be asked for. */
  readonly schemas?: Readonly<Record<number, KnownSchema>>
  /** What the libraries of the formats are given. */
  readonly formats?: FormatOptions
}

export interface SchemaOptions {
  /** What is written, and what records are read as, whatever they were written with. Absent: they are read as they were written. */
  readonly schema?: SchemaText
  /** Schemas in the registry that it uses. */
  readonly references?: readonly SchemaReference[]
  /** How its subject is named; default `topic-name`. */
  readonly strategy?: SubjectStrategy
  /** Its subject, where no strategy names it. */
  readonly subject?: string
  /** Whether a start registers the schema (default), or only looks up its id. */
  readonly writes?: 'register' | 'look-up'
}

export interface ProtobufOptions extends Omit<SchemaOptions, 'schema'> {
  readonly schema?: string
  /** The message, where it is not the first of the schema: `Line`, `Order.Line` or with its package. */
  readonly message?: string
}

const kindOf = { avro: 'AVRO', json: 'JSON', protobuf: 'PROTOBUF' } as const satisfies Record<
  KnownSchema['type'],
  SchemaKind
>

const invalid = (what: string, fix: string, cause?: unknown): MillstreamError =>
  new MillstreamError('TOPOLOGY_INVALID', { what, fix, cause })

const textOf = (schema: SchemaText): string => (typeof schema === 'string' ? schema : JSON.stringify(schema))

const urlsOf = (given: string | readonly string[] | undefined): readonly string[] => {
  const list = typeof given === 'string' ? given.split(',') : (given ?? [])
  return list.map((one) => {
    const text = one.trim().replace(/\/+$/, '')
    const { protocol } = URL.canParse(text) ? new URL(text) : { protocol: '' }
    if (protocol === 'http:' || protocol === 'https:') return text
    throw invalid(
      'the url of the schema registry is no http or https address',
      'Write it as http://host:8081.',
    )
  })
}

const checkMs = (name: string, value: number, least: number): number => {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw invalid(`${name} of the schema registry is ${value}`, `It is a whole number of ms, ${least} or more.`)
}

/**
 * A schema registry, for `avro`, `jsonSchema` and `protobuf`. Workers and producers ask it when they start (what they write
 * with) and ahead of the records that name a schema they do not know. The test driver and simulations ask nobody.
 * @throws TOPOLOGY_INVALID for a url that is none and schemas that are none
 */
export const schemaRegistry = (options: SchemaRegistryOptions): SchemaRegistry => {
  const { auth, tls, formats = {} } = options
  const registry = new SchemaRegistry({
    urls: urlsOf(options.url),
    auth,
    tls,
    timeoutMs: checkMs('timeoutMs', options.timeoutMs ?? 5000, 1),
    absentForMs: checkMs('absentForMs', options.absentForMs ?? 30_000, 0),
    formats,
  })
  for (const [id, known] of Object.entries(options.schemas ?? {})) {
    const stored = { kind: kindOf[known.type], text: textOf(known.schema), references: [] }
    registry.putByHand(Number(id), stored, compiled(`schema ${id}`, stored, formats))
  }
  return registry
}

const compiled = (what: string, stored: StoredSchema, formats: FormatOptions): CompiledSchema => {
  try {
    return compile(stored, [], formats)
  } catch (error) {
    throw invalid(
      `${what} is no schema of ${stored.kind}: ${ensureError(error).message}`,
      'Mend the schema.',
      error,
    )
  }
}

const namedRecord = (
  name: string,
  options: ProtobufOptions,
  stored: StoredSchema,
  schema: CompiledSchema | undefined,
): string | undefined => {
  const { message, strategy = 'topic-name', subject } = options
  let recordName: string | undefined
  try {
    recordName = schema && recordNameOf(schema, stored.text, message)
  } catch (error) {
    throw invalid(ensureError(error).message, 'Name a message that the schema has.', error)
  }
  if (recordName !== undefined || subject !== undefined || strategy === 'topic-name') return recordName
  throw invalid(
    `the schema of a serde ${name} has no name that its subject could be named after (strategy ${strategy})`,
    name === 'json-schema' ? 'Give it a title, or a subject.' : 'Give it a subject.',
  )
}

const serdeOf = (
  name: string,
  kind: SchemaKind,
  registry: SchemaRegistry,
  options: Omit<ProtobufOptions, 'schema'> & { readonly schema?: SchemaText },
): Serde<unknown> => {
  const { schema, references = [], strategy = 'topic-name', subject, message, writes = 'register' } = options
  const stored = schema === undefined ? undefined : { kind, text: textOf(schema), references }
  const usable =
    stored === undefined || references.length > 0
      ? undefined
      : compiled(`what a serde ${name} was given`, stored, registry.formats)
  const recordName = stored && namedRecord(name, options as ProtobufOptions, stored, usable)
  const subjects = { strategy, subject, recordName }
  return new SchemaSerde({ name, registry, stored, compiled: usable, message, subjects, writes }, undefined)
}

/**
 * Avro. `R`: what is read, `W`: what is written, as avsc has them (records are objects, bytes are Buffers, a long is a
 * number and refused beyond 2^53).
 * @throws TOPOLOGY_INVALID where the schema is none
 */
export const avro = <R, W = R>(registry: SchemaRegistry, options: SchemaOptions = {}): Serde<R, W> =>
  serdeOf('avro', 'AVRO', registry, options) as unknown as Serde<R, W>

/**
 * JSON, checked by a JSON Schema (draft 7 without settings of Ajv).
 * @throws TOPOLOGY_INVALID where the schema is none
 */
export const jsonSchema = <R, W = R>(registry: SchemaRegistry, options: SchemaOptions = {}): Serde<R, W> =>
  serdeOf('json-schema', 'JSON', registry, options) as unknown as Serde<R, W>

/**
 * Protobuf. Records are plain objects with the defaults of absent fields; enums are their numbers, bytes are Buffers, and a
 * 64-bit integer is a number, refused beyond 2^53.
 * @throws TOPOLOGY_INVALID where the schema is none, or has no such message
 */
export const protobuf = <R, W = R>(registry: SchemaRegistry, options: ProtobufOptions = {}): Serde<R, W> =>
  serdeOf('protobuf', 'PROTOBUF', registry, options) as unknown as Serde<R, W>
