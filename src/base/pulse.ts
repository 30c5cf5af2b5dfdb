// What the main thread of a worker shows of itself to a thread beside it, in shared memory: that it moves, and which task
// it has in hand. Both sides are here: the `Pulse` of the main thread and the `StandstillWatch` of the other.
//
// Two counters move: `slice`, at the beginning (odd from then on) and at the end of each slice of processing, and
// `answers`, whenever a question of the watcher is answered, also while the loop waits for a broker. Nothing is written
// per record. When neither has moved for long, something holds the thread; within a slice it is a task.
//
// Only counts are shared, never times: the monotonic clocks of two threads begin at different moments.

/** Places in the shared memory, 32 bits each. */
const cell = { slice: 0, task: 1, answers: 2, blockedTimes: 3, blockedMs: 4 } as const

/** How often and how long (ms) the main thread stood still. */
export interface Blocked {
  readonly times: number
  readonly ms: number
}

/** The main thread's side. */
export class Pulse {
  readonly memory: SharedArrayBuffer = new SharedArrayBuffer(4 * Object.keys(cell).length)
  readonly #cells = new Int32Array(this.memory)
  readonly #indexes = new Map<string, number>()
  #slice = 0

  /** The ids of all tasks; the watcher is told which by their index. */
  know(tasks: readonly string[]): void {
    for (const [index, id] of tasks.entries()) this.#indexes.set(id, index)
  }

  /** A slice of processing begins. */
  begin(): void {
    this.#slice = (this.#slice + 1) | 1
    Atomics.store(this.#cells, cell.slice, this.#slice)
  }

  /** From now on it is this task that works. */
  enter(task: string): void {
    Atomics.store(this.#cells, cell.task, this.#indexes.get(task) ?? -1)
  }

  end(): void {
    this.#slice = (this.#slice + 1) & ~1
    Atomics.store(this.#cells, cell.slice, this.#slice)
  }

  /** The watcher has asked whether events are still dealt with. */
  answer(): void {
    Atomics.add(this.#cells, cell.answers, 1)
  }

  /** Since the start, as far as it was noticed; it grows also while it lasts. */
  get blocked(): Blocked {
    return {
      times: Atomics.load(this.#cells, cell.blockedTimes),
      ms: Atomics.load(this.#cells, cell.blockedMs),
    }
  }
}

export interface Standstill {
  readonly ms: number
  /** Index of the task in hand; undefined outside of processing. */
  readonly task: number | undefined
}

export interface WatchOptions {
  /** How often look() is called. */
  readonly lookEveryMs: number
  /** A standstill of this length is one. */
  readonly blockedAfterMs: number
}

/** The side of the thread that watches. */
export class StandstillWatch {
  readonly #cells: Int32Array
  readonly #options: WatchOptions
  #slice: number
  #answers: number
  #sinceMs: number
  #lookedAtMs: number
  #current: { readonly task: number | undefined; ms: number } | undefined
  #pastMs = 0

  /** @param nowMs on the monotonic clock of this thread, here and below */
  constructor(memory: SharedArrayBuffer, options: WatchOptions, nowMs: number) {
    this.#cells = new Int32Array(memory)
    this.#options = options
    this.#slice = Atomics.load(this.#cells, cell.slice)
    this.#answers = Atomics.load(this.#cells, cell.answers)
    this.#sinceMs = nowMs
    this.#lookedAtMs = nowMs
  }

  /** How many questions were answered, as of the last look. */
  get answers(): number {
    return this.#answers
  }

  /** For how long nothing has moved, as of the last look. */
  get standsMs(): number {
    return this.#lookedAtMs - this.#sinceMs
  }

  /** @returns a standstill that has just become one, or has just ended. */
  look(nowMs: number): { readonly began: Standstill } | { readonly ended: Standstill } | undefined {
    // A process that was stopped, a machine that slept: this thread did not run either, and says nothing of the other.
    const unseenMs = nowMs - this.#lookedAtMs - 3 * this.#options.lookEveryMs
    if (unseenMs > 0) this.#sinceMs += unseenMs
    this.#lookedAtMs = nowMs
    const slice = Atomics.load(this.#cells, cell.slice)
    const answers = Atomics.load(this.#cells, cell.answers)
    if (slice !== this.#slice || answers !== this.#answers) {
      this.#slice = slice
      this.#answers = answers
      this.#sinceMs = nowMs
      return this.#end()
    }
    if (this.standsMs < this.#options.blockedAfterMs) return undefined
    return this.#stand(slice)
  }

  #stand(slice: number): { readonly began: Standstill } | undefined {
    const isNew = this.#current === undefined
    if (isNew) Atomics.add(this.#cells, cell.blockedTimes, 1)
    const task = Atomics.load(this.#cells, cell.task)
    this.#current ??= { task: slice % 2 === 0 || task < 0 ? undefined : task, ms: 0 }
    this.#current.ms = Math.trunc(this.standsMs)
    Atomics.store(this.#cells, cell.blockedMs, this.#pastMs + this.#current.ms)
    return isNew ? { began: { ...this.#current } } : undefined
  }

  #end(): { readonly ended: Standstill } | undefined {
    const ended = this.#current
    if (ended === undefined) return undefined
    this.#pastMs += ended.ms
    this.#current = undefined
    return { ended }
  }
}
