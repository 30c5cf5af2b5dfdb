// Reads records as the judge packs them when it follows a topic: offset int64, length of the key int16, key, length of
// the value int32 (-1: null), value. What is not read yet stays packed, a few dozen bytes a record.

export class PackedRecords {
  offset = -1
  key = ''
  value: Buffer | null = null
  readonly #chunks: Buffer[] = []
  #chunk = 0
  #at = 0

  push(chunk: Buffer): void {
    if (chunk.length > 0) this.#chunks.push(chunk)
  }

  /** Moves to the next record; false where there is none yet. */
  next(): boolean {
    const chunk = this.#chunks[this.#chunk]
    if (chunk === undefined) return false
    this.offset = Number(chunk.readBigInt64BE(this.#at))
    const keyStart = this.#at + 10
    const keyEnd = keyStart + chunk.readUInt16BE(this.#at + 8)
    this.key = chunk.toString('utf8', keyStart, keyEnd)
    const length = chunk.readInt32BE(keyEnd)
    const end = keyEnd + 4 + Math.max(0, length)
    this.value = length < 0 ? null : chunk.subarray(keyEnd + 4, end)
    this.#at = end
    if (end === chunk.length) this.#leaveChunk()
    return true
  }

  #leaveChunk(): void {
    this.#at = 0
    this.#chunk++
    // Not at each one: moving the others costs more than they do.
    if (this.#chunk < 256) return
    this.#chunks.splice(0, this.#chunk)
    this.#chunk = 0
  }
}

/** For tests of what reads them. */
export const packRecord = (offset: number, key: string, value: Uint8Array | string | null): Buffer => {
  const keyBytes = Buffer.from(key)
  const valueBytes = value === null ? Buffer.alloc(0) : Buffer.from(value as Uint8Array)
  const packed = Buffer.alloc(14 + keyBytes.length + valueBytes.length)
  packed.writeBigInt64BE(BigInt(offset), 0)
  packed.writeUInt16BE(keyBytes.length, 8)
  packed.set(keyBytes, 10)
  packed.writeInt32BE(value === null ? -1 : valueBytes.length, 10 + keyBytes.length)
  packed.set(valueBytes, 14 + keyBytes.length)
  return packed
}
