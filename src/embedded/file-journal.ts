// A journal in a file: one line of JSON for each value that was put. Whoever reads it again takes the last line of each
// key, so that a process that was killed loses at most the line that it was writing. The file is written anew when it
// holds many more lines than keys.
import type { Disk, FileAppender } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'
import { type Journal, MemoryJournal } from './journal.ts'

type Line = readonly [kind: string, key: string, value: unknown]

const newline = '\n'
/** Lines beyond twice the number of keys before the file is written anew. */
const spareLines = 10_000

const lineOf = (line: Line): string => `${JSON.stringify(line)}${newline}`

const parse = (text: string, file: string, at: number): Line => {
  try {
    return JSON.parse(text) as Line
  } catch (cause) {
    throw new MillstreamError('STORE_CORRUPT', {
      what: 'the journal of the embedded broker cannot be read',
      where: { file, line: at + 1 },
      fix: 'Remove the directory: the broker then begins anew, without topics and records.',
      cause,
    })
  }
}

export class FileJournal implements Journal {
  readonly #disk: Disk
  readonly #file: string
  readonly #values = new MemoryJournal()
  #appender: FileAppender
  #lines = 0

  /** Reads what is there. */
  constructor(disk: Disk, file: string) {
    this.#disk = disk
    this.#file = file
    this.#read()
    this.#appender = disk.append(file)
  }

  put(kind: string, key: string, value: unknown): void {
    this.#values.put(kind, key, value)
    this.#appender.write(Buffer.from(lineOf([kind, key, value])))
    this.#lines++
    if (this.#lines > 2 * this.#values.size + spareLines) this.#rewrite()
  }

  entries(kind: string): [key: string, value: unknown][] {
    return this.#values.entries(kind)
  }

  close(): void {
    this.#appender.close()
  }

  #read(): void {
    const text = this.#disk.readText(this.#file) ?? ''
    const end = text.lastIndexOf(newline) + 1
    // A process that was killed within a write leaves the beginning of a line.
    if (end < text.length) this.#disk.cut(this.#file, Buffer.byteLength(text.slice(0, end)))
    const lines = text.slice(0, end).split(newline)
    lines.pop()
    for (const [at, line] of lines.entries()) this.#values.put(...parse(line, this.#file, at))
    this.#lines = lines.length
  }

  #rewrite(): void {
    const lines = [...this.#values.lines()]
    this.#appender.close()
    this.#disk.writeText(this.#file, lines.map(lineOf).join(''))
    this.#appender = this.#disk.append(this.#file)
    this.#lines = lines.length
  }
}
