// The digest of a set of entries: how many there are, and the sum of a 64-bit hash of each. It does not depend on their
// order and follows them one by one: the hash of an entry that comes is added, that of one that goes is subtracted.
//
// Why a lost, doubled, changed or swapped entry shows: the hash of an entry is a pseudo-random number of its key and
// value together, so each of these moves the sum by a difference of such numbers, which is zero once in 2^64. That
// takes a hash that is not linear: with CRCs or XORs alone the values of two keys could change places, or three errors
// cancel each other, without a trace. And it takes a key that is mixed into the value, not beside it: h(key) + h(value)
// would not notice a swap. So the hash of the key is the seed under which the value is hashed. It guards against faults,
// not against an adversary.
//
// The hash is two lanes of 32 bits, which is what integers of JavaScript multiply quickly. The first is MurmurHash3
// (x86, 32 bits; Austin Appleby, public domain) with seed 0 for the key. The second has the same structure with other
// multipliers, rotations and another finish, so that two inputs that meet in one lane do not meet in the other.

const secondSeed = 0x3c6ef372

const mixFirst = (word: number): number => {
  const product = Math.imul(word, 0xcc9e2d51)
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593)
}

const mixSecond = (word: number): number => {
  const product = Math.imul(word, 0x239b961b)
  return Math.imul((product << 16) | (product >>> 16), 0xab0e9789)
}

const stepFirst = (lane: number, word: number): number => {
  const mixed = lane ^ mixFirst(word)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

const stepSecond = (lane: number, word: number): number => {
  const mixed = lane ^ mixSecond(word)
  return (Math.imul((mixed << 19) | (mixed >>> 13), 5) + 0x561ccd1b) | 0
}

const finishFirst = (lane: number, length: number): number => {
  let hash = lane ^ length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

const finishSecond = (lane: number, length: number): number => {
  let hash = lane ^ length
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
  return hash ^ (hash >>> 16)
}

// What the last call of a hash function found: two numbers come back without an object per entry.
let first = 0
let second = 0

/** @param key one char (0-255) per byte */
const hashKey = (key: string): void => {
  const { length } = key
  const whole = length & ~3
  let one = 0
  let other = secondSeed
  let index = 0
  for (; index < whole; index += 4) {
    const word =
      key.charCodeAt(index) |
      (key.charCodeAt(index + 1) << 8) |
      (key.charCodeAt(index + 2) << 16) |
      (key.charCodeAt(index + 3) << 24)
    one = stepFirst(one, word)
    other = stepSecond(other, word)
  }
  if (index < length) {
    let rest = key.charCodeAt(index)
    if (index + 1 < length) rest |= key.charCodeAt(index + 1) << 8
    if (index + 2 < length) rest |= key.charCodeAt(index + 2) << 16
    one ^= mixFirst(rest)
    other ^= mixSecond(rest)
  }
  first = finishFirst(one, length)
  second = finishSecond(other, length)
}

const hashUnder = (
  seedOne: number,
  seedOther: number,
  bytes: Uint8Array,
  start: number,
  length: number,
): void => {
  const end = start + length
  const whole = start + (length & ~3)
  let one = seedOne
  let other = seedOther
  let index = start
  for (; index < whole; index += 4) {
    const word =
      (bytes[index] as number) |
      ((bytes[index + 1] as number) << 8) |
      ((bytes[index + 2] as number) << 16) |
      ((bytes[index + 3] as number) << 24)
    one = stepFirst(one, word)
    other = stepSecond(other, word)
  }
  if (index < end) {
    let rest = bytes[index] as number
    if (index + 1 < end) rest |= (bytes[index + 1] as number) << 8
    if (index + 2 < end) rest |= (bytes[index + 2] as number) << 16
    one ^= mixFirst(rest)
    other ^= mixSecond(rest)
  }
  first = finishFirst(one, length)
  second = finishSecond(other, length)
}

/** Hashes the bytes of a key, as `StateDigest.setKey` does; `hashedFirst` and `hashedSecond` have what comes out. */
export const hashBytes = (bytes: Uint8Array, start: number, length: number): void =>
  hashUnder(0, secondSeed, bytes, start, length)

/** A hash of a key of one char (0-255) per byte. */
export const hashText = (key: string): number => {
  hashKey(key)
  return first
}

export const hashedFirst = (): number => first

export const hashedSecond = (): number => second

const hex = (lane: number): string => (lane >>> 0).toString(16).padStart(8, '0')

const form = /^(\d{1,16})\.([0-9a-f]{8})([0-9a-f]{8})$/

export class StateDigest {
  #entries = 0
  #first = 0
  #second = 0
  // Hash of the key in hand.
  #keyFirst = 0
  #keySecond = 0

  /** The digest that this text names, or undefined where it names none. */
  static parse(text: string): StateDigest | undefined {
    const [, entries, one, other] = form.exec(text) ?? []
    if (entries === undefined || one === undefined || other === undefined) return undefined
    const digest = new StateDigest()
    digest.#entries = Number(entries)
    digest.#first = Number.parseInt(one, 16) | 0
    digest.#second = Number.parseInt(other, 16) | 0
    return Number.isSafeInteger(digest.#entries) ? digest : undefined
  }

  /** `<number of entries>.<16 hexadecimal digits>` */
  get text(): string {
    return `${this.#entries}.${hex(this.#first)}${hex(this.#second)}`
  }

  get entries(): number {
    return this.#entries
  }

  become(other: StateDigest): void {
    this.#entries = other.#entries
    this.#first = other.#first
    this.#second = other.#second
  }

  /** The key of the entry that `add` and `remove` speak of; one char (0-255) per byte. */
  setKey(key: string): void {
    hashKey(key)
    this.#keyFirst = first
    this.#keySecond = second
  }

  /** The key that was hashed like this. */
  setHashedKey(one: number, other: number): void {
    this.#keyFirst = one
    this.#keySecond = other
  }

  /** The key has this value from now on, and had none before. */
  add(value: Uint8Array, start: number = 0, length: number = value.length): void {
    hashUnder(this.#keyFirst, this.#keySecond, value, start, length)
    this.#entries++
    this.#first = (this.#first + first) | 0
    this.#second = (this.#second + second) | 0
  }

  /** The key had this value, and has none any more. */
  remove(value: Uint8Array, start: number = 0, length: number = value.length): void {
    hashUnder(this.#keyFirst, this.#keySecond, value, start, length)
    this.#entries--
    this.#first = (this.#first - first) | 0
    this.#second = (this.#second - second) | 0
  }
}
