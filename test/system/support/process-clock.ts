// The wall clock of a worker process, moved by a test while it runs. Where libfaketime is installed it is the clock of the
// whole process (what the system tells it, Node and native code included); else only that of the worker's ports.
// The monotonic clock goes on as it is in both: a step of the time of day does not touch it on a real machine either.
import fs from 'node:fs'
import path from 'node:path'

/** Where distributions put it. */
const folders = ['/usr/lib', '/usr/lib64', '/usr/local/lib']

const inFolder = (folder: string): string[] => [
  path.join(folder, 'faketime'),
  ...(fs.existsSync(folder)
    ? fs
        .readdirSync(folder)
        .filter((name) => name.endsWith('-linux-gnu'))
        .map((name) => path.join(folder, name, 'faketime'))
    : []),
]

/** The library, or undefined where it is not installed (package libfaketime). */
export const fakeTimeLibrary = (): string | undefined =>
  folders
    .flatMap(inFolder)
    .map((folder) => path.join(folder, 'libfaketime.so.1'))
    .find((file) => fs.existsSync(file))

/** The clock of the processes that are started with its environment. */
export class ProcessClock {
  readonly #library: string
  readonly #file: string

  constructor(library: string, directory: string) {
    this.#library = library
    this.#file = path.join(directory, 'clock')
    this.move(0)
  }

  get environment(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      // The file is looked at whenever somebody asks for the time: with a cache a jump shows up to 15 s later.
      FAKETIME_NO_CACHE: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** So far ahead of the true time, or behind it. Whoever reads the file sees the old one or the new one. */
  move(aheadMs: number): void {
    const seconds = aheadMs / 1000
    fs.writeFileSync(`${this.#file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`)
    fs.renameSync(`${this.#file}.new`, this.#file)
  }
}
