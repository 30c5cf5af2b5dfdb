// Time and CPU of a contestant in Node, and the words it takes on standard input: `result` (the last record's
// transaction is committed: print the figures) and `close`.
import { createInterface } from 'node:readline'

/** Counts the records seen; time and CPU run from the first one after the warm-up. */
export class Stopwatch {
  readonly #warmUpRecords: number
  #seen = 0
  #startMs = 0
  #startCpu: NodeJS.CpuUsage = { user: 0, system: 0 }

  constructor(warmUpRecords: number) {
    this.#warmUpRecords = warmUpRecords
  }

  /** One record more. */
  record(): void {
    if (this.#seen++ === this.#warmUpRecords) this.#start()
  }

  /** `count` records more. */
  records(count: number): void {
    const before = this.#seen
    this.#seen += count
    if (before <= this.#warmUpRecords && this.#seen > this.#warmUpRecords) this.#start()
  }

  /** One line of JSON; `cpuSeconds` is user and system time of the whole process, all its threads. */
  result(): string {
    const seconds = (performance.now() - this.#startMs) / 1000
    const cpu = process.cpuUsage(this.#startCpu)
    const cpuSeconds = (cpu.user + cpu.system) / 1e6
    return JSON.stringify({ records: this.#seen - this.#warmUpRecords, seconds, cpuSeconds })
  }

  #start(): void {
    this.#startCpu = process.cpuUsage()
    this.#startMs = performance.now()
  }
}

/** Answers the words on standard input until `close` or its end; resolves then. */
export const serveUntilClosed = async (stopwatch: Stopwatch): Promise<void> => {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'result') process.stdout.write(`${stopwatch.result()}\n`)
    if (line === 'close') return
  }
}
