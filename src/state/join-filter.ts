// What a join need not look for. A record of a join mostly meets nobody: to find that out takes a scan per stretch of time,
// which costs more than all the rest of it. So the keys of the records that were kept are noted in memory, by side and
// stretch: of those stretches that had none when the notes began, which are all that come later. A transaction that is
// aborted leaves notes behind that are true of nothing, and cost a scan.
import type { PerSide, Side } from './join-entries.ts'
import { KeySet } from './key-set.ts'

/** Of one side, 8 bytes each: beyond it the earliest stretches are forgotten, and scanned like those before the notes. */
const keysMax = 250_000
/** Records rarely look back further; with a grace of many windows there may be any number. */
const stretchesMax = 64

/** Of one side. */
class Notes {
  /** Keys by the start of their stretch. */
  readonly #stretches = new Map<number, KeySet>()
  #size = 0
  /** Nothing is noted of the stretches that begin there or earlier. */
  #knownAfter: number

  constructor(knownAfter: number) {
    this.#knownAfter = knownAfter
  }

  note(start: number, key: string): void {
    if (start <= this.#knownAfter) return
    let keys = this.#stretches.get(start)
    if (keys === undefined) {
      keys = new KeySet()
      this.#stretches.set(start, keys)
    }
    const before = keys.size
    keys.add(key)
    this.#size += keys.size - before
    while (this.#size > keysMax || this.#stretches.size > stretchesMax) this.#forgetEarliest()
  }

  #forgetEarliest(): void {
    const earliest = Math.min(...this.#stretches.keys())
    this.#size -= this.#stretches.get(earliest)?.size ?? 0
    this.#stretches.delete(earliest)
    this.#knownAfter = earliest
  }

  excludes(start: number, key: string): boolean {
    return start > this.#knownAfter && this.#stretches.get(start)?.has(key) !== true
  }
}

export class JoinFilter {
  /** Of which state of the store: the notes begin anew when something else than the join changed it. */
  readonly loads: number
  readonly #notes: PerSide<Notes>

  /** @param knownAfter the last stretch in which a side may have a record by now; -1: none */
  constructor(loads: number, knownAfter: PerSide<number>) {
    this.loads = loads
    this.#notes = [new Notes(knownAfter[0]), new Notes(knownAfter[1])]
  }

  /** A record of this key is kept. */
  note(side: Side, start: number, key: string): void {
    this.#notes[side].note(start, key)
  }

  /** Whether this side has no record of this key in the stretch, for sure. */
  excludes(side: Side, start: number, key: string): boolean {
    return this.#notes[side].excludes(start, key)
  }
}
