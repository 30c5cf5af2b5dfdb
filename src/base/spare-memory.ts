// Memory beside the heap that was used and may be used again. V8 counts such memory and collects the whole heap for the
// sake of it, several times a second where it is as much as a worker at full speed reads and writes
// (docs/decisions/0032-memory-of-answers.md).
import { lowerBound } from './lower-bound.ts'

export interface SpareLimits {
  /** So many bytes lie free, and one piece more. */
  readonly bytesMax: number
  readonly countMax: number
  /** After so many calls of `take` what lay free all the while is let go. */
  readonly lookEvery: number
}

/** Nobody gets a piece that is more than so many times too large: what it holds is counted, not the piece. */
const tooLargeBy = 4

export class SpareMemory {
  readonly #limits: SpareLimits
  /** By size, the smallest first. */
  readonly #free: ArrayBuffer[] = []
  #freeBytes = 0
  /** Since the last look: calls of `take`, and the bytes that were free at every moment. */
  #asked = 0
  #leastFree = 0

  constructor(limits: SpareLimits) {
    this.#limits = limits
  }

  /** Bytes that lie free. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  /** The smallest piece of at least so many bytes; undefined where that is far too large, or all are too small. */
  take(bytes: number): ArrayBuffer | undefined {
    if (++this.#asked >= this.#limits.lookEvery) this.#letGo()
    const at = this.#placeOf(bytes)
    const nearest = this.#free[at]
    // Pieces that are too small for whoever asks must not keep the larger ones out for ever.
    if (nearest === undefined && this.#isFull) this.#remove(0)
    const fits = nearest !== undefined && nearest.byteLength <= bytes * tooLargeBy
    const found = fits ? this.#remove(at) : undefined
    this.#leastFree = Math.min(this.#leastFree, this.#freeBytes)
    return found
  }

  /** Takes a piece that nobody reads or writes any more: once, else two would write into it. */
  keep(memory: ArrayBuffer): void {
    if (this.#isFull) return
    this.#free.splice(this.#placeOf(memory.byteLength), 0, memory)
    this.#freeBytes += memory.byteLength
  }

  get #isFull(): boolean {
    return this.#freeBytes > this.#limits.bytesMax || this.#free.length >= this.#limits.countMax
  }

  /** Of the first piece that has so many bytes. */
  #placeOf(bytes: number): number {
    return lowerBound(this.#free.length, (index) => (this.#free[index] as ArrayBuffer).byteLength < bytes)
  }

  /** What nobody needed since the last look, the largest pieces first. */
  #letGo(): void {
    let unused = this.#leastFree
    for (let at = this.#free.length - 1; at >= 0; at--) {
      const { byteLength } = this.#free[at] as ArrayBuffer
      if (byteLength > unused) continue
      unused -= byteLength
      this.#remove(at)
    }
    this.#asked = 0
    this.#leastFree = this.#freeBytes
  }

  #remove(at: number): ArrayBuffer | undefined {
    const [memory] = this.#free.splice(at, 1)
    this.#freeBytes -= memory?.byteLength ?? 0
    return memory
  }
}
