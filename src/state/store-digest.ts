// The digest of one store: of what is committed in it, and of what will be when the open transaction is. It is kept with
// the checkpoint, so that data, offset and digest always reach the disk together. It is not known for a store that was
// written without one, that is being restored from nothing, or whose number of entries is another one than it says; then
// a scan over the engine finds it out.
import { invariant } from '../base/assert.ts'
import type { Checkpoint, EngineWrite, StoreEngine } from './contracts.ts'
import { type EntryTable, unknown } from './entry-table.ts'
import { StateDigest } from './state-digest.ts'

interface Scan {
  readonly digest: StateDigest
  /** Key at which it goes on. */
  from: string | undefined
}

/** A checkpoint with this digest, or without any. */
export const withDigest = ({ digest: _, ...plain }: Checkpoint, text: string | undefined): Checkpoint =>
  text === undefined ? plain : { ...plain, digest: text }

export class StoreDigest {
  readonly #engine: StoreEngine
  readonly #next = new StateDigest()
  /** Undefined where it is not known. */
  #committed: StateDigest | undefined
  #scan: Scan | undefined
  /** Of the overlay that it was last told of. */
  #toldVersion = -1

  /** @param text as it lies beside the data of the engine */
  constructor(engine: StoreEngine, text: string | undefined) {
    this.#engine = engine
    const stored = text === undefined ? undefined : StateDigest.parse(text)
    if (stored !== undefined && stored.entries === engine.count()) this.#committed = stored
  }

  /** Of what is committed; undefined where it is not known. */
  get text(): string | undefined {
    return this.#committed?.text
  }

  /** It was told each change that the store had at this version of its overlay. */
  told(version: number): void {
    this.#toldVersion = version
  }

  isTold(version: number): boolean {
    return version === this.#toldVersion
  }

  /** Of what will be committed, after `begin`, a `change` for each key, and `told`; undefined where it is not known. */
  nextTextAt(version: number, store: string): string | undefined {
    invariant(this.isTold(version), 'nothing is written after the changes were drained', { store })
    return this.#committed === undefined ? undefined : this.#next.text
  }

  /**
   * Goes back to what is committed; a scan that has not ended begins anew.
   * @returns false where it is not known, so that no change need be told
   */
  begin(): boolean {
    this.#scan = undefined
    if (this.#committed === undefined) return false
    this.#next.become(this.#committed)
    return true
  }

  /** The open transaction wrote this entry; each is told once. */
  change(table: EntryTable, id: number): void {
    const next = this.#next
    next.setHashedKey(table.hashFirst(id), table.hashSecond(id))
    const before = table.belowLength(id)
    if (before === unknown) this.#removeStored(table.key(id))
    else if (before >= 0) next.remove(table.arena, table.belowStart(id), before)
    const length = table.valueLength(id)
    if (length >= 0) next.add(table.arena, table.valueStart(id), length)
  }

  /** The engine is about to get these; each key once. */
  restored(writes: readonly EngineWrite[]): void {
    if (!this.begin()) return
    for (const { key, value } of writes) {
      this.#next.setKey(key)
      this.#removeStored(key)
      if (value !== null) this.#next.add(value)
    }
    this.commit()
  }

  #removeStored(key: string): void {
    const stored = this.#engine.get(key)
    if (stored !== undefined) this.#next.remove(stored)
  }

  /** What was told since `begin` is committed. */
  commit(): void {
    this.#committed?.become(this.#next)
  }

  forget(): void {
    this.#committed = undefined
    this.#scan = undefined
  }

  /** Goes on with a scan; the engine is not written until it ends. @returns whether it has ended */
  scan(entriesMax: number): boolean {
    this.#scan ??= { digest: new StateDigest(), from: undefined }
    const { digest, from } = this.#scan
    let left = entriesMax
    for (const { key, value } of this.#engine.range(from, undefined, false)) {
      if (left-- === 0) {
        this.#scan.from = key
        return false
      }
      digest.setKey(key)
      digest.add(value)
    }
    this.#committed = digest
    this.#scan = undefined
    return true
  }
}
