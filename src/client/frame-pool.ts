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
import { SpareMemory } from '../base/spare-memory.ts'
import type { BatchMemory, BatchView } from '../record/batch-view.ts'

/**
 * At full speed a worker was seen with up to eight answers of 6 MB each: those that wait, until the last partition in them
 * is through, and those that are being read. Each that is not kept is one more that comes new, and V8 collects the heap for
 * every 8 MB that do.
 */
const limits = { bytesMax: 48 * 1024 * 1024, countMax: 64, lookEvery: 64 }

export class FramePool {
  readonly #free = new SpareMemory(limits)
  readonly #lent = new WeakSet<ArrayBufferLike>()
  #isUsed = false

  /** Memory for an answer of so many bytes. What is in it is not cleared. */
  take(bytes: number): Buffer {
    const memory =
      this.#free.take(bytes) ?? (Buffer.allocUnsafeSlow(bytes + this.#spare(bytes)).buffer as ArrayBuffer)
    this.#lent.add(memory)
    return Buffer.from(memory, 0, bytes)
  }

  /** Who reads in the answer that lies in this memory; undefined: it is none of the pool. Once per answer. */
  lease(memory: ArrayBufferLike | undefined): FrameLease | undefined {
    if (memory === undefined || !this.#lent.delete(memory)) return undefined
    return new FrameLease(() => this.#giveBack(memory as ArrayBuffer))
  }

  /** Bytes that are kept for later answers. */
  get freeBytes(): number {
    return this.#free.freeBytes
  }

  #giveBack(memory: ArrayBuffer): void {
    this.#isUsed = true
    // Also where it is not kept: whether a record is still readable must not depend on the size of the pool.
    this.#free.keep(memory.transfer())
  }

  /** No two answers are of one size. Where none comes back there is nothing to spare for. */
  #spare(bytes: number): number {
    return this.#isUsed ? bytes >>> 3 : 0
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
