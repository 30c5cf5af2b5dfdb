// What a join need not look for. A record of a join mostly meets nobody: to find that out takes a scan per stretch of time,
// which costs more than all the rest of it. So the keys of the records that were kept are noted in memory, by side and
// stretch: of those stretches that had none when the notes began, which are all that come later. A transaction that is
// aborted leaves notes behind that are true of nothing, and cost a scan.
import type { PerSide, Side } from './join-entries.ts'
import { KeySet } from './key-set.ts'

/** A stretch with more keys is scanned like those of which nothing is noted: 8 bytes each are enough. */
const keysMax = 1_000_000

export class JoinFilter {
  /** Of which store: it begins anew when something else than the join changed it. */
  readonly loads: number
  /** Keys by the start of their stretch. Undefined: they were too many. */
  readonly #notes: PerSide<Map<number, KeySet | undefined>> = [new Map(), new Map()]
  /** Nothing is noted of the stretches that begin there or earlier. */
  readonly #knownAfter: [number, number]

  /** @param knownAfter the last stretch in which a side may have a record by now; -1: none */
  constructor(loads: number, knownAfter: PerSide<number>) {
    this.loads = loads
    this.#knownAfter = [...knownAfter]
  }

  /** A record of this key is kept. @param goneBefore stretches that begin earlier are asked for no more */
  note(side: Side, start: number, key: string, goneBefore: number): void {
    if (start <= this.#knownAfter[side]) return
    const notes = this.#notes[side]
    if (!notes.has(start)) {
      this.#forget(side, goneBefore)
      notes.set(start, new KeySet())
    }
    const keys = notes.get(start)
    keys?.add(key)
    if (keys !== undefined && keys.size > keysMax) notes.set(start, undefined)
  }

  /** An abort may take time back, and such a stretch be asked for again: it is scanned then. */
  #forget(side: Side, goneBefore: number): void {
    const notes = this.#notes[side]
    for (const start of notes.keys()) {
      if (start >= goneBefore) continue
      notes.delete(start)
      this.#knownAfter[side] = Math.max(this.#knownAfter[side], start)
    }
  }

  /** Whether this side has no record of this key in the stretch, for sure. */
  excludes(side: Side, start: number, key: string): boolean {
    if (start <= this.#knownAfter[side]) return false
    const notes = this.#notes[side]
    if (!notes.has(start)) return true
    return notes.get(start)?.has(key) === false
  }
}
