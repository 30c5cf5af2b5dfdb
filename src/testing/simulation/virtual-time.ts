// The time of a simulation and all that happens in it: one queue of events, run one after the other in one thread. Between
// two of them every promise that can settle has settled, so that the same seed gives the same run.
import process from 'node:process'

/** Whose event it is: one of a process that is dead is dropped, one of a process that is stopped waits. */
export interface Owner {
  readonly state: 'running' | 'paused' | 'dead'
  /** It is to be run when the owner goes on. */
  hold(event: SimulatedEvent): void
}

export interface SimulatedEvent {
  readonly atMs: number
  readonly number: number
  readonly owner: Owner | undefined
  /** Undefined once it was cancelled. */
  run: (() => void) | undefined
}

/** Cancelled events are thrown out of the queue when there are more of them than this, and than others. */
const cancelledMax = 512

const isBefore = (one: SimulatedEvent, other: SimulatedEvent): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.number < other.number)

export class VirtualTime {
  #nowMs = 0
  #number = 0
  #ran = 0
  #cancelled = 0
  /** A binary heap. */
  #heap: SimulatedEvent[] = []
  #current: Owner | undefined

  /** Since the simulation began, ms with a fraction. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** How many events were run. */
  get ran(): number {
    return this.#ran
  }

  /** Whose event is being run, with the promises that settle after it. */
  get current(): Owner | undefined {
    return this.#current
  }

  /** Work takes time: whatever is due meanwhile is late. */
  spend(ms: number): void {
    this.#nowMs += ms
  }

  schedule(delayMs: number, owner: Owner | undefined, run: () => void): SimulatedEvent {
    return this.scheduleAt(this.#nowMs + Math.max(0, delayMs), owner, run)
  }

  scheduleAt(atMs: number, owner: Owner | undefined, run: () => void): SimulatedEvent {
    const event = { atMs, number: this.#number++, owner, run }
    this.#push(event)
    return event
  }

  cancel(event: SimulatedEvent): void {
    if (event.run === undefined) return
    event.run = undefined
    this.#cancelled++
    if (this.#cancelled > cancelledMax && this.#cancelled * 2 > this.#heap.length) this.#clean()
  }

  /** Runs events until `done` says so, asked after each. @throws what an event threw; an Error when nothing is left */
  run(done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          if (done()) return resolve()
          this.#runNext()
        } catch (error) {
          return reject(error)
        }
        // The queue of ticks goes on only when no microtask is left. The event loop has no turn before the end: no real
        // timer, of the client library for one, can get in between.
        queueMicrotask(() => process.nextTick(step))
      }
      step()
    })
  }

  #runNext(): void {
    const event = this.#pop()
    if (event === undefined) throw new Error('nothing is left to happen in this simulation')
    const { run, owner, atMs } = event
    if (run === undefined) {
      this.#cancelled--
      return
    }
    if (owner?.state === 'paused') return owner.hold(event)
    if (owner?.state === 'dead') return
    if (atMs > this.#nowMs) this.#nowMs = atMs
    this.#ran++
    this.#current = owner
    event.run = undefined
    run()
  }

  #clean(): void {
    const left = this.#heap.filter(({ run }) => run !== undefined)
    this.#heap = []
    this.#cancelled = 0
    for (const event of left) this.#push(event)
  }

  #push(event: SimulatedEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent] as SimulatedEvent)) break
      heap[at] = heap[parent] as SimulatedEvent
      at = parent
    }
    heap[at] = event
  }

  #pop(): SimulatedEvent | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      const right = child + 1
      if (right < heap.length && isBefore(heap[right] as SimulatedEvent, heap[child] as SimulatedEvent))
        child = right
      if (!isBefore(heap[child] as SimulatedEvent, last)) break
      heap[at] = heap[child] as SimulatedEvent
      at = child
    }
    heap[at] = last
    return first
  }
}
