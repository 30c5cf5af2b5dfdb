// What the tables of a task hold back until the commit: told before it collects the changes of the stores, in portions
// that are atomic like records.
import type { MillstreamError } from '../errors.ts'
import { HeldBack } from '../topology/held-back.ts'

const entriesPerPortion = 256

export class CommitHolds {
  readonly #list: HeldBack[] = []
  readonly #names = new Map<string, HeldBack>()

  /** Of the table in this store. */
  of(store: string): HeldBack {
    const known = this.#names.get(store)
    if (known !== undefined) return known
    const made = new HeldBack()
    this.#names.set(store, made)
    this.#list.push(made)
    return made
  }

  mark(): void {
    for (let index = 0; index < this.#list.length; index++) (this.#list[index] as HeldBack).mark()
  }

  undo(): void {
    for (const held of this.#list) held.undo()
  }

  forget(): void {
    for (const held of this.#list) held.forget()
  }

  /**
   * Tells all that is held: a table before those that are made of it, whose nodes come after its own.
   * @param turn does the work as a record, and answers why it failed where that is to be skipped
   * @param skipped a key is not told
   */
  tellAll(
    turn: (work: () => void) => MillstreamError | undefined,
    skipped: (failure: MillstreamError) => void,
  ): void {
    for (const held of this.#list) {
      let entriesMax = entriesPerPortion
      while (held.size > 0) {
        const failure = turn(() => held.tellNext(entriesMax))
        if (failure === undefined) continue
        // One by one from here on, until the one that fails is found and dropped.
        if (entriesMax === 1) {
          held.dropFailed()
          skipped(failure)
        }
        entriesMax = 1
      }
    }
  }
}
