// The serde of one schema at one place. Layout (Confluent): 0 int8 · schema id int32 · payload.
import { MillstreamError } from '../../errors.ts'
import type { RemoteSerde, RemoteUse, SerdePlace } from '../remote.ts'
import type { Serde } from '../serde.ts'
import { bufferOver } from '../text.ts'
import type { StoredSchema } from './connection.ts'
import { type CompiledSchema, type PayloadReader, type PayloadWriter, readerOf, writerOf } from './formats.ts'
import type { SchemaRegistry } from './registry.ts'
import { dependsOnPlace, type SubjectOptions, subjectOf } from './subjects.ts'

/** What a serde is made of, whatever its place. */
export interface SchemaUse {
  readonly name: string
  readonly registry: SchemaRegistry
  /** The schema to write with and to read as; undefined: as it was written, and nothing is written. */
  readonly stored: StoredSchema | undefined
  /** The same, usable; undefined where it has references, which only the registry knows. */
  readonly compiled: CompiledSchema | undefined
  readonly message: string | undefined
  readonly subjects: SubjectOptions
  readonly writes: 'register' | 'look-up'
}

const headBytes = 5

interface Writing {
  readonly id: number
  readonly writer: PayloadWriter
}

export class SchemaSerde implements Serde<unknown>, RemoteSerde {
  readonly name: string
  readonly remote: RemoteSerde = this
  readonly source: SchemaRegistry
  readonly #use: SchemaUse
  readonly #place: SerdePlace | undefined
  readonly #readers = new Map<number, PayloadReader>()
  #compiled: CompiledSchema | undefined
  #writing: Writing | undefined
  /** Its id is that of the registry. */
  #isRegistered = false

  constructor(use: SchemaUse, place: SerdePlace | undefined) {
    this.name = use.name
    this.source = use.registry
    this.#use = use
    this.#place = place
    this.#compiled = use.compiled
  }

  at(place: SerdePlace): Serde<unknown> {
    const { stored, subjects } = this.#use
    if (stored === undefined || !dependsOnPlace(subjects)) return this
    // The operators that send keys to a topic of ours encode them themselves, too: with the serde that they know.
    return this.#place?.internal && place.internal ? this : new SchemaSerde(this.#use, place)
  }

  // -- before anything is read or written

  idOf(bytes: Buffer, start: number, end: number): number {
    return end - start >= headBytes && bytes[start] === 0 ? bytes.readInt32BE(start + 1) : -1
  }

  async prepare(use: RemoteUse, purpose: 'read' | 'write'): Promise<void> {
    const { stored, registry, writes } = this.#use
    if (stored === undefined) return
    const { applicationId, ports } = use.environment
    if (ports.http === undefined || registry.isAlone) return this.prepareAlone(applicationId)
    if (purpose === 'read' && this.#compiled !== undefined) return
    const subject = this.#subject(applicationId)
    if (purpose === 'read') {
      this.#compiled = await registry.withReferences(subject, stored, use)
      return
    }
    const { id, schema } = await registry.idOf({ subject, stored, writes }, use)
    this.#compiled = schema
    this.#write(id, schema)
    this.#isRegistered = true
  }

  prepareAlone(applicationId: string): void {
    const { stored, registry } = this.#use
    if (stored === undefined || this.#isRegistered) return
    this.#subject(applicationId)
    if (this.#compiled === undefined)
      throw new MillstreamError('SCHEMA_REJECTED', {
        what: 'the schema has references, which only a schema registry can resolve',
        where: { serde: this.name },
        fix: 'Use a schema without references where no registry is asked (in the test driver).',
      })
    this.#write(registry.idAlone(stored, this.#compiled), this.#compiled)
  }

  #subject(applicationId: string): string {
    return subjectOf(this.#use.subjects, this.#place, applicationId)
  }

  #write(id: number, schema: CompiledSchema): void {
    this.#writing = { id, writer: writerOf(schema, this.#use.message) }
  }

  // -- bytes

  encode(value: unknown): Uint8Array {
    const { id, writer } = this.#ready()
    const payload = writer.encode(value)
    const bytes = Buffer.allocUnsafe(headBytes + payload.length)
    writeHead(bytes, 0, id)
    bytes.set(payload, headBytes)
    return bytes
  }

  encodeInto(value: unknown, target: Buffer, offset: number): number {
    const { id, writer } = this.#ready()
    if (target.length - offset < headBytes) return -1
    const length = writer.encodeInto(value, target, offset + headBytes)
    if (length < 0) return -1
    writeHead(target, offset, id)
    return headBytes + length
  }

  decode(bytes: Uint8Array): unknown {
    return this.decodeFrom(bufferOver(bytes), 0, bytes.length)
  }

  decodeFrom(source: Buffer, start: number, end: number): unknown {
    if (end - start < headBytes || source[start] !== 0)
      throw new TypeError('it does not begin with the id of a schema (a zero byte and four more)')
    const id = source.readInt32BE(start + 1)
    return (this.#readers.get(id) ?? this.#reader(id))(source, start + headBytes, end)
  }

  #ready(): Writing {
    if (this.#writing !== undefined) return this.#writing
    if (this.#use.stored === undefined) throw new TypeError(`${this.name} has no schema to write with`)
    if (!this.source.isAlone)
      throw new TypeError(
        'the schema registry was not asked yet: a worker or producer does so when it starts',
      )
    this.prepareAlone('')
    return this.#writing as unknown as Writing
  }

  #reader(id: number): PayloadReader {
    const { message, stored } = this.#use
    const reader = this.#compiled
    const written = this.source.schema(id)
    const read = readerOf(written, reader, message)
    // One that was made before the schema with references was here would read as it was written for ever.
    if (stored === undefined || reader !== undefined) this.#readers.set(id, read)
    return read
  }
}

const writeHead = (target: Buffer, offset: number, id: number): void => {
  target[offset] = 0
  target.writeInt32BE(id, offset + 1)
}
