// A schema registry as this process knows it: which schemas are here, which are being fetched, which do not exist. A schema
// is fetched once; while the registry does not answer it is asked again, for as long as somebody uses it.
import { ensureError, MillstreamError } from '../../errors.ts'
import type { RemoteEnvironment, RemoteSource, RemoteUse } from '../remote.ts'
import {
  type ConnectionSettings,
  RegistryConnection,
  RegistryFault,
  type SchemaReference,
  type StoredSchema,
} from './connection.ts'
import { type CompiledSchema, compile, type FormatOptions } from './formats.ts'

/** A schema to write with, and the subject that it belongs to. */
export interface WrittenSchema {
  readonly subject: string
  readonly stored: StoredSchema
  readonly writes: 'register' | 'look-up'
}

export interface RegistrySettings extends ConnectionSettings {
  /** How long "there is no such id" is believed, ms. */
  readonly absentForMs: number
  readonly formats: FormatOptions
}

type Entry =
  | { readonly state: 'here'; readonly schema: CompiledSchema }
  | { readonly state: 'fetching' }
  /** There is none, or it cannot be used. */
  | { readonly state: 'absent'; readonly why: string; readonly untilMs: number }

const backoffMs = 100
const backoffMaxMs = 5000

/**
 * Ids that are given out without a registry begin here: far from those of a registry, which count from 1, so that neither
 * is ever taken for the other where both are met in one process (a worker, and a test driver beside it).
 */
export const aloneFrom = 0x7000_0000

export class SchemaRegistry implements RemoteSource {
  readonly name: string
  failures = 0
  readonly #settings: RegistrySettings
  readonly #entries = new Map<number, Entry>()
  readonly #uses = new Set<RemoteUse>()
  /** What start-ups wait for. */
  readonly #subjects = new Set<string>()
  /** Ids given out here, by what they stand for. */
  readonly #own = new Map<string, number>()

  constructor(settings: RegistrySettings) {
    this.#settings = settings
    this.name = settings.urls.join(',') || 'without an address'
  }

  get formats(): FormatOptions {
    return this.#settings.formats
  }

  /** Nobody is asked: schemas are those given by hand, and ids are given out here. */
  get isAlone(): boolean {
    return this.#settings.urls.length === 0
  }

  get awaited(): readonly string[] {
    const fetching = [...this.#entries].filter(([, { state }]) => state === 'fetching')
    return [...this.#subjects, ...fetching.map(([id]) => `schema ${id}`)]
  }

  open(environment: RemoteEnvironment): RemoteUse {
    const controller = new AbortController()
    const use: RemoteUse = {
      environment,
      signal: controller.signal,
      close: () => {
        this.#uses.delete(use)
        controller.abort()
      },
    }
    if (environment.ports.http !== undefined && !this.isAlone) this.#uses.add(use)
    return use
  }

  /** Keeps a schema that is known without asking. */
  put(id: number, schema: CompiledSchema): void {
    this.#entries.set(id, { state: 'here', schema })
  }

  settled(id: number): boolean {
    const entry = this.#entries.get(id)
    if (entry?.state === 'here') return true
    if (entry?.state === 'absent' && !this.#isOver(entry.untilMs)) return true
    return !this.#fetch(id)
  }

  /**
   * The schema with this id.
   * @throws SCHEMA_PENDING while it is being fetched; TypeError where there is none
   */
  schema(id: number): CompiledSchema {
    const entry = this.#entries.get(id)
    if (entry?.state === 'here') return entry.schema
    if (entry?.state === 'absent') {
      // Whoever comes next may find it: this record was judged by what is known.
      if (this.#isOver(entry.untilMs)) this.#fetch(id)
      throw new TypeError(entry.why)
    }
    if (this.#fetch(id))
      throw new MillstreamError('SCHEMA_PENDING', {
        what: `schema ${id} is being fetched from the schema registry`,
        where: { registry: this.name, schema: id },
      })
    throw new TypeError(`schema ${id} is not here, and the schema registry ${this.name} is not in use`)
  }

  /**
   * The id under which the registry has the schema. Tries again while it does not answer.
   * @throws SCHEMA_REJECTED, SCHEMA_REGISTRY_REFUSED; CLOSED when the use is closed meanwhile
   */
  async idOf(written: WrittenSchema, use: RemoteUse): Promise<{ id: number; schema: CompiledSchema }> {
    const { subject, stored, writes } = written
    return await this.#atStart(written, use, async (connection) => {
      const schema = await this.#compiled(connection, stored)
      const id = await (writes === 'register'
        ? connection.register(subject, stored)
        : connection.lookUp(subject, stored))
      this.put(id, schema)
      return { id, schema }
    })
  }

  /** A schema of ours with those that it uses. @throws as `idOf` */
  async withReferences(subject: string, stored: StoredSchema, use: RemoteUse): Promise<CompiledSchema> {
    const read: WrittenSchema = { subject, stored, writes: 'look-up' }
    return await this.#atStart(read, use, (connection) => this.#compiled(connection, stored))
  }

  /** An id without a registry: the same one for the same schema. */
  idAlone(stored: StoredSchema, schema: CompiledSchema): number {
    const key = JSON.stringify(stored)
    let id = this.#own.get(key)
    if (id === undefined) {
      id = aloneFrom + this.#own.size
      this.#own.set(key, id)
      this.put(id, schema)
    }
    return id
  }

  /** A schema given by hand also has the id that it was given with. */
  putByHand(id: number, stored: StoredSchema, schema: CompiledSchema): void {
    this.put(id, schema)
    this.#own.set(JSON.stringify(stored), id)
  }

  // -- inside

  async #atStart<T>(
    schema: WrittenSchema,
    use: RemoteUse,
    ask: (connection: RegistryConnection) => Promise<T>,
  ): Promise<T> {
    const what = `subject ${schema.subject}`
    this.#subjects.add(what)
    try {
      return await this.#repeat(use, what, ask)
    } catch (error) {
      throw this.#startFailure(schema, error)
    } finally {
      this.#subjects.delete(what)
    }
  }

  #current(): RemoteUse | undefined {
    return this.#uses.values().next().value
  }

  #isOver(untilMs: number): boolean {
    const use = this.#current()
    return use !== undefined && use.environment.ports.clock.monotonic() >= untilMs
  }

