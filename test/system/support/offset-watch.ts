// I9: a committed position never goes back. Looks at the offsets of a group all the time, since the end shows only where
// they came to.
import { setTimeout as sleep } from 'node:timers/promises'
import type { GroupOffset } from '../../support/judge.ts'

export interface WentBack {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** What became of the offsets from one look to the next. */
export class OffsetHistory {
  readonly wentBack: WentBack[] = []
  looks = 0
  readonly #last = new Map<string, number>()

  take(offsets: readonly GroupOffset[]): void {
    this.looks++
    for (const { topic, partition, offset } of offsets) {
      const id = `${topic}/${partition}`
      const from = this.#last.get(id) ?? -1
      if (offset < from) this.wentBack.push({ topic, partition, from, to: offset })
      this.#last.set(id, offset)
    }
  }
}

const everyMs = 200

export class OffsetWatch {
  readonly history = new OffsetHistory()
  readonly #look: () => Promise<readonly GroupOffset[]>
  readonly #stopped = new AbortController()
  readonly #running: Promise<void>

  /** @param look asks for all offsets; where it fails (no broker, no group yet) it is asked again */
  constructor(look: () => Promise<readonly GroupOffset[]>) {
    this.#look = look
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const offsets = await this.#look().catch(() => [])
      this.history.take(offsets)
      await sleep(everyMs, undefined, { signal }).catch(() => undefined)
    }
  }
}
