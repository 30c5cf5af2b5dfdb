// Opens the engine of a store so that what it holds is ours and readable, or nothing.
import path from 'node:path'
import type { Disk } from '../base/ports.ts'
import { MillstreamError, isMillstreamError } from '../errors.ts'
import type { Checkpoint, StoreEngine, StoreIdentity } from './contracts.ts'
import { LmdbEngine } from './lmdb-engine.ts'
import { MemoryEngine } from './memory-engine.ts'
import { foreignDifference, staleDifference } from './restore-decision.ts'

export interface OpenStoreEngineOptions {
  readonly disk: Disk
  readonly kind: 'lmdb' | 'memory'
  /** Of this one store; not looked at for the memory engine. */
  readonly directory: string
  readonly identity: StoreIdentity
}

export interface OpenedStoreEngine {
  readonly engine: StoreEngine
  /** Why data that were there were thrown away, for the log and the metric; absent when nothing was lost. */
  readonly rebuilt?: string
}

/** What lies beside the data as text: it can be read when the data must not even be opened. */
interface StoreNote {
  /** Boot of the machine in which the store is or was written, or `synced`. */
  readonly boot: string
  readonly identity: StoreIdentity
}

const noteFile = 'store.json'
const synced = 'synced'

const readNote = (disk: Disk, directory: string): StoreNote | undefined => {
  const text = disk.readText(path.join(directory, noteFile))
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as StoreNote
  } catch {
    return undefined
  }
}

const writeNote = (disk: Disk, directory: string, note: StoreNote): void =>
  disk.writeText(path.join(directory, noteFile), `${JSON.stringify(note, null, 2)}\n`)

const refuseForeign = (directory: string, expected: StoreIdentity, stored: StoreIdentity): void => {
  const foreign = foreignDifference(expected, stored)
  if (foreign === undefined) return
  throw new MillstreamError('STORE_FOREIGN', {
    what: `the store on disk is not this task's: ${foreign}`,
    where: { directory },
    fix: 'Choose another state directory, or remove this one: state is rebuilt from the changelog.',
  })
}

/** The store itself, without a look at what it holds. */
const openPersistent = (
  disk: Disk,
  directory: string,
  onSynced?: (isSynced: boolean) => void,
): StoreEngine =>
  disk.stores === undefined
    ? new LmdbEngine(onSynced === undefined ? { directory, disk } : { directory, disk, onSynced })
    : (disk.stores.open(directory, onSynced) as StoreEngine)

const openReadable = (disk: Disk, directory: string, identity: StoreIdentity): StoreEngine => {
  const onSynced = (isSynced: boolean): void =>
    writeNote(disk, directory, { boot: isSynced ? synced : disk.bootId(), identity })
  const engine = openPersistent(disk, directory, onSynced)
  try {
    const stored = engine.identity()
    engine.checkpoint()
    if (stored !== undefined) refuseForeign(directory, identity, stored)
    // Before the first write: from here on a machine crash may tear the file.
    onSynced(false)
    return engine
  } catch (error) {
    engine.close()
    throw error
  }
}

const openLmdb = (disk: Disk, directory: string, identity: StoreIdentity): OpenedStoreEngine => {
  const note = readNote(disk, directory)
  if (note !== undefined) {
    refuseForeign(directory, identity, note.identity)
    if (note.boot !== synced && note.boot !== disk.bootId()) {
      // Never fsynced, and the page cache is gone: a torn file is best never opened.
      disk.remove(directory)
      return {
        engine: openReadable(disk, directory, identity),
        rebuilt: 'the machine was restarted before the store had been synced',
      }
    }
  }
  try {
    return { engine: openReadable(disk, directory, identity) }
  } catch (error) {
    if (!isMillstreamError(error) || error.code !== 'STORE_CORRUPT') throw error
    disk.remove(directory)
    return { engine: openReadable(disk, directory, identity), rebuilt: error.message }
  }
}

/**
 * Opens (or makes) the engine of a store. Data of an earlier life of this store and data that cannot be read are
 * removed and reported in `rebuilt`; the restore then begins at the start of the changelog.
 * @throws STORE_FOREIGN when the data belong to another application, cluster, store or partition; they are left alone.
 */
export const openStoreEngine = ({
  disk,
  kind,
  directory,
  identity,
}: OpenStoreEngineOptions): OpenedStoreEngine => {
  const opened: OpenedStoreEngine =
    kind === 'memory' ? { engine: new MemoryEngine() } : openLmdb(disk, directory, identity)
  const { engine } = opened
  const stored = engine.identity()
  const stale = stored && staleDifference(identity, stored)
  if (stored !== undefined && stale === undefined) return opened
  engine.reset(identity)
  return stale === undefined ? opened : { engine, rebuilt: stale }
}

/** How far a closed store on disk has followed its changelog; undefined where it is none of this identity, or unreadable. */
export const storedCheckpoint = ({
  disk,
  kind,
  directory,
  identity,
}: OpenStoreEngineOptions): Checkpoint | undefined => {
  const note = kind === 'memory' ? undefined : readNote(disk, directory)
  if (note === undefined || (note.boot !== synced && note.boot !== disk.bootId())) return undefined
  if ((foreignDifference(identity, note.identity) ?? staleDifference(identity, note.identity)) !== undefined)
    return undefined
  try {
    const engine = openPersistent(disk, directory)
    try {
      return engine.checkpoint()
    } finally {
      engine.close()
    }
  } catch {
    // Whoever opens the store to work with it says what is wrong with it.
    return undefined
  }
}