  /** @returns whether it is being fetched; false where nobody can be asked */
  #fetch(id: number): boolean {
    if (this.#entries.get(id)?.state === 'fetching') return true
    const use = this.#current()
    if (use === undefined) return false
    this.#entries.set(id, { state: 'fetching' })
    void this.#fetchUntilKnown(id, use)
    return true
  }

  async #fetchUntilKnown(id: number, use: RemoteUse): Promise<void> {
    const { ports, log } = use.environment
    try {
      const schema = await this.#repeat(use, `schema ${id}`, async (connection) =>
        this.#compiled(connection, await connection.byId(id)),
      )
      this.#entries.set(id, { state: 'here', schema })
    } catch (error) {
      this.#entries.delete(id)
      // The one that asked is gone: whoever is left begins anew with the next look.
      if (use.signal.aborted) return
      const why = `the schema registry has no schema ${id} that can be used: ${ensureError(error).message}`
      const untilMs = ports.clock.monotonic() + this.#settings.absentForMs
      this.#entries.set(id, { state: 'absent', why, untilMs })
      log.warn(why, { registry: this.name })
    }
  }

  async #compiled(connection: RegistryConnection, stored: StoredSchema): Promise<CompiledSchema> {
    const found = new Map<string, StoredSchema>()
    const collect = async (references: readonly SchemaReference[]): Promise<void> => {
      for (const reference of references) {
        const key = JSON.stringify(reference)
        if (found.has(key)) continue
        const schema = await connection.byVersion(reference)
        await collect(schema.references)
        found.set(key, schema)
      }
    }
    await collect(stored.references)
    return compile(stored, [...found.values()], this.formats)
  }

  /** Until it succeeds, or fails for good. @throws RegistryFault, or what is wrong with a schema */
  async #repeat<T>(
    { environment, signal }: RemoteUse,
    what: string,
    ask: (connection: RegistryConnection) => Promise<T>,
  ): Promise<T> {
    const { ports, log } = environment
    const { http } = ports
    if (http === undefined) throw new RegistryFault('unavailable', 'there is no network')
    const connection = new RegistryConnection(this.#settings, http)
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await ask(connection)
        if (attempt > 1) log.info('the schema registry answers again', { registry: this.name, what })
        return answer
      } catch (error) {
        if (!(error instanceof RegistryFault) || !this.#mayPass(error, what)) throw error
        this.failures++
        if (signal.aborted) throw error
        // At 1, 2, 4, 8, … attempts: it may be away for hours.
        if ((attempt & (attempt - 1)) === 0)
          log.warn('the schema registry does not answer; what needs it waits', {
            registry: this.name,
            what,
            attempt,
            cause: error.message,
          })
        const pauseMs = Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(attempt - 1, 10))
        await ports.timers.sleep(pauseMs * (0.5 + ports.random.next() / 2), signal)
        if (signal.aborted) throw error
      }
    }
  }

  /** Refused credentials stop a start; later they may be those of a service that is being renewed. */
  #mayPass({ kind }: RegistryFault, what: string): boolean {
    return kind === 'unavailable' || (kind === 'refused' && !what.startsWith('subject'))
  }

  #startFailure({ subject, writes }: WrittenSchema, error: unknown): Error {
    if (!(error instanceof RegistryFault)) return ensureError(error)
    const details = { where: { registry: this.name, subject }, cause: error }
    if (error.kind === 'refused')
      return new MillstreamError('SCHEMA_REGISTRY_REFUSED', {
        ...details,
        what: `the schema registry refused the credentials: ${error.message}`,
        fix: 'Check auth and tls of the schema registry.',
      })
    if (error.kind === 'unavailable')
      return new MillstreamError('CLOSED', {
        ...details,
        what: 'it was closed while the schema registry did not answer',
      })
    return new MillstreamError('SCHEMA_REJECTED', {
      ...details,
      what: `the schema registry does not take the schema: ${error.message}`,
      fix:
        writes === 'register'
          ? 'Make the schema compatible with the versions before it, or change the compatibility of the subject.'
          : "Register the schema first, or set writes: 'register'.",
    })
  }
}
