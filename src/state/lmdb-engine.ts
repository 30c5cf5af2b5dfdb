// The engine that keeps a store on disk: one LMDB environment per store directory. Sole importer of lmdb.
//
// Flags, and why a kill -9 of the process is safe with them:
// - noSync: nothing is fsynced. Pages go to the page cache by pwrite and the meta page that makes them visible is
//   written last; the kernel keeps the page cache when a process dies, so the newest complete transaction is there
//   when the store is opened again. Only a crash of the machine can tear the file; the state directory notices that by
//   the boot id and rebuilds. Kafka holds all data, so an fsync per flush would buy nothing.
// - no useWritemap: a stray pointer in any native module could corrupt the file, the file takes its whole map size on
//   disk, and a full disk kills the process (SIGBUS) instead of failing the write.
// - no noMemInit: unused parts of pages would carry heap memory, possibly credentials, into the file.
//
// Layout: one database. Its keys have one byte in front: 0 for what the engine keeps itself, 1 for entries, so that a
// user's key can be empty (LMDB refuses empty keys) and can never collide with ours.
import path from 'node:path'
import { type RootDatabase, open } from 'lmdb'
import type { Disk } from '../base/ports.ts'
import { MillstreamError, ensureError } from '../errors.ts'
import { copyOf } from '../record/copy-bytes.ts'
import type { Checkpoint, EngineWrite, StoredEntry, StoreEngine, StoreIdentity } from './contracts.ts'
import { latin1, writeLatin1 } from './latin1.ts'

// A string is the key of an entry; bytes are a whole key of LMDB.
type LmdbKey = string | Uint8Array

const identityKey: LmdbKey = Uint8Array.of(0, 1)
const checkpointKey: LmdbKey = Uint8Array.of(0, 2)
const firstKey: LmdbKey = Uint8Array.of(1)
const endKey: LmdbKey = Uint8Array.of(2)

const keyEncoder = {
  writeKey(key: LmdbKey, target: Buffer, start: number): number {
    if (typeof key !== 'string') {
      target.set(key, start)
      return start + key.length
    }
    target[start] = 1
    // A key beyond the buffer is cut here; the returned length makes lmdb refuse it.
    writeLatin1(key, target, start + 1)
    return start + 1 + key.length
  },
  readKey: (source: Buffer, start: number, end: number): string => latin1(source, start + 1, end),
}

/** Left to itself lmdb gives each value of a range memory of its own beside the heap, which costs more than to read it. */
const valueEncoder = {
  encode: (value: Buffer): Buffer => value,
  /** @param bytes what lmdb reads into, which is longer than the value, and used again for the next one */
  decode: (bytes: Buffer, length: number = bytes.length): Buffer => copyOf(bytes, 0, length),
}

const corruptCodes: ReadonlySet<unknown> = new Set([
  -30797, // MDB_PAGE_NOTFOUND
  -30796, // MDB_CORRUPTED
  -30795, // MDB_PANIC
  -30794, // MDB_VERSION_MISMATCH
  -30793, // MDB_INVALID
  -30782, // MDB_BAD_TXN: what follows one of the above
])

const corrupt = (directory: string, what: string, cause?: unknown): MillstreamError =>
  new MillstreamError('STORE_CORRUPT', {
    what,
    where: { directory },
    fix: 'The store is removed and rebuilt from its changelog; if that repeats, check the disk.',
    cause,
  })

const translated = (directory: string, doing: string, thrown: unknown): MillstreamError => {
  if (thrown instanceof MillstreamError) return thrown
  const error = ensureError(thrown) as Error & { code?: unknown }
  if (corruptCodes.has(error.code))
    return corrupt(directory, `the store cannot be read (${doing}: ${error.message})`, error)
  return new MillstreamError('STORE_FAILED', {
    what: `the store failed (${doing}: ${error.message})`,
    where: { directory },
    fix: 'Check that the disk has room and is writable. What Kafka has committed is not lost: a restart catches up.',
    cause: error,
  })
}

// The head of LMDB's file (format 2, 64 bit): two meta pages, each a page header of 24 bytes, then the meta.
const dataFile = 'data.mdb'
const metaBytes = 168
const metaFlag = 0x08
const magic = 0xbeefc0de

/**
 * Refuses a file that must not be opened: lmdb dies with the process on a file whose head is not its own, and where
 * pages are missing at the end (SIGBUS, or an assertion in the middle of a scan). LMDB itself may leave free pages at
 * the end unwritten; `#fillUp` writes them after each transaction, so that a short file always means a truncated one.
 * A process killed between the two, with such pages, gets a rebuild that it did not need: never wrong data.
 */
