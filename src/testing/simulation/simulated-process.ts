// A process inside of a simulation: the ports that its code gets, and what becomes of them when it is stopped or killed.
// A killed process is inert from that moment on: whatever its code still does reaches neither network nor disk, and no
// timer of it fires again.
import type { Clock, Disk, Net, Ports, TimerHandle, Timers } from '../../base/ports.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { Owner, SimulatedEvent, VirtualTime } from './virtual-time.ts'

/** Wall-clock time at the beginning of each simulation: 2026-01-01. */
export const epochMs = 1_767_225_600_000
/** A turn of the event loop. */
const turnMs = 0.005

export interface ProcessOptions {
  readonly name: string
  readonly time: VirtualTime
  readonly random: SeededRandom
  /** How long the work between two looks at the clock takes. */
  readonly costMs: number
  /** How far the wall clock of its machine is off. */
  readonly skewMs: () => number
}

export class SimulatedProcess implements Owner {
  readonly name: string
  readonly #time: VirtualTime
  readonly #options: ProcessOptions
  readonly #held: SimulatedEvent[] = []
  readonly #whenDead: (() => void)[] = []
  #state: Owner['state'] = 'running'

  constructor(options: ProcessOptions) {
    this.name = options.name
    this.#time = options.time
    this.#options = options
  }

  get state(): Owner['state'] {
    return this.#state
  }

  hold(event: SimulatedEvent): void {
    this.#held.push(event)
  }

  /** Runs code of a process that is stopped, when it goes on. */
  later(run: () => void): void {
    const { nowMs } = this.#time
    this.hold({ atMs: nowMs, number: 0, owner: this, run })
  }

  /** As SIGSTOP does. */
  pause(): void {
    if (this.#state === 'running') this.#state = 'paused'
  }

  /** As SIGCONT does: what came meanwhile is dealt with now, in the order in which it came. */
  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    for (const { run } of this.#held.splice(0)) {
      if (run !== undefined) this.#time.schedule(0, this, run)
    }
  }

  /** As SIGKILL does. */
  kill(): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#held.length = 0
    for (const act of this.#whenDead.splice(0)) act()
  }

  whenDead(act: () => void): void {
    this.#whenDead.push(act)
  }

  /** Runs code of this process, as an event of its own. */
  enter(run: () => void): void {
    this.#time.schedule(0, this, run)
  }

  ports(net: Net, disk: Disk): Ports {
    return { clock: this.#clock(), timers: this.#timers(), random: this.#options.random, net, disk }
  }

  #clock(): Clock {
    const { time, costMs, skewMs } = this.#options
    return {
      now: () => Math.floor(epochMs + time.nowMs + skewMs()),
      monotonic: () => {
        if (this.#state === 'running') time.spend(costMs)
        return time.nowMs
      },
    }
  }

  #timers(): Timers {
    const time = this.#time
    const set = (callback: () => void, delayMs: number): TimerHandle =>
      this.#state === 'dead' ? {} : time.schedule(delayMs, this, callback)
    const clear = (handle: TimerHandle): void => {
      if ('run' in handle) time.cancel(handle as SimulatedEvent)
    }
    const sleep = (delayMs: number, signal?: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve()
        const done = (): void => {
          clear(handle)
          signal?.removeEventListener('abort', done)
          resolve()
        }
        const handle = set(done, delayMs)
        signal?.addEventListener('abort', done, { once: true })
      })
    return { set, clear, sleep, yield: () => new Promise((resolve) => void set(resolve, turnMs)) }
  }
}
