// Lets the worker loop sleep until something happens: data arrived, the group changed, the worker is to close.
import type { Ports, TimerHandle } from '../base/ports.ts'

export class Wakeup {
  readonly #ports: Ports
  readonly #stopped = new AbortController()
  #pending = false
  #resolve: (() => void) | undefined

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** Ends the wait under way, or else the next one at once. */
  notify(): void {
    this.#pending = true
    this.#resolve?.()
  }

  /** Waits for `notify`, at most `delayMs`; timers and sockets get a turn in any case. */
  async wait(delayMs: number): Promise<void> {
    if (this.#pending || !(delayMs > 0)) await this.#ports.timers.yield()
    else {
      let timer: TimerHandle | undefined
      await new Promise<void>((resolve) => {
        this.#resolve = resolve
        timer = this.#ports.timers.set(resolve, delayMs)
      })
      this.#resolve = undefined
      if (timer !== undefined) this.#ports.timers.clear(timer)
    }
    this.#pending = false
  }

  /** Waits the whole time, unless `stop` was called. */
  async pause(delayMs: number): Promise<void> {
    await this.#ports.timers.sleep(delayMs, this.#stopped.signal)
  }

  /** No pause lasts any longer. */
  stop(): void {
    this.#stopped.abort()
    this.notify()
  }
}
