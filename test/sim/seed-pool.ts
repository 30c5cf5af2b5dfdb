// Runs many seeds on several threads.
import os from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import type { SeedOrder, SeedResult } from './seed-thread.ts'

/** A run makes much that is soon gone: with a large nursery little of it is ever looked at again. */
const nurseryMb = 64

export const threadsOfMachine = (): number => Math.max(1, Math.min(8, os.availableParallelism()))

export class SeedPool implements AsyncDisposable {
  readonly #threads: readonly Worker[]

  constructor(threads: number) {
    this.#threads = Array.from(
      { length: threads },
      () =>
        new Worker(path.join(import.meta.dirname, 'seed-thread.ts'), {
          resourceLimits: { maxYoungGenerationSizeMb: nurseryMb },
        }),
    )
  }

  /**
   * Runs the seeds in any order.
   * @param onResult told of each; false ends it early
   */
  async run(
    orders: Iterable<SeedOrder>,
    onResult: (result: SeedResult) => boolean | undefined,
  ): Promise<void> {
    const waiting = orders[Symbol.iterator]()
    let isOver = false
    const work = async (thread: Worker): Promise<void> => {
      while (!isOver) {
        const next = waiting.next()
        if (next.done === true) return
        if (onResult(await runOn(thread, next.value)) === false) isOver = true
      }
    }
    await Promise.all(this.#threads.map(work))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()))
  }
}

const runOn = (thread: Worker, order: SeedOrder): Promise<SeedResult> =>
  new Promise((resolve, reject) => {
    const ended = (error: unknown): void => {
      thread.off('message', answered)
      reject(error)
    }
    const answered = (result: SeedResult): void => {
      thread.off('error', ended)
      resolve(result)
    }
    thread.once('error', ended)
    thread.once('message', answered)
    thread.postMessage(order)
  })
