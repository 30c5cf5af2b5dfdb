// A store on a simulated disk: it outlives the process that wrote it, and what was written last and not synced can be
// taken back, as a crash may take it.
import type { Checkpoint, EngineWrite, StoreEngine, StoreIdentity } from '../../state/contracts.ts'
import { MemoryEngine } from '../../state/memory-engine.ts'

/** What one local transaction replaced. */
interface Undo {
  readonly writes: readonly EngineWrite[]
  readonly checkpoint: Checkpoint
}

/** As LMDB: 1978 with its own byte in front. */
const keyBytesMax = 1977
/** Older transactions are on the disk by themselves. */
const unsyncedMax = 16

/** What lies on the disk. */
export class StoredData {
  readonly memory: MemoryEngine = new MemoryEngine()
  readonly #unsynced: Undo[] = []

  write(writes: readonly EngineWrite[], checkpoint: Checkpoint): void {
    const { memory } = this
    const before = memory.checkpoint()
    if (before !== undefined) {
      const replaced = writes.map(({ key }) => ({ key, value: memory.get(key) ?? null }))
      this.#unsynced.push({ writes: replaced, checkpoint: before })
      if (this.#unsynced.length > unsyncedMax) this.#unsynced.shift()
    }
    memory.write(writes, checkpoint)
  }

  reset(identity: StoreIdentity): void {
    this.#unsynced.length = 0
    this.memory.reset(identity)
  }

  sync(): void {
    this.#unsynced.length = 0
  }

  /** Transactions that may still be lost. */
  get unsynced(): number {
    return this.#unsynced.length
  }

  /** Takes the last transactions back. */
  lose(count: number): void {
    for (let lost = 0; lost < count; lost++) {
      const undo = this.#unsynced.pop()
      if (undo !== undefined) this.memory.write(undo.writes, undo.checkpoint)
    }
    this.#unsynced.length = 0
  }
}

export class SimulatedEngine implements StoreEngine {
  readonly kind = 'simulated'
  readonly persistent = true
  readonly keyBytesMax: number = keyBytesMax
  readonly #data: StoredData
  readonly #isAlive: () => boolean
  readonly #onSynced: ((synced: boolean) => void) | undefined
  #synced = true

  /** @param isAlive whether the process that has it open still can write */
  constructor(data: StoredData, isAlive: () => boolean, onSynced?: (synced: boolean) => void) {
    this.#data = data
    this.#isAlive = isAlive
    this.#onSynced = onSynced
  }

  get(key: string): Buffer | undefined {
    return this.#data.memory.get(key)
  }

  range(
    from: string | undefined,
    to: string | undefined,
    reverse: boolean,
  ): IterableIterator<{ key: string; value: Buffer }> {
    return this.#data.memory.range(from, to, reverse)
  }

  write(writes: readonly EngineWrite[], checkpoint: Checkpoint): void {
    if (!this.#isAlive()) return
    this.#touch()
    this.#data.write(writes, checkpoint)
  }

  checkpoint(): Checkpoint | undefined {
    return this.#data.memory.checkpoint()
  }

  identity(): StoreIdentity | undefined {
    return this.#data.memory.identity()
  }

  reset(identity: StoreIdentity): void {
    if (!this.#isAlive()) return
    this.#touch()
    this.#data.reset(identity)
  }

  count(): number {
    return this.#data.memory.count()
  }

  sync(): void {
    if (!this.#isAlive()) return
    this.#data.sync()
    this.#synced = true
    this.#onSynced?.(true)
  }

  close(): void {}

  #touch(): void {
    if (this.#synced) this.#onSynced?.(false)
    this.#synced = false
  }
}
