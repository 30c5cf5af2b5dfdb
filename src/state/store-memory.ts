// The memory budget of the stores of a worker: what they keep of their engines to be read again, and what is committed and
// not yet written to them. One for all, so that whoever is used gets it: a budget per store would be too much where there
// are many, and too little for the only one that works.
//
// A third is for what waits to be flushed; when it is full the largest store flushes. A third each is for the two
// generations of the read caches, which age together: when the young ones are full, all become old, and the old ones go.
// So the total is about the budget, and one transaction more. What waits is estimated (overlay.ts), what is cached is counted.
import { FlushTurns } from './flush-pace.ts'

const defaultBytesMax = 128 << 20

/** A store under the budget. */
export interface MemoryUser {
  /** Committed, and not in the engine. */
  readonly committedBytes: number
  /** Writes them to the engine. Called between records. */
  flush(): void
  /** The young generation of the read cache becomes the old one, which is dropped. @returns bytes that could not be */
  age(): number
}

export class StoreMemory {
  /** Of the stores under this budget. */
  readonly turns: FlushTurns = new FlushTurns()
  readonly #shareBytes: number
  readonly #users = new Set<MemoryUser>()
  #waitingBytes = 0
  #youngBytes = 0
  /** What the last ageing could not drop. */
  #carriedBytes = 0
  #holds = 0

  /** @param bytesMax for all stores together, about */
  constructor(bytesMax: number = defaultBytesMax) {
    this.#shareBytes = bytesMax / 3
  }

  join(user: MemoryUser): void {
    this.#users.add(user)
  }

  leave(user: MemoryUser): void {
    if (this.#users.delete(user)) this.waits(-user.committedBytes)
  }

  /** So much more of a store waits to be flushed, or less (negative): `committedBytes` changes by it. */
  waits(bytes: number): void {
    this.#waitingBytes += bytes
    // What is flushed can be dropped.
    if (bytes < 0) this.#carriedBytes = Math.max(0, this.#carriedBytes + bytes)
  }

  /** So much came into the young generation of a cache, or left it (negative). */
  cached(bytes: number): void {
    this.#youngBytes += bytes
  }

  /**
   * Called before a key is looked up: ages the caches where the young ones are full. What cannot be dropped is copied each
   * time, so as much must have come since as was copied the last time.
   */
  makeRoom(): void {
    if (this.#holds > 0 || this.#youngBytes <= Math.max(this.#shareBytes, this.#carriedBytes)) return
    this.#youngBytes = 0
    this.#carriedBytes = 0
    for (const user of this.#users) this.#carriedBytes += user.age()
  }

  /** Somebody has an entry in hand while code of the user runs, which may look up others: nothing ages before `release`. */
  hold(): void {
    this.#holds += 1
  }

  release(): void {
    this.#holds -= 1
  }

  /**
   * After a commit of `asking`: flushes, the largest first, until what waits is within its share. Whoever else cannot be
   * flushed keeps what it has, and meets the fault at its own next commit, where its owner deals with it.
   * @throws STORE_FAILED, STORE_CORRUPT of `asking` alone
   */
  flushExcess(asking: MemoryUser): void {
    if (this.#waitingBytes <= this.#shareBytes) return
    for (const user of [...this.#users].sort((a, b) => b.committedBytes - a.committedBytes)) {
      if (this.#waitingBytes <= this.#shareBytes) return
      try {
        user.flush()
      } catch (error) {
        if (user === asking) throw error
      }
    }
  }
}
