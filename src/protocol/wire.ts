// The two ends of the wire: Writer builds the bytes of a request, Reader takes those of a response apart. They own
// the primitive types of the Kafka protocol (big-endian integers, strings, bytes, arrays, KIP-482 varints and tagged
// fields) and the rule that no byte from outside is trusted: every count and length is held against what is left in
// the frame before anything is made of it.
//
// Since KIP-482 each API has a version from which it is "flexible": lengths become unsigned varints of length + 1
// (0 means null) and every struct ends with a section of tagged fields. Writer and Reader carry that as a mode, so
// that a codec lists the fields of a struct once for both.
import { invariant } from '../base/assert.ts'
import { MillstreamError } from '../errors.ts'

const INT16_MAX = 32_767
const INT32_MAX = 2_147_483_647
const TWO_TO_32 = 4_294_967_296
const UUID_BYTES = 16

/** Byte strings from this size on become a part of their own instead of being copied. */
const COPY_BYTES_MAX = 1024
const CHUNK_BYTES = 512

export class Writer {
  /** Whether lengths are varints and structs end with tags (KIP-482). Set by the codec of the API. */
  flexible = false
  #chunk: Buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  #start = 0
  #position = 0
  #parts: Buffer[] = []
  #partsBytes = 0

  /** Bytes written so far. */
  get size(): number {
    return this.#partsBytes + this.#position - this.#start
  }

  /** Everything written, in order; byte strings of 1 KB and more are the very Buffers that were given, not copies. */
  parts(): Buffer[] {
    this.#closePart()
    return this.#parts
  }

  /** Everything written as one Buffer: one copy, or none where there is a single part. */
  toBuffer(): Buffer {
    const parts = this.parts()
    const only = parts[0]
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, this.#partsBytes)
  }

  int8(value: number): this {
    invariant(Number.isInteger(value) && value >= -128 && value <= 127, 'an int8 is in range', { value })
    this.#need(1)
    this.#position = this.#chunk.writeInt8(value, this.#position)
    return this
  }

  int16(value: number): this {
    const inRange = Number.isInteger(value) && value >= -INT16_MAX - 1 && value <= INT16_MAX
    invariant(inRange, 'an int16 is in range', { value })
    this.#need(2)
    this.#position = this.#chunk.writeInt16BE(value, this.#position)
    return this
  }

  int32(value: number): this {
    invariant((value | 0) === value, 'an int32 is in range', { value })
    this.#need(4)
    this.#position = this.#chunk.writeInt32BE(value, this.#position)
    return this
  }

  /** 64 bits of a safe integer: offsets, timestamps and producer ids stay far below 2^53. */
  int64(value: number): this {
    invariant(Number.isSafeInteger(value), 'an int64 is a safe integer', { value })
    this.#need(8)
    this.#position = this.#chunk.writeInt32BE(Math.floor(value / TWO_TO_32), this.#position)
    this.#position = this.#chunk.writeUInt32BE(value >>> 0, this.#position)
    return this
  }

