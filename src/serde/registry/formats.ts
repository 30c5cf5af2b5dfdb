// Schemas that can be used: of Avro, JSON Schema and Protobuf, each as what writes and reads payloads (the bytes behind
// the id). Sole importer of @kafkajs/confluent-schema-registry, whose schemas these are.
import { SchemaType } from '@kafkajs/confluent-schema-registry'
import {
  helperTypeFromSchemaType,
  schemaFromConfluentSchema,
} from '@kafkajs/confluent-schema-registry/dist/schemaTypeResolver.js'
import { ensureError } from '../../errors.ts'
import { bufferOver, writeUtf8 } from '../text.ts'
import type { SchemaKind, StoredSchema } from './connection.ts'
import { compileProtobuf, type ProtobufSchema } from './protobuf.ts'

/** What is given on to the libraries that know the formats. */
export interface FormatOptions {
  /** Of avsc's `Type.forSchema`, for instance `logicalTypes` and `wrapUnions`. */
  readonly avro?: Readonly<Record<string, unknown>> | undefined
  /** Of Ajv, or `{ ajvInstance }` for a draft other than 7. */
  readonly json?: Readonly<Record<string, unknown>> | undefined
}

/** A schema that can be used. */
export type CompiledSchema =
  | { readonly kind: 'AVRO'; readonly type: AvroType }
  | { readonly kind: 'JSON'; readonly validate: (value: unknown) => void }
  | { readonly kind: 'PROTOBUF'; readonly schema: ProtobufSchema }

/** What is used of a type of avsc. */
export interface AvroType {
  readonly name: string | undefined
  encode(value: unknown, target: Buffer, offset: number): number
  toBuffer(value: unknown): Buffer
  fromBuffer(bytes: Buffer, resolver?: object): unknown
  createResolver(writer: AvroType): object
  isValid(value: unknown, options: { errorHook: (path: readonly string[]) => void }): boolean
}

/** Writes and reads the payloads of one schema. */
export interface PayloadWriter {
  /** @returns the length, or -1 where it does not fit */
  encodeInto(value: unknown, target: Buffer, offset: number): number
  encode(value: unknown): Uint8Array
}

export type PayloadReader = (source: Buffer, start: number, end: number) => unknown

type Instance = { toBuffer(value: unknown): Buffer; fromBuffer(bytes: Buffer): unknown }

const typeOf = (kind: SchemaKind): SchemaType => SchemaType[kind]

/**
 * @param references the schemas that it uses, those that they use in their turn first
 * @throws Error what is wrong with the schema
 */
export const compile = (
  { kind, text }: StoredSchema,
  references: readonly StoredSchema[],
  options: FormatOptions,
): CompiledSchema => {
  const build = (more: object): Instance => {
    const helper = helperTypeFromSchemaType(typeOf(kind))
    const base = { [SchemaType.AVRO]: { ...options.avro }, [SchemaType.JSON]: { ...options.json }, ...more }
    const referenced = references.map((one) => ({ type: typeOf(one.kind), schema: one.text }))
    const whole = helper.updateOptionsFromSchemaReferences(referenced as never, base as never)
    return schemaFromConfluentSchema({ type: typeOf(kind), schema: text } as never, whole) as Instance
  }
  if (kind === 'PROTOBUF') {
    const buildWith = (messageName: string): object => build({ [SchemaType.PROTOBUF]: { messageName } })
    return { kind, schema: compileProtobuf(text, buildWith) }
  }
  const instance = build({})
  if (kind === 'AVRO') return { kind, type: instance as unknown as AvroType }
  return { kind, validate: validator(instance as unknown as JsonInstance) }
}

interface JsonInstance {
  isValid(value: unknown, options: { errorHook: (path: unknown, text: unknown) => void }): boolean
}

const problemsMax = 5

const validator =
  (instance: JsonInstance) =>
  (value: unknown): void => {
    const problems: string[] = []
    const errorHook = (path: unknown, text: unknown): void => {
      if (problems.length < problemsMax) problems.push(`${String(path) || 'it'} ${String(text)}`)
    }
    if (!instance.isValid(value, { errorHook }))
      throw new TypeError(`the schema refuses it: ${problems.join('; ')}`)
  }

