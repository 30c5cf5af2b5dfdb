// Stores that were written by an earlier version of theirs. They are migrated before anything reads them, as a part of the
// first transaction of their task: with it the changelog and the witness say that it is done, and where it is aborted the
// store is as it was and is migrated again. So each entry is migrated exactly once, whatever dies.
import { ensureError, isSchemaPending, MillstreamError } from '../errors.ts'
import { readInt64 } from '../record/varint.ts'
import { withinHeaders } from '../state/headed-values.ts'
import type { TransactionalStore } from '../state/transactional-store.ts'
import type { StoreDefinition } from '../topology/contracts.ts'

interface Migrated {
  readonly definition: StoreDefinition
  readonly store: TransactionalStore<unknown, unknown>
}

const timestampBytes = 8
/** The first byte of an entry that is no value (state/marked-values.ts). */
const firstMark = 0x80

const failed = (store: string, fromVersion: number, what: string, cause?: unknown): MillstreamError =>
  new MillstreamError('STORE_LAYOUT', {
    what: `the store could not be migrated: ${what}`,
    where: { store, fromVersion },
    fix: 'Mend its migrate and start again: nothing was changed.',
    cause,
  })

/** The next bytes of a value; null: it is removed. */
const migratedValue = ({ definition }: Migrated, bytes: Buffer, fromVersion: number): Uint8Array | null => {
  const { name, previous, migrate, plainValue, value } = definition
  const serde = plainValue ?? value
  try {
    const next = migrate?.(previous === undefined ? Buffer.from(bytes) : previous.decode(bytes), fromVersion)
    if (next === null || serde.encodesNull?.(next) === true) return null
    return serde.encode(next)
  } catch (error) {
    // Its schema comes; then all of it is done again.
    if (isSchemaPending(error)) throw error
    throw failed(name, fromVersion, ensureError(error).message, error)
  }
}

/** The next bytes of an entry; undefined: it stays as it is. */
const migratedEntry = (one: Migrated, bytes: Buffer, fromVersion: number): Uint8Array | null | undefined => {
  const { name, plainKey, plainValue } = one.definition
  if (plainValue === undefined) return migratedValue(one, bytes, fromVersion)
  if (bytes.length < timestampBytes || (bytes[0] as number) >= firstMark || readInt64(bytes, 0) < 0)
    return undefined
  const value = migratedValue(one, bytes.subarray(timestampBytes), fromVersion)
  if (value !== null) return Buffer.concat([bytes.subarray(0, timestampBytes), value])
  // The store keeps its own books of its entries.
  if (plainKey !== undefined)
    throw failed(name, fromVersion, 'migrate answered null, which this store does not take')
  return null
}

export class StoreMigrations {
  readonly #stores: ReadonlyMap<string, Migrated>
  /** The version in which a store was written, of those that are not migrated yet. */
  #from: ReadonlyMap<string, number>

  constructor(stores: ReadonlyMap<string, Migrated>, from: ReadonlyMap<string, number> = new Map()) {
    this.#stores = stores
    this.#from = from
  }

  /** What is committed was looked at anew. */
  expect(from: ReadonlyMap<string, number>): void {
    this.#from = from
  }

  /** Migrates what is not migrated yet, into the open transaction. @returns whether there was anything @throws STORE_LAYOUT */
  run(): boolean {
    for (const [name, fromVersion] of this.#from) {
      const one = this.#stores.get(name) as Migrated
      one.store.mark()
      const migrated = (bytes: Buffer): Uint8Array | null | undefined =>
        migratedEntry(one, bytes, fromVersion)
      one.store.rewrite(one.store.keepsHeaders ? (bytes) => withinHeaders(bytes, migrated) : migrated)
      one.store.seal()
    }
    return this.#from.size > 0
  }

  /** The transaction is committed. */
  done(): void {
    if (this.#from.size > 0) this.#from = new Map()
  }
}