const checkFile = (disk: Disk, directory: string): void => {
  const file = path.join(directory, dataFile)
  const size = disk.size(file) ?? 0
  if (size === 0) return
  let pageSize = 0
  let newest = -1
  let needed = 0
  for (const page of [0, 1]) {
    const head = disk.read(file, page * pageSize, metaBytes)
    if (
      head.length < metaBytes ||
      (head.readUInt16LE(18) & metaFlag) === 0 ||
      head.readUInt32LE(24) !== magic
    ) {
      throw corrupt(directory, 'the file of the store has no valid head')
    }
    pageSize = head.readUInt32LE(48)
    if (pageSize < 256 || pageSize > 65536)
      throw corrupt(directory, `the file of the store names a page size of ${pageSize}`)
    const transaction = Number(head.readBigUInt64LE(152))
    if (transaction <= newest) continue
    newest = transaction
    needed = (Number(head.readBigUInt64LE(144)) + 1) * pageSize
  }
  if (size < needed) throw corrupt(directory, `the file of the store is cut: ${size} bytes of ${needed}`)
}

// The binding behind the database, which the types of lmdb leave out.
interface LmdbEnvironment {
  info(): { readonly lastPageNumber: number }
  stat(): { readonly pageSize: number }
  sync(): void
}

const append = { append: true }

export interface LmdbEngineOptions {
  readonly directory: string
  readonly disk: Disk
  /** Told when all that was written is synced (true), and before the first write after that (false). */
  readonly onSynced?: (synced: boolean) => void
}

export class LmdbEngine implements StoreEngine {
  readonly kind = 'lmdb'
  readonly persistent = true
  readonly keyBytesMax: number
  readonly #directory: string
  readonly #disk: Disk
  readonly #db: RootDatabase<Buffer, LmdbKey>
  readonly #onSynced: ((synced: boolean) => void) | undefined
  #synced = false
  #closed = false
  /** Of ranges that are still read. Each must end before its environment: closed later, a cursor is read out of freed memory. */
  readonly #cursors = new Set<Iterator<StoredEntry>>()
  /** The checkpoint that this engine found or wrote last, as it stands in the file. */
  #writtenCheckpoint: string | undefined

