// Cuts the bytes of a client into frames: a length of four bytes, then the request. Pieces are kept as they came until
// a frame is whole, so that a large frame in small pieces is copied once, and a length without bytes takes no room.

const lengthBytes = 4
/** Key, version and correlation id of a request. */
const frameBytesMin = 8

export class FrameCollector {
  readonly #bytesMax: number
  #pieces: Buffer[] = []
  #bytes = 0

  /** @param bytesMax of a frame */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** So many wait. */
  get bytes(): number {
    return this.#bytes
  }

  add(bytes: Buffer): void {
    this.#pieces.push(bytes)
    this.#bytes += bytes.length
  }

  clear(): void {
    this.#pieces = []
    this.#bytes = 0
  }

  /** @returns the next whole frame without its length, undefined where it is not there yet, or what is wrong with it */
  next(): Buffer | string | undefined {
    if (this.#bytes < lengthBytes) return undefined
    const size = this.#size()
    if (size < frameBytesMin || size > this.#bytesMax)
      return `a frame of ${size} bytes: a request has ${frameBytesMin} to ${this.#bytesMax}`
    if (this.#bytes < lengthBytes + size) return undefined
    const all = this.#joined()
    const rest = all.subarray(lengthBytes + size)
    this.clear()
    if (rest.length > 0) this.add(rest)
    return all.subarray(lengthBytes, lengthBytes + size)
  }

  #size(): number {
    const [first] = this.#pieces
    if (first !== undefined && first.length >= lengthBytes) return first.readInt32BE(0)
    return this.#joined().readInt32BE(0)
  }

  #joined(): Buffer {
    const all =
      this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces, this.#bytes)
    this.#pieces = [all]
    return all
  }
}
