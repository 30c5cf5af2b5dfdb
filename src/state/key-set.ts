// A set of keys by a hash of 32 bits each, in flat memory. It may answer yes for a key that was never added, as seldom as two
// of them have one hash; it never answers no for one that was.
import { oddSalt } from './odd-salt.ts'
import { hashText } from './state-digest.ts'

const salt = oddSalt()

export class KeySet {
  /** Hashes; 0 is free. Their number is a power of two, at most two thirds of them taken. */
  #hashes = new Int32Array(16)
  #slotShift = 32 - 4
  #size = 0

  get size(): number {
    return this.#size
  }

  has(key: string): boolean {
    const hash = hashOf(key)
    return this.#hashes[this.#slotOf(hash)] === hash
  }

  add(key: string): void {
    const hash = hashOf(key)
    const slot = this.#slotOf(hash)
    if (this.#hashes[slot] === hash) return
    this.#hashes[slot] = hash
    this.#size++
    if (this.#size * 3 > this.#hashes.length * 2) this.#widen()
  }

  #slotOf(hash: number): number {
    const hashes = this.#hashes
    const mask = hashes.length - 1
    let slot = Math.imul(hash, salt) >>> this.#slotShift
    while (hashes[slot] !== 0 && hashes[slot] !== hash) slot = (slot + 1) & mask
    return slot
  }

  #widen(): void {
    const hashes = this.#hashes
    this.#hashes = new Int32Array(hashes.length * 2)
    this.#slotShift -= 1
    for (const hash of hashes) if (hash !== 0) this.#hashes[this.#slotOf(hash)] = hash
  }
}

/** Never 0. */
const hashOf = (key: string): number => hashText(key) || 1
