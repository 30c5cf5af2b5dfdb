// The requests to a schema registry (Confluent's REST interface, which others speak, too) and what their answers mean.
// Our own and not the package's: its client makes 400 out of a registry that is not there, drops the error codes, knows
// no time limit, and changes the compatibility of the subjects it registers (decision 0025).
import type { ConnectionOptions } from 'node:tls'
import type { Http, HttpAnswer, HttpRequest } from '../../base/ports.ts'
import { ensureError } from '../../errors.ts'

export type SchemaKind = 'AVRO' | 'JSON' | 'PROTOBUF'

/** A schema that another one uses by its name. */
export interface SchemaReference {
  readonly name: string
  readonly subject: string
  readonly version: number
}

/** A schema as it lies in the registry. */
export interface StoredSchema {
  readonly kind: SchemaKind
  readonly text: string
  readonly references: readonly SchemaReference[]
}

export type RegistryAuth =
  | { readonly username: string; readonly password: string }
  | { readonly token: string | (() => string) }

export interface ConnectionSettings {
  readonly urls: readonly string[]
  readonly auth: RegistryAuth | undefined
  readonly tls: ConnectionOptions | undefined
  readonly timeoutMs: number
}

/**
 * `absent`: there is no such id, subject or version. `rejected`: the schema is not taken. `refused`: the credentials are
 * not. `unavailable`: anything else, which another try may mend.
 */
export type RegistryFaultKind = 'absent' | 'rejected' | 'refused' | 'unavailable'

export class RegistryFault extends Error {
  override readonly name = 'RegistryFault'
  readonly kind: RegistryFaultKind

  constructor(kind: RegistryFaultKind, text: string, cause?: unknown) {
    super(text, { cause })
    this.kind = kind
  }
}

const contentType = 'application/vnd.schemaregistry.v1+json'

/** Of the answers to a GET: subject, version and schema not found. A proxy's or a wrong path's 404 carries none. */
const absentCodes: ReadonlySet<unknown> = new Set([40401, 40402, 40403])

const kinds: ReadonlySet<string> = new Set<SchemaKind>(['AVRO', 'JSON', 'PROTOBUF'])

const textMax = 300

const parsed = (body: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

const faultOf = (method: HttpRequest['method'], { status, body }: HttpAnswer): RegistryFault => {
  const answer = parsed(body)
  const message = typeof answer?.['message'] === 'string' ? answer['message'] : body
  const text = `it answered ${status}: ${message.slice(0, textMax) || 'nothing'}`
  if (status === 401 || status === 403) return new RegistryFault('refused', text)
  if (status === 404 && absentCodes.has(answer?.['error_code'])) return new RegistryFault('absent', text)
  const isTried = status === 409 || status === 422 || status === 400
  if (method === 'POST' && isTried) return new RegistryFault('rejected', text)
  return new RegistryFault('unavailable', text)
}

const referencesOf = (value: unknown): SchemaReference[] =>
  Array.isArray(value)
    ? value.map(({ name, subject, version }: SchemaReference) => ({ name, subject, version }))
    : []

export class RegistryConnection {
  readonly #settings: ConnectionSettings
  readonly #http: Http
  /** Of the address in use: the next one, when it does not answer. */
  #address = 0

  constructor(settings: ConnectionSettings, http: Http) {
    this.#settings = settings
    this.#http = http
  }

  /** @throws RegistryFault */
  async byId(id: number): Promise<StoredSchema> {
    return this.#stored(await this.#ask('GET', `/schemas/ids/${id}`))
  }

  /** @throws RegistryFault */
  async byVersion({ subject, version }: SchemaReference): Promise<StoredSchema> {
    return this.#stored(
      await this.#ask('GET', `/subjects/${encodeURIComponent(subject)}/versions/${version}`),
    )
  }

  /** Adds the schema to the subject, where it is not there yet. @returns its id @throws RegistryFault */
  async register(subject: string, schema: StoredSchema): Promise<number> {
    return await this.#idOf(`/subjects/${encodeURIComponent(subject)}/versions`, schema)
  }

  /** @returns the id of a schema that the subject has @throws RegistryFault */
  async lookUp(subject: string, schema: StoredSchema): Promise<number> {
    return await this.#idOf(`/subjects/${encodeURIComponent(subject)}`, schema)
  }

  async #idOf(path: string, { kind, text, references }: StoredSchema): Promise<number> {
    const body = {
      // Old registries know Avro only, and not the field.
      ...(kind === 'AVRO' ? {} : { schemaType: kind }),
      schema: text,
      ...(references.length === 0 ? {} : { references }),
    }
    const { id } = await this.#ask('POST', path, JSON.stringify(body))
    if (Number.isInteger(id)) return id as number
    throw new RegistryFault('unavailable', `it answered no id for ${path}`)
  }

  #stored({ schema, schemaType, references }: Readonly<Record<string, unknown>>): StoredSchema {
    const kind = schemaType ?? 'AVRO'
    if (typeof schema !== 'string') throw new RegistryFault('unavailable', 'it answered no schema')
    if (!kinds.has(kind as string))
      throw new RegistryFault('absent', `the schema is of the type ${String(kind)}`)
    return { kind: kind as SchemaKind, text: schema, references: referencesOf(references) }
  }

  async #ask(
    method: HttpRequest['method'],
    path: string,
    body?: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    try {
      const answer = await this.#send(method, path, body)
      const value = answer.status === 200 ? parsed(answer.body) : undefined
      if (value !== undefined) return value
      throw faultOf(method, answer)
    } catch (error) {
      const fault = error instanceof RegistryFault ? error : unreachable(error)
      if (fault.kind === 'unavailable') this.#address++
      throw fault
    }
  }

  async #send(method: HttpRequest['method'], path: string, body: string | undefined): Promise<HttpAnswer> {
    const { urls, auth, tls, timeoutMs } = this.#settings
    const url = `${urls[this.#address % urls.length]}${path}`
    const headers: Record<string, string> = { accept: `${contentType}, application/json` }
    if (body !== undefined) headers['content-type'] = contentType
    if (auth !== undefined) headers['authorization'] = authorization(auth)
    return await this.#http.request({ method, url, headers, body, timeoutMs, tls })
  }
}

const unreachable = (error: unknown): RegistryFault => {
  const { message, code } = ensureError(error) as NodeJS.ErrnoException
  return new RegistryFault('unavailable', message || code || 'it did not answer', error)
}

const authorization = (auth: RegistryAuth): string => {
  if ('token' in auth) return `Bearer ${typeof auth.token === 'string' ? auth.token : auth.token()}`
  return `Basic ${Buffer.from(`${auth.username}:${auth.password}`, 'utf8').toString('base64')}`
}
