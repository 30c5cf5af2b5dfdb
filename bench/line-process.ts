// A child process that is spoken to in lines: one line on its standard input, one line of JSON back. Standard error
// goes to a log file, whose end is shown when the process ends before it should.
import fs from 'node:fs'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { type GuardedProcess, spawnGuarded } from '../src/testing/kafka/guarded-process.ts'

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
  readonly onProgress: (text: string) => void
}

const logTailLines = 20

export class LineProcess {
  readonly #name: string
  readonly #logFile: string
  readonly #process: GuardedProcess
  readonly #input: Writable
  #waiting: Waiting | undefined
  #closing = false
  /** Rejects when the process ends without having been told to; never resolves. */
  readonly unexpectedEnd: Promise<never>

  private constructor(name: string, logFile: string, child: GuardedProcess) {
    this.#name = name
    this.#logFile = logFile
    this.#process = child
    const { stdin, stdout } = child.child
    if (stdin === null || stdout === null) throw new Error(`${name} was started without pipes`)
    this.#input = stdin
    // Writing to a process that just ended is reported by its end.
    stdin.on('error', () => undefined)
    createInterface({ input: stdout }).on('line', (line) => this.#receive(line))
    this.unexpectedEnd = child.ended.then(({ code, signal }) => {
      const error = new Error(`${name} ended (${signal ?? `exit code ${code}`})${this.#logTail()}`)
      this.#waiting?.reject(error)
      this.#waiting = undefined
      if (this.#closing) return new Promise<never>(() => undefined)
      throw error
    })
    // Whoever waits for something of this process races it against its end; nobody may be waiting at the time.
    this.unexpectedEnd.catch(() => undefined)
  }

  static async start(
    name: string,
    command: string,
    args: readonly string[],
    logFile: string,
  ): Promise<LineProcess> {
    const log = fs.openSync(logFile, 'a')
    try {
      const child = await spawnGuarded(command, args, { stdio: ['pipe', 'pipe', log] })
      return new LineProcess(name, logFile, child)
    } finally {
      fs.closeSync(log)
    }
  }

  /** Sends a line and resolves with the answer; one question at a time. @throws what the answer has as `error`. */
  ask(line: string, onProgress: (text: string) => void = () => undefined): Promise<unknown> {
    if (this.#waiting !== undefined) throw new Error(`${this.#name} was asked before it had answered`)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject, onProgress }
      this.#input.write(`${line}\n`)
    })
  }

  /** Tells it to close and waits until it has ended; after `graceMs` it is stopped by its pid. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true
    this.#input.end('close\n')
    const timer = setTimeout(() => void this.#process.stop(2000), graceMs)
    await this.#process.ended
    clearTimeout(timer)
  }

  #receive(line: string): void {
    // A library that prints to standard output is not talking to us.
    if (!line.startsWith('{')) return
    const answer = JSON.parse(line) as { progress?: string; error?: string }
    if (answer.progress !== undefined) {
      this.#waiting?.onProgress(answer.progress)
      return
    }
    const waiting = this.#waiting
    this.#waiting = undefined
    if (answer.error !== undefined) waiting?.reject(new Error(answer.error))
    else waiting?.resolve(answer)
  }

  #logTail(): string {
    const lines = fs.readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-logTailLines)
    return lines.join('') === '' ? '; it logged nothing' : `; the end of its log:\n${lines.join('\n')}`
  }
}