  bool(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  /** Unsigned varint, seven bits a byte, lowest first (KIP-482). */
  uvarint(value: number): this {
    invariant(Number.isInteger(value) && value >= 0 && value <= INT32_MAX, 'an unsigned varint is in range', {
      value,
    })
    this.#need(5)
    let rest = value
    while (rest > 127) {
      this.#chunk[this.#position++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.#chunk[this.#position++] = rest
    return this
  }

  /** A topic id as Kafka prints it: 16 bytes in base64url; null is the all-zero id, "none". */
  uuid(value: string | null): this {
    const bytes = value === null ? Buffer.alloc(UUID_BYTES) : Buffer.from(value, 'base64url')
    invariant(bytes.length === UUID_BYTES, 'a topic id has 16 bytes', { value })
    return this.raw(bytes)
  }

  string(value: string): this {
    const length = Buffer.byteLength(value)
    if (this.flexible) this.uvarint(length + 1)
    else this.int16(length)
    this.#need(length)
    this.#position += this.#chunk.write(value, this.#position, length, 'utf8')
    return this
  }

  nullableString(value: string | null): this {
    if (value !== null) return this.string(value)
    return this.flexible ? this.uvarint(0) : this.int16(-1)
  }

  bytes(value: Uint8Array): this {
    if (this.flexible) this.uvarint(value.length + 1)
    else this.int32(value.length)
    return this.raw(value)
  }

  nullableBytes(value: Uint8Array | null): this {
    if (value !== null) return this.bytes(value)
    return this.flexible ? this.uvarint(0) : this.int32(-1)
  }

  /** Bytes as they are. A large one is kept by reference: it must not change until the request is sent. */
  raw(value: Uint8Array): this {
    if (value.length < COPY_BYTES_MAX) {
      this.#need(value.length)
      this.#chunk.set(value, this.#position)
      this.#position += value.length
      return this
    }
    this.#closePart()
    this.#parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    this.#partsBytes += value.length
    return this
  }

  /** An array of plain values: they carry no tagged fields. */
  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.#count(items.length)
    for (const item of items) write(item)
    return this
  }

  nullableArray<T>(items: readonly T[] | null, write: (item: T) => void): this {
    return items === null ? this.#count(-1) : this.array(items, write)
  }

  /** An array of structs: each ends with its (empty) section of tagged fields. */
  structs<T>(items: readonly T[], write: (item: T) => void): this {
    this.#count(items.length)
    for (const item of items) {
      write(item)
      this.tags()
    }
    return this
  }

  nullableStructs<T>(items: readonly T[] | null, write: (item: T) => void): this {
    return items === null ? this.#count(-1) : this.structs(items, write)
  }

  /** Ends a struct: an empty section of tagged fields in a flexible version, nothing before. */
  tags(): this {
    return this.flexible ? this.uvarint(0) : this
  }

  #count(count: number): this {
    return this.flexible ? this.uvarint(count + 1) : this.int32(count)
  }

  #need(bytes: number): void {
    if (this.#position + bytes <= this.#chunk.length) return
    this.#closePart()
    // Doubling keeps the number of parts small where one request names thousands of partitions.
    this.#chunk = Buffer.allocUnsafe(Math.max(this.#chunk.length * 2, bytes))
    this.#start = 0
    this.#position = 0
  }

  #closePart(): void {
    if (this.#position === this.#start) return
    this.#parts.push(this.#chunk.subarray(this.#start, this.#position))
    this.#partsBytes += this.#position - this.#start
    this.#start = this.#position
  }
}

export class Reader {
  /** Whether lengths are varints and structs end with tags (KIP-482). Set by `begin`. */
  flexible = false
  readonly #buffer: Buffer
  #position: number
  #end: number
  #what = 'a response'

  /** Reads `buffer` from `start` to `end`; nothing beyond `end` is ever looked at. */
  constructor(buffer: Buffer, start = 0, end: number = buffer.length) {
    this.#buffer = buffer
    this.#position = start
    this.#end = Math.min(end, buffer.length)
  }

  get position(): number {
    return this.#position
  }

  get remaining(): number {
    return this.#end - this.#position
  }

  /** Names what is read, for errors, and sets the mode. */
  begin(what: string, flexible: boolean): void {
    this.#what = what
    this.flexible = flexible
  }

  /** The layout of a version is fixed, so bytes left over mean that both sides do not speak of the same struct. */
  finish(): void {
    if (this.remaining > 0) this.fail(`${this.remaining} bytes are left over at its end`)
  }