  /** @throws STORE_CORRUPT when the file cannot be read; STORE_FAILED when it cannot be opened or made. */
  constructor({ directory, disk, onSynced }: LmdbEngineOptions) {
    this.#directory = directory
    this.#disk = disk
    this.#onSynced = onSynced
    try {
      disk.makeDirectory(directory)
      checkFile(disk, directory)
      this.#db = open<Buffer, LmdbKey>({
        path: directory,
        noSubdir: false,
        noSync: true,
        maxDbs: 1,
        cache: false,
        encoder: valueEncoder,
        keyEncoder,
      })
    } catch (error) {
      throw translated(directory, 'open', error)
    }
    // 1978 bytes with pages of 4096, one of them our prefix.
    this.keyBytesMax = (this.#db as unknown as { readonly maxKeySize: number }).maxKeySize - 1
  }

  get(key: string): Buffer | undefined {
    if (key.length > this.keyBytesMax) return undefined
    this.#mustBeOpen()
    try {
      // Out of the buffer that lmdb uses again for its next read. It is longer than the value, though its `length` is not.
      const bytes = this.#db.getBinaryFast(key)
      return bytes === undefined ? undefined : copyOf(bytes, 0, bytes.length)
    } catch (error) {
      throw translated(this.#directory, 'get', error)
    }
  }

  #mustBeOpen(): void {
    if (!this.#closed) return
    throw new MillstreamError('CLOSED', {
      what: 'the store is closed',
      where: { directory: this.#directory },
    })
  }

  *range(from: string | undefined, to: string | undefined, reverse: boolean): IterableIterator<StoredEntry> {
    // A bound that is longer than any key is cut for LMDB; the comparisons below settle what the cut let through.
    const max = this.keyBytesMax
    const lowest: LmdbKey = from === undefined ? firstKey : from.slice(0, max)
    const beyond: LmdbKey = to === undefined || to.length > max ? endKey : to
    const bounds = reverse
      ? { start: beyond, exclusiveStart: true, end: lowest, inclusiveEnd: true, reverse: true }
      : { start: lowest, end: beyond }
    const cursor = this.#open(bounds)
    try {
      for (let next = this.#next(cursor); next !== undefined; next = this.#next(cursor)) {
        const { key } = next
        const below = from !== undefined && key < from
        const above = to !== undefined && key >= to
        if (!below && !above) yield next
        else if (below === reverse) return
      }
    } finally {
      if (this.#cursors.delete(cursor)) cursor.return?.()
    }
  }

  #open(bounds: object): Iterator<StoredEntry> {
    this.#mustBeOpen()
    try {
      const cursor = (this.#db.getRange(bounds) as Iterable<StoredEntry>)[Symbol.iterator]()
      this.#cursors.add(cursor)
      return cursor
    } catch (error) {
      throw translated(this.#directory, 'range', error)
    }
  }

  /** @throws CLOSED when the store was closed since the last one: in a rebalance, while a processor awaited something. */
  #next(cursor: Iterator<StoredEntry>): StoredEntry | undefined {
    this.#mustBeOpen()
    try {
      const { done, value } = cursor.next() as IteratorResult<StoredEntry, undefined>
      return done === true ? undefined : value
    } catch (error) {
      throw translated(this.#directory, 'range', error)
    }
  }

  #lastKey(): string {
    for (const key of this.#db.getKeys({ start: endKey, end: firstKey, reverse: true, limit: 1 }))
      return key as string
    return ''
  }

  #transaction(doing: string, work: () => void): void {
    this.#mustBeOpen()
    try {
      if (this.#synced) this.#onSynced?.(false)
      this.#synced = false
      // By default abortable (a write that fails takes all others with it) and committed when the call returns.
      this.#db.transactionSync(work)
      this.#fillUp()
    } catch (error) {
      throw translated(this.#directory, doing, error)
    }
  }

  /** Fills the file up to its last page where LMDB left free pages unwritten (see checkFile). */
  #fillUp(): void {
    const { env } = this.#db as unknown as { readonly env: LmdbEnvironment }
    const needed = (env.info().lastPageNumber + 1) * env.stat().pageSize
    const file = path.join(this.#directory, dataFile)
    if ((this.#disk.size(file) ?? 0) < needed) this.#disk.extend(file, needed)
  }

  write(writes: readonly EngineWrite[], checkpoint: Checkpoint): void {
    const db = this.#db
    this.#transaction('write', () => {
      this.#checkSoleWriter()
      // Keys beyond the last one are appended: LMDB then fills its pages and does not search, several times as fast
      // and a third of the space in a restore into an empty store.
      const last = this.#lastKey()
      for (const { key, value } of writes) {
        if (value === null) db.removeSync(key)
        else if (key <= last) db.putSync(key, value as Buffer)
        else if ((db.putSync(key, value as Buffer, append as never) as unknown) === false) {
          throw new MillstreamError('INVARIANT_BROKEN', {
            what: 'the writes given to the engine are not sorted',
            where: { directory: this.#directory },
          })
        }
      }
      db.putSync(checkpointKey, Buffer.from(JSON.stringify(checkpoint)))
    })
    this.#writtenCheckpoint = JSON.stringify(checkpoint)
  }

  /**
   * The lock of the state directory does not reach into other containers. Whoever finds a checkpoint that is not its own
   * shares the file with another writer, and its cache and its next checkpoint would be wrong: it writes nothing.
   */
  #checkSoleWriter(): void {
    const stored = this.#db.getBinary(checkpointKey)?.toString()
    this.#writtenCheckpoint ??= stored
    if (stored === this.#writtenCheckpoint) return
    throw new MillstreamError('STORE_LOCKED', {
      what: 'another process has written to this store',
      where: { directory: this.#directory },
      fix: 'Give each worker a state directory (a volume) of its own.',
    })
  }

  #own<T>(key: LmdbKey): T | undefined {
    try {
      const bytes = this.#db.getBinary(key)
      return bytes === undefined ? undefined : (JSON.parse(bytes.toString()) as T)
    } catch (error) {
      if (error instanceof SyntaxError)
        throw corrupt(this.#directory, 'the identity or checkpoint of the store is damaged', error)
      throw translated(this.#directory, 'get', error)
    }
  }

  checkpoint(): Checkpoint | undefined {
    return this.#own<Checkpoint>(checkpointKey)
  }

  identity(): StoreIdentity | undefined {
    return this.#own<StoreIdentity>(identityKey)
  }

  reset(identity: StoreIdentity): void {
    this.#transaction('reset', () => {
      this.#db.clearSync()
      this.#db.putSync(identityKey, Buffer.from(JSON.stringify(identity)))
    })
    this.#writtenCheckpoint = undefined
  }

  count(): number {
    try {
      const { entryCount } = this.#db.getStats() as { readonly entryCount: number }
      const own = [identityKey, checkpointKey].filter((key) => this.#db.getBinaryFast(key) !== undefined)
      return entryCount - own.length
    } catch (error) {
      throw translated(this.#directory, 'count', error)
    }
  }

  sync(): void {
    try {
      // Without a callback the binding calls mdb_env_sync with force, at once.
      ;(this.#db as unknown as { readonly env: LmdbEnvironment }).env.sync()
    } catch (error) {
      throw translated(this.#directory, 'sync', error)
    }
    this.#synced = true
    this.#onSynced?.(true)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const cursor of this.#cursors) cursor.return?.()
    this.#cursors.clear()
    // Nothing asynchronous was ever queued, so lmdb closes within this call; its promise has nothing left to say.
    this.#db.close().catch(() => {})
  }
}
