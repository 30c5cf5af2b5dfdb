// The terminal under `millstream dev`: lines that scroll by, below them a picture that is drawn over, below that what
// the user is typing. Where standard output is no terminal there is no picture.
import process from 'node:process'
import { createInterface, type Interface } from 'node:readline'

export interface Screen {
  /** Whether pictures can be drawn. */
  readonly drawn: boolean
  /** Writes whole lines above the picture. */
  print(text: string): void
  draw(lines: readonly string[]): void
  /** Lines that are piped in or typed, until their end or `endInput`. */
  typedLines(): AsyncIterable<string>
  endInput(): void
  /** Ends the input and leaves the last picture where it is; lines may still follow. */
  close(): void
}

const up = (rows: number): string => (rows > 0 ? `\x1b[${rows}A` : '')
const eraseBelow = '\r\x1b[J'

/** A picture line must not wrap, or the rows above it would be counted wrongly. */
const clip = (text: string, columns: number): string =>
  text.length < columns ? text : `${text.slice(0, Math.max(0, columns - 2))}…`

class TerminalScreen implements Screen {
  readonly drawn = process.stdout.isTTY === true
  readonly #interactive = this.drawn && process.stdin.isTTY === true
  #input: Interface | undefined
  #inputEnded = false
  /** Rows between the beginning of the picture and the cursor. */
  #rows = 0
  #picture: readonly string[] = []

  print(text: string): void {
    if (!this.drawn) {
      process.stderr.write(text)
      return
    }
    this.#erase()
    process.stdout.write(text)
    this.#paint()
  }

  draw(lines: readonly string[]): void {
    if (
      !this.drawn ||
      (lines.length === this.#picture.length && lines.every((line, at) => line === this.#picture[at]))
    )
      return
    this.#erase()
    this.#picture = lines
    this.#paint()
  }

  async *typedLines(): AsyncIterable<string> {
    if (this.#inputEnded) return
    this.#input = createInterface({
      input: process.stdin,
      ...(this.#interactive ? { output: process.stdout, prompt: 'type: ', terminal: true } : {}),
    })
    // In raw mode the terminal sends no signal: readline sees the key.
    this.#input.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
    this.#input.on('close', () => {
      this.#inputEnded = true
    })
    if (this.#interactive) this.#input.prompt()
    for await (const line of this.#input) {
      if (this.#inputEnded && this.#interactive) return
      // Enter moved the cursor to a row of its own.
      if (this.#interactive) {
        this.#rows++
        this.print('')
      }
      yield line
    }
  }

  endInput(): void {
    if (this.#input === undefined || this.#inputEnded) {
      this.#inputEnded = true
      return
    }
    if (this.drawn) this.#erase()
    this.#input.close()
    process.stdin.pause()
    if (this.drawn) this.#paint()
  }

  close(): void {
    this.endInput()
    this.#picture = []
    this.#rows = 0
  }

  #erase(): void {
    process.stdout.write(`${up(this.#rows)}${eraseBelow}`)
    this.#rows = 0
  }

  #paint(): void {
    const columns = process.stdout.columns ?? 80
    const rows = Math.max(0, (process.stdout.rows ?? 24) - 2)
    const lines = this.#picture.slice(0, rows).map((line) => clip(line, columns))
    process.stdout.write(lines.map((line) => `${line}\n`).join(''))
    this.#rows = lines.length
    if (this.#interactive && !this.#inputEnded) this.#input?.prompt(true)
  }
}

export const createScreen = (): Screen => new TerminalScreen()
