// The memory of the answers to fetches, used again. A worker that reads 160 MB a second would otherwise allocate as much
// beside the heap, and each answer outlives the collections of young objects: V8 then marks the whole heap several times a
// second for the sake of a few large buffers (a tenth of the CPU time, docs/benchmarks.md).
//
//   take --an answer is read into it--> lent --every batch in it had its last record processed--> free --take-->
//
// Records are views of this memory (topology/stream-record.ts), so it comes back only from queues whose processors are
// known to keep no record; what is thrown away (a seek, a task that is taken away) never comes back and is left to the
// garbage collector. Memory that does come back is detached (ArrayBuffer.prototype.transfer, ES2024): a view that somebody
// kept all the same is empty from then on, and can never show the bytes of a later answer.
import { invariant } from '../base/assert.ts'
import type { BatchMemory, BatchView } from '../record/batch-view.ts'

/** What lies free: so much and one more, whatever its size; a worker at full speed has up to five answers of 6 MB each. */
const freeBytesMax = 24 * 1024 * 1024
const freeCountMax = 64
/**
 * An answer gets no memory that is more than so many times too large. Whoever holds it counts its bytes, not those of its
 * memory: a queue that waits would hold up to eight megabytes for each small answer.
 */
const tooLargeBy = 4
/** So many answers are looked at together: memory of more than eight times the largest of them is let go. */
const lookEvery = 64

export class FramePool {
  /** By size, the smallest first. */
  readonly #free: ArrayBuffer[] = []
  readonly #lent = new WeakSet<ArrayBufferLike>()
  #freeBytes = 0
  #isUsed = false
  /** Answers since the last look, and the bytes of the largest of them. */
  #taken = 0
  #largest = 0

  /** Memory for an answer of so many bytes. What is in it is not cleared. */
  take(bytes: number): Buffer {
    const memory =
      this.#fitting(bytes) ?? (Buffer.allocUnsafeSlow(bytes + this.#spare(bytes)).buffer as ArrayBuffer)
    this.#lent.add(memory)
    if (bytes > this.#largest) this.#largest = bytes
    this.#taken++
    return Buffer.from(memory, 0, bytes)
  }

  /** Who reads in the answer that lies in this memory; undefined: it is none of the pool. Once per answer. */
  lease(memory: ArrayBufferLike | undefined): FrameLease | undefined {
    if (memory === undefined || !this.#lent.delete(memory)) return undefined
    return new FrameLease(() => this.#giveBack(memory as ArrayBuffer))
  }

  /** Bytes that are kept for later answers. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  #giveBack(memory: ArrayBuffer): void {
    // Also where it is not kept: whether a record is still readable must not depend on the size of the pool.
    const own = memory.transfer()
    this.#isUsed = true
    if (this.#freeBytes > freeBytesMax || this.#free.length >= freeCountMax) return
    const at = this.#free.findIndex(({ byteLength }) => byteLength >= own.byteLength)
    this.#free.splice(at < 0 ? this.#free.length : at, 0, own)
    this.#freeBytes += own.byteLength
    if (this.#taken >= lookEvery) this.#letGo()
  }

  /** A load is over: what it needed is not kept. */
  #letGo(): void {
    while ((this.#free.at(-1)?.byteLength ?? 0) > this.#largest * 8) this.#forget(this.#free.length - 1)
    this.#taken = 0
    this.#largest = 0
  }

  /** The smallest memory that is large enough. Where all are too small, the smallest makes room for a larger one. */
  #fitting(bytes: number): ArrayBuffer | undefined {
    const at = this.#free.findIndex(({ byteLength }) => byteLength >= bytes)
    if (at < 0) {
      this.#forget(0)
      return undefined
    }
    const { byteLength } = this.#free[at] as ArrayBuffer
    return byteLength > bytes * tooLargeBy ? undefined : this.#forget(at)
  }

  /** No two answers are of one size. Where none comes back there is nothing to spare for. */
  #spare(bytes: number): number {
    return this.#isUsed ? bytes >>> 3 : 0
  }

  #forget(index: number): ArrayBuffer | undefined {
    const [memory] = this.#free.splice(index, 1)
    this.#freeBytes -= memory?.byteLength ?? 0
    return memory
  }
}

/** Counts who still reads in an answer: its batches, and the fetcher while it hands them out. */
export class FrameLease implements BatchMemory {
  readonly #giveBack: () => void
  #readers = 0

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack
  }

  hold(): void {
    this.#readers++
  }

  /** Each of these batches is read in it, until it says that it is not any more. */
  lendTo(batches: readonly BatchView[]): void {
    for (const batch of batches) batch.memory = this
    this.#readers += batches.length
  }

  release(): void {
    invariant(this.#readers > 0, 'the memory of an answer is released once by each of its readers')
    if (--this.#readers === 0) this.#giveBack()
  }
}