/** What avsc throws does not say which field it is about. */
const placed = (type: AvroType, value: unknown, error: unknown): TypeError => {
  const paths: string[] = []
  type.isValid(value, { errorHook: (path) => paths.push(path.join('.')) })
  const at = paths.slice(0, problemsMax).join(', ')
  return new TypeError(`the schema refuses it: ${ensureError(error).message}${at && ` at ${at}`}`)
}

const jsonText = (validate: (value: unknown) => void, value: unknown): string => {
  validate(value)
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw new TypeError(`JSON has no text for a value of type ${typeof value}`)
  return text
}

/** @param message of Protobuf: the name of the message, where it is not the first one of the schema */
export const writerOf = (schema: CompiledSchema, message: string | undefined): PayloadWriter => {
  switch (schema.kind) {
    case 'AVRO': {
      const { type } = schema
      return {
        encode(value) {
          try {
            return type.toBuffer(value)
          } catch (error) {
            throw placed(type, value, error)
          }
        },
        encodeInto(value, target, offset) {
          try {
            const end = type.encode(value, target, offset)
            return end < 0 ? -1 : end - offset
          } catch (error) {
            throw placed(type, value, error)
          }
        },
      }
    }
    case 'JSON': {
      const { validate } = schema
      return {
        encode: (value) => Buffer.from(jsonText(validate, value), 'utf8'),
        encodeInto: (value, target, offset) => writeUtf8(jsonText(validate, value), target, offset),
      }
    }
    case 'PROTOBUF': {
      const encode = schema.schema.writer(message)
      return {
        encode,
        encodeInto: (value, target, offset) => {
          const bytes = encode(value)
          if (bytes.length > target.length - offset) return -1
          target.set(bytes, offset)
          return bytes.length
        },
      }
    }
  }
}

/**
 * Reads what was written with one schema as another one has it.
 * @param reader undefined: as it was written
 * @throws TypeError where what was written cannot be read so, whatever the bytes are
 */
export const readerOf = (
  writer: CompiledSchema,
  reader: CompiledSchema | undefined,
  message: string | undefined,
): PayloadReader => {
  if (reader !== undefined && reader.kind !== writer.kind)
    throw new TypeError(`it was written with a schema of ${writer.kind}, not of ${reader.kind}`)
  switch (writer.kind) {
    case 'AVRO':
      return avroReader(writer.type, reader?.kind === 'AVRO' ? reader.type : undefined)
    case 'JSON': {
      // The program knows what its own schema lets through.
      const { validate } = reader?.kind === 'JSON' ? reader : writer
      return (source, start, end) => {
        const value: unknown = JSON.parse(source.toString('utf8', start, end))
        validate(value)
        return value
      }
    }
    case 'PROTOBUF':
      return writer.schema.reader(reader?.kind === 'PROTOBUF' ? reader.schema : undefined, message)
  }
}

const avroReader = (writer: AvroType, reader: AvroType | undefined): PayloadReader => {
  if (reader === undefined || reader === writer)
    return (source, start, end) => writer.fromBuffer(bufferOver(source.subarray(start, end)))
  let resolver: object
  try {
    resolver = reader.createResolver(writer)
  } catch (error) {
    throw new TypeError(`its schema cannot be read with the reader's: ${ensureError(error).message}`)
  }
  return (source, start, end) => reader.fromBuffer(bufferOver(source.subarray(start, end)), resolver)
}

/** What a subject is named after, where it is not the topic. */
export const recordNameOf = (
  schema: CompiledSchema,
  text: string,
  message: string | undefined,
): string | undefined => {
  switch (schema.kind) {
    case 'AVRO':
      return schema.type.name
    case 'JSON': {
      const { title } = JSON.parse(text) as { readonly title?: unknown }
      return typeof title === 'string' ? title : undefined
    }
    case 'PROTOBUF':
      return schema.schema.fullName(message)
  }
}
