// What happens in a simulation, line by line: kept for whoever asks for it, and always reduced to a digest, so that two
// runs of one seed can be compared.
import type { VirtualTime } from './virtual-time.ts'

export class Trace {
  readonly lines: string[] = []
  readonly #time: VirtualTime
  readonly #isKept: boolean
  #hash = 0x811c9dc5

  constructor(time: VirtualTime, isKept: boolean) {
    this.#time = time
    this.#isKept = isKept
  }

  /** Whether somebody wants to read it: whoever would have to build a long line asks first. */
  get isKept(): boolean {
    return this.#isKept
  }

  /** Of all lines so far, in order. */
  get digest(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  add(who: string, text: string): void {
    const at = this.#time.nowMs.toFixed(3)
    this.#mix(at)
    this.#mix(who)
    this.#mix(text)
    if (this.#isKept) this.lines.push(`${at.padStart(12)} ${who.padEnd(8)} ${text}`)
  }

  #mix(text: string): void {
    let hash = this.#hash
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
    this.#hash = hash
  }
}
