// The work of a task that is done in portions between its records: what closes or expires when time moves on can be more
// than a record may take. A portion is atomic like a record. What is left follows from the stores alone, so nothing is
// kept here but who may have something to do.
import type { PortionedWork } from '../topology/contracts.ts'

const entriesPerPortion = 256

interface Pending {
  readonly work: PortionedWork
  waits: boolean
}

export class PortionList {
  readonly #list: Pending[] = []
  #waiting = false
  /** Whose portion was the last one. */
  #last: Pending | undefined
  /** Its last portion failed: the next one is a single entry of it. */
  #failed: Pending | undefined
  /** That entry is dropped. */
  #drop = false

  /** Whether somebody may have something to do. */
  get waiting(): boolean {
    return this.#waiting
  }

  /** @returns what wakes it */
  add(work: PortionedWork): () => void {
    const pending: Pending = { work, waits: true }
    this.#list.push(pending)
    this.#waiting = true
    return () => {
      pending.waits = true
      this.#waiting = true
    }
  }

  /** Does a portion of the one that failed, or of the first one that waits. */
  run(): void {
    const pending = this.#failed ?? this.#list.find(({ waits }) => waits)
    if (pending !== undefined) {
      this.#last = pending
      const isSingle = pending === this.#failed
      const more = pending.work.portion(isSingle ? 1 : entriesPerPortion, isSingle && this.#drop)
      this.#failed = undefined
      this.#drop = false
      pending.waits = more
    }
    this.#waiting = this.#list.some(({ waits }) => waits)
  }

  /**
   * The last portion failed and is to be skipped: entries are done one by one until the one that fails is found and dropped.
   * @returns whether one is dropped
   */
  skipFailed(): boolean {
    this.#drop = this.#failed !== undefined && this.#failed === this.#last
    this.#failed = this.#last
    return this.#drop
  }

  /** What was done may be undone: everybody looks again. */
  wakeAll(): void {
    this.#failed = undefined
    this.#drop = false
    for (const pending of this.#list) {
      pending.work.rewound?.()
      pending.waits = true
    }
    this.#waiting = this.#list.length > 0
  }
}
