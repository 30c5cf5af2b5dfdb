// What a store knows of its keys, in flat memory: a hash table of numbers, and the bytes of keys and values in one arena.
// With a map of objects a look-up touched five places of a heap that outgrows the caches of a processor (bucket, entry,
// key, value, number), and the collector visited all of them again and again; here it touches three, and nothing is
// collected. An entry is named by its number, which it keeps as long as the table lives.
import { invariant } from '../base/assert.ts'
import { copyBytes, copyOf } from '../record/copy-bytes.ts'
import { latin1 } from './latin1.ts'
import { oddSalt } from './odd-salt.ts'

/** As a length: the key has no value. */
export const absent = -1
/** As a length: nobody looked into the engine. */
export const unknown = -2

// Words of an entry. Its hash is the one that the digest goes by, both lanes.
const stride = 8
const hashFirst = 0
const hashSecond = 1
const keyAt = 2
const keyLength = 3
const valueAt = 4
const valueLength = 5
// What is below the write of the open transaction. Its bytes lie in an area of their own, which takes the next write.
const belowAt = 6
const belowLength = 7

const written = 1
const waiting = 2

const saltFirst = oddSalt()
const saltSecond = oddSalt()

/** Bytes of an entry besides those of its key and value: its words, its flags, and its slots at the usual load. */
const entryOverhead = stride * 4 + 1 + 8
/** Places are counted in units of this many bytes: as bytes they would leave 31 bits at 2 GiB. */
const unitBytes = 4
/** Beyond it `Buffer.copy` cuts places to 32 bits, without a word. */
const arenaBytesMax = 2 ** 32
/** A table that was emptied is used again unless it is so many times larger than needed. */
const sizeRatioMax = 4
const smallArena = 64 * 1024

const grown = <T extends Int32Array | Uint8Array>(from: T, into: T): T => {
  into.set(from)
  return into
}

export class EntryTable {
  /** Number of an entry + 1; 0 is free. Their number is a power of two, at most two thirds of them taken. */
  #slots = new Int32Array(32)
  /** Of a hash, which leaves as many bits as slots are numbered with. */
  #slotShift = 32 - 5
  #words = new Int32Array(16 * stride)
  #flags = new Uint8Array(16)
  #arena: Buffer = Buffer.allocUnsafeSlow(1024)
  #arenaWords = new Int32Array(this.#arena.buffer)
  #arenaEnd = 0
  #count = 0

  /** About what it takes, bytes. */
  get bytes(): number {
    return this.#arenaEnd + this.#count * entryOverhead
  }

  /** The memory in which keys and values lie: until the next write or look-up. */
  get arena(): Buffer {
    return this.#arena
  }

  /** A table without entries, in the memory of this one where that suits so many bytes: new pages are dear. */
  emptied(bytes: number): EntryTable {
    if (this.#arena.length > sizeRatioMax * bytes + smallArena) return new EntryTable()
    this.#slots.fill(0)
    this.#arenaEnd = 0
    this.#count = 0
    return this
  }

  // ---- look-up

  /** The entry of a key with this hash, or -1. */
  find(first: number, second: number, source: Uint8Array, start: number, length: number): number {
    const slots = this.#slots
    const words = this.#words
    const mask = slots.length - 1
    for (let slot = this.#firstSlot(first, second); ; slot = (slot + 1) & mask) {
      const id = (slots[slot] as number) - 1
      if (id < 0) return -1
      const at = id * stride
      if (words[at] !== first || words[at + hashSecond] !== second || words[at + keyLength] !== length)
        continue
      if (this.#holdsKey(words[at + keyAt] as number, source, start, length)) return id
    }
  }

  #firstSlot(first: number, second: number): number {
    return (Math.imul(first, saltFirst) ^ Math.imul(second, saltSecond)) >>> this.#slotShift
  }

  #holdsKey(place: number, source: Uint8Array, start: number, length: number): boolean {
    const arena = this.#arena
    const at = place * unitBytes
    for (let index = 0; index < length; index++) if (arena[at + index] !== source[start + index]) return false
    return true
  }

