// The memory of a log: batches are copied into slabs one behind the other. A batch that stayed a view of the request in
// which it came would keep that whole request alive; a Buffer of its own for each would cost more than a small batch.
const slabBytesMin = 1024
const slabBytesMax = 64 * 1024

export class ByteStore {
  #slab: Buffer = Buffer.alloc(0)
  #used = 0

  /** Copies bytes. @returns where they are now: they end with `start + bytes.length` */
  add(bytes: Uint8Array): { readonly buffer: Buffer; readonly start: number } {
    if (this.#used + bytes.length > this.#slab.length) {
      const size = Math.min(Math.max(this.#slab.length * 2, slabBytesMin), slabBytesMax)
      // A batch of that size gets its own, so that the slab at hand is not given up for it.
      if (bytes.length >= size) return { buffer: Buffer.from(bytes), start: 0 }
      this.#slab = Buffer.allocUnsafeSlow(size)
      this.#used = 0
    }
    const start = this.#used
    this.#slab.set(bytes, start)
    this.#used += bytes.length
    return { buffer: this.#slab, start }
  }
}
