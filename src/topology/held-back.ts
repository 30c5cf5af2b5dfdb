// What a table that is told per commit holds back in one task, in memory: of each key its last change.
import type { RecordHeader } from '../record/record-cursor.ts'

/** A key that changed in the open transaction. */
export interface Held {
  readonly key: unknown
  readonly before: unknown
  readonly after: unknown
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}

/** What a table holds back in one task. A record that is undone leaves nothing in it. */
export class HeldBack {
  /** In the order of their last changes. */
  readonly #held = new Map<string, Held>()
  readonly #undoIds: string[] = []
  readonly #undoHeld: (Held | undefined)[] = []
  #undoCount = 0
  #telling = ''
  #tell: (held: Held) => void = () => undefined

  get size(): number {
    return this.#held.size
  }

  /** Who tells what is held. */
  toldBy(tell: (held: Held) => void): void {
    this.#tell = tell
  }

  find(id: string): Held | undefined {
    return this.#held.get(id)
  }

  hold(id: string, held: Held): void {
    const known = this.#held.get(id)
    this.#note(id, known)
    if (known !== undefined) this.#held.delete(id)
    this.#held.set(id, known === undefined ? held : { ...held, before: known.before })
  }

  /** Begins a record: what is held from here on can be taken back by `undo`. */
  mark(): void {
    this.#undoCount = 0
  }

  undo(): void {
    for (let index = this.#undoCount - 1; index >= 0; index--) {
      const id = this.#undoIds[index] as string
      const before = this.#undoHeld[index]
      if (before === undefined) this.#held.delete(id)
      else this.#held.set(id, before)
    }
    this.#undoCount = 0
  }

  /** The transaction is aborted. */
  forget(): void {
    this.#held.clear()
    this.#undoCount = 0
  }

  /** Tells the next keys, at most so many. */
  tellNext(entriesMax: number): void {
    let count = 0
    for (const [id, held] of this.#held) {
      if (count++ === entriesMax) return
      this.#telling = id
      this.#note(id, held)
      this.#held.delete(id)
      this.#tell(held)
    }
  }

  /** The key that was told last failed, and is not told. */
  dropFailed(): void {
    this.#held.delete(this.#telling)
  }

  #note(id: string, held: Held | undefined): void {
    this.#undoIds[this.#undoCount] = id
    this.#undoHeld[this.#undoCount] = held
    this.#undoCount += 1
  }
}