  /** A new entry of a key that has none, of which nothing is known. */
  make(first: number, second: number, source: Uint8Array, start: number, length: number): number {
    const area = this.#area(length)
    const id = this.#count++
    if ((id + 1) * stride > this.#words.length) {
      this.#words = grown(this.#words, new Int32Array(this.#words.length * 2))
      this.#flags = grown(this.#flags, new Uint8Array(this.#flags.length * 2))
    }
    if (this.#count * 3 > this.#slots.length * 2) this.#widen()
    const at = id * stride
    const words = this.#words
    words[at + hashFirst] = first
    words[at + hashSecond] = second
    words[at + keyAt] = area
    words[at + keyLength] = length
    words[at + valueAt] = 0
    words[at + valueLength] = unknown
    words[at + belowAt] = 0
    words[at + belowLength] = unknown
    this.#flags[id] = 0
    copyBytes(source, start, length, this.#arena, area * unitBytes)
    this.#place(id)
    return id
  }

  #place(id: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = this.#firstSlot(this.hashFirst(id), this.hashSecond(id))
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = id + 1
  }

  #widen(): void {
    this.#slots = new Int32Array(this.#slots.length * 2)
    this.#slotShift -= 1
    for (let id = 0; id < this.#count - 1; id++) this.#place(id)
  }

  // ---- what is known of an entry

  isWritten(id: number): boolean {
    return ((this.#flags[id] as number) & written) !== 0
  }

  isWaiting(id: number): boolean {
    return ((this.#flags[id] as number) & waiting) !== 0
  }

  setWaiting(id: number, is: boolean): void {
    const flags = this.#flags[id] as number
    this.#flags[id] = is ? flags | waiting : flags & ~waiting
  }

  keyStart(id: number): number {
    return (this.#words[id * stride + keyAt] as number) * unitBytes
  }

  keyLength(id: number): number {
    return this.#words[id * stride + keyLength] as number
  }

  /** The key as an engine takes it. */
  key(id: number): string {
    const start = this.keyStart(id)
    return latin1(this.#arena, start, start + this.keyLength(id))
  }

  hashFirst(id: number): number {
    return this.#words[id * stride + hashFirst] as number
  }

  hashSecond(id: number): number {
    return this.#words[id * stride + hashSecond] as number
  }

  valueStart(id: number): number {
    return (this.#words[id * stride + valueAt] as number) * unitBytes
  }

  /** `absent` and `unknown` are lengths, too. */
  valueLength(id: number): number {
    return this.#words[id * stride + valueLength] as number
  }

  belowStart(id: number): number {
    return (this.#words[id * stride + belowAt] as number) * unitBytes
  }

  belowLength(id: number): number {
    return this.#words[id * stride + belowLength] as number
  }

  /** The value, as bytes of their own; null: it is absent. */
  value(id: number): Buffer | null {
    return this.#bytes(this.valueStart(id), this.valueLength(id))
  }

  /** What is committed, as bytes of their own; null: absent. */
  committed(id: number): Buffer | null {
    const isWritten = this.isWritten(id)
    const length = isWritten ? this.belowLength(id) : this.valueLength(id)
    invariant(length !== unknown, 'what is committed was written', { length })
    return this.#bytes(isWritten ? this.belowStart(id) : this.valueStart(id), length)
  }

  #bytes(start: number, length: number): Buffer | null {
    return length < 0 ? null : copyOf(this.#arena, start, start + length)
  }

  // ---- changes

  /** @param length of the bytes, or `absent` */
  setValue(id: number, source: Uint8Array, start: number, length: number): void {
    const at = id * stride
    if (length > 0) {
      const area = this.#roomy(this.#words[at + valueAt] as number, length)
      this.#words[at + valueAt] = area
      copyBytes(source, start, length, this.#arena, area * unitBytes)
    }
    this.#words[at + valueLength] = length
  }

  /** The open transaction writes it for the first time: what it is goes below, and `setValue` follows. */
  begin(id: number): void {
    this.#flags[id] = (this.#flags[id] as number) | written
    this.#swap(id)
  }

  /** The open transaction has not written it after all. */
  takeBack(id: number): void {
    this.#swap(id)
    this.settle(id)
  }

  /** What the open transaction wrote is committed. */
  settle(id: number): void {
    this.#flags[id] = (this.#flags[id] as number) & ~written
    this.#words[id * stride + belowLength] = unknown
  }

  #swap(id: number): void {
    const at = id * stride
    const words = this.#words
    const area = words[at + valueAt] as number
    const length = words[at + valueLength] as number
    words[at + valueAt] = words[at + belowAt] as number
    words[at + valueLength] = words[at + belowLength] as number
    words[at + belowAt] = area
    words[at + belowLength] = length
  }

  /** Takes over an entry of another table, where this one has none of its key. @returns its number here */
  adopt(other: EntryTable, id: number): number {
    const { arena } = other
    const start = other.keyStart(id)
    const own = this.make(other.hashFirst(id), other.hashSecond(id), arena, start, other.keyLength(id))
    if (other.isWritten(id)) {
      this.setValue(own, arena, other.belowStart(id), other.belowLength(id))
      this.begin(own)
    }
    this.setValue(own, arena, other.valueStart(id), other.valueLength(id))
    this.setWaiting(own, other.isWaiting(id))
    return own
  }

  // ---- the arena

  /** An area that takes so many bytes: this one, or a new one with room to grow. 0 is none. */
  #roomy(area: number, length: number): number {
    if (area === 0) return this.#area(length)
    const capacity = this.#arenaWords[area - 1] as number
    return length <= capacity ? area : this.#area(length + (length >> 1))
  }

  /** In front of its bytes stands how many it takes. */
  #area(length: number): number {
    const capacity = Math.ceil(length / unitBytes) * unitBytes
    const start = this.#arenaEnd + unitBytes
    const end = start + capacity
    if (end > this.#arena.length) this.#enlarge(end)
    const area = start / unitBytes
    this.#arenaWords[area - 1] = capacity
    this.#arenaEnd = end
    return area
  }

  #enlarge(end: number): void {
    invariant(end < arenaBytesMax, 'what a store has in memory stays below 4 GiB', { bytes: end })
    const bytes = Math.max(this.#arena.length * 2, Math.ceil(end / 1024) * 1024)
    const arena = Buffer.allocUnsafeSlow(Math.min(bytes, arenaBytesMax))
    this.#arena.copy(arena, 0, 0, this.#arenaEnd)
    this.#arena = arena
    this.#arenaWords = new Int32Array(arena.buffer)
  }
}