  /** @throws MillstreamError PROTOCOL_INVALID with the place in the frame. */
  fail(what: string): never {
    throw new MillstreamError('PROTOCOL_INVALID', {
      what: `${this.#what} cannot be read: ${what}`,
      where: { byte: this.#position },
      fix: 'Check that the address is that of a Kafka broker and that nothing in between changes the bytes.',
    })
  }

  int8(): number {
    const at = this.#take(1)
    return this.#buffer.readInt8(at)
  }

  int16(): number {
    const at = this.#take(2)
    return this.#buffer.readInt16BE(at)
  }

  int32(): number {
    const at = this.#take(4)
    return this.#buffer.readInt32BE(at)
  }

  int64(): number {
    const at = this.#take(8)
    const value = this.#buffer.readInt32BE(at) * TWO_TO_32 + this.#buffer.readUInt32BE(at + 4)
    if (!Number.isSafeInteger(value)) this.fail('a 64-bit number is beyond 2^53')
    return value
  }

  bool(): boolean {
    return this.int8() !== 0
  }

  /** Unsigned varint up to 2^31 - 1, which is what every length and count must keep to. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#buffer[this.#take(1)] as number
      // Multiplied, not shifted: the fifth byte would run into the sign bit.
      value += (byte & 127) * 2 ** shift
      if (byte < 128) {
        if (value > INT32_MAX) this.fail('a varint is beyond 2^31')
        return value
      }
    }
    return this.fail('a varint does not end')
  }

  /** A topic id in base64url, as Kafka's own tools print it; null where the broker sent the all-zero id. */
  uuid(): string | null {
    const at = this.#take(UUID_BYTES)
    const bytes = this.#buffer.subarray(at, at + UUID_BYTES)
    return bytes.every((byte) => byte === 0) ? null : bytes.toString('base64url')
  }

  string(): string {
    return this.nullableString() ?? this.fail('a string that must be there is null')
  }

  nullableString(): string | null {
    const length = this.#length(this.flexible ? this.uvarint() - 1 : this.int16())
    if (length < 0) return null
    const at = this.#take(length)
    return this.#buffer.toString('utf8', at, at + length)
  }

  /** A view into the frame, not a copy: it keeps the whole frame alive. */
  bytes(): Buffer {
    return this.nullableBytes() ?? this.fail('bytes that must be there are null')
  }

  nullableBytes(): Buffer | null {
    const length = this.#length(this.flexible ? this.uvarint() - 1 : this.int32())
    if (length < 0) return null
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  /** An array of plain values, which carry no tagged fields. */
  array<T>(read: () => T): T[] {
    return this.nullableArray(read) ?? this.fail('an array that must be there is null')
  }

  nullableArray<T>(read: () => T): T[] | null {
    // Each element takes a byte at least, so a count above the rest of the frame is a lie. Nothing is allocated
    // ahead: the array grows with the bytes that were really there.
    const count = this.#length(this.flexible ? this.uvarint() - 1 : this.int32())
    if (count < 0) return null
    const items: T[] = []
    for (let i = 0; i < count; i++) items.push(read())
    return items
  }

  /** An array of structs: each one's section of tagged fields is passed over. */
  structs<T>(read: () => T): T[] {
    return this.nullableStructs(read) ?? this.fail('an array that must be there is null')
  }

  nullableStructs<T>(read: () => T): T[] | null {
    return this.nullableArray(() => {
      const item = read()
      this.tags()
      return item
    })
  }

  /**
   * Ends a struct: the section of tagged fields in a flexible version, nothing before. `read` gets each tag number
   * and either reads the field and answers true, or answers false: then the field is passed over, which is how a
   * newer broker may add fields (KIP-482).
   */
  tags(read?: (tag: number) => boolean): void {
    if (!this.flexible) return
    const count = this.#length(this.uvarint())
    for (let i = 0; i < count; i++) {
      const tag = this.uvarint()
      const fieldEnd = this.#length(this.uvarint()) + this.#position
      const frameEnd = this.#end
      this.#end = fieldEnd
      if (read?.(tag)) this.finish()
      this.#position = fieldEnd
      this.#end = frameEnd
    }
  }

  #take(bytes: number): number {
    const at = this.#position
    if (bytes > this.#end - at) this.fail(`it ends where ${bytes} more bytes are needed`)
    this.#position = at + bytes
    return at
  }

  #length(length: number): number {
    if (length < -1) this.fail('a length is negative')
    if (length > this.remaining)
      this.fail(`a length or count of ${length} is larger than the rest of the frame`)
    return length
  }
}
