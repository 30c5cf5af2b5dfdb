// The disk of a simulated machine: files in memory that outlive the processes that wrote them. A crash may take the last
// local transactions of a store with it; a crash of the whole machine also changes its boot id.
import path from 'node:path'
import type { Disk, FileSink } from '../../base/ports.ts'
import type { SeededRandom } from './seeded-random.ts'
import { SimulatedEngine, StoredData } from './simulated-engine.ts'
import type { SimulatedProcess } from './simulated-process.ts'

const isBelow = (file: string, directory: string): boolean =>
  file === directory || file.startsWith(`${directory}/`)

export class SimulatedDisk {
  readonly name: string
  readonly #random: SeededRandom
  readonly #files = new Map<string, Buffer>()
  readonly #directories = new Set<string>()
  readonly #stores = new Map<string, StoredData>()
  readonly #locks = new Map<string, SimulatedProcess>()
  #boot = 1

  constructor(name: string, random: SeededRandom) {
    this.name = name
    this.#random = random
  }

  /** The stores on it by their directory. */
  get stores(): ReadonlyMap<string, StoredData> {
    return this.#stores
  }

  /** The last transactions of its stores may be lost. @returns how many were */
  crash(): number {
    let lost = 0
    for (const data of this.#stores.values()) {
      const count = this.#random.below(data.unsynced + 1)
      data.lose(count)
      lost += count
    }
    return lost
  }

  /** The machine starts anew. */
  reboot(): void {
    this.#boot++
  }

  /** Removes everything, as where a machine is replaced by another one. */
  wipe(): void {
    this.#files.clear()
    this.#directories.clear()
    this.#stores.clear()
  }

  /** The port of a process on this machine. */
  portFor(owner: SimulatedProcess): Disk {
    const alive = (): boolean => owner.state !== 'dead'
    return {
      readText: (file) => this.#files.get(file)?.toString('utf8'),
      writeText: (file, text) => {
        if (alive()) this.#files.set(file, Buffer.from(text))
      },
      exists: (file) => this.#files.has(file) || this.#directories.has(file),
      size: (file) => this.#files.get(file)?.length,
      read: (file, start, length) =>
        Buffer.from(this.#files.get(file)?.subarray(start, start + length) ?? Buffer.alloc(0)),
      create: (file) => this.#create(file, alive),
      extend: (file, size) => {
        const known = this.#files.get(file) ?? Buffer.alloc(0)
        if (alive()) this.#files.set(file, Buffer.concat([known, Buffer.alloc(size - known.length)]))
      },
      append: (file) => ({
        write: (bytes) => {
          const known = this.#files.get(file) ?? Buffer.alloc(0)
          if (alive()) this.#files.set(file, Buffer.concat([known, bytes]))
        },
        close: () => {},
      }),
      rename: (from, to) => {
        const known = this.#files.get(from)
        if (!alive() || known === undefined) return
        this.#files.delete(from)
        this.#files.set(to, known)
      },
      cut: (file, size) => {
        const known = this.#files.get(file)
        if (alive() && known !== undefined) this.#files.set(file, known.subarray(0, size))
      },
      makeDirectory: (directory) => {
        if (alive()) this.#directories.add(directory)
      },
      list: (directory) => this.#list(directory),
      remove: (target) => {
        if (alive()) this.#remove(target)
      },
      lock: (directory) => this.#lock(directory, owner),
      bootId: () => `${this.name}-${this.#boot}`,
      stores: {
        open: (directory, onSynced) => {
          const data = this.#stores.get(directory) ?? new StoredData()
          if (alive()) this.#stores.set(directory, data)
          return new SimulatedEngine(data, alive, onSynced)
        },
      },
    }
  }

  #create(file: string, alive: () => boolean): FileSink {
    const parts: Uint8Array[] = []
    const keep = (): void => {
      if (alive()) this.#files.set(file, Buffer.concat(parts))
    }
    keep()
    return { write: (bytes) => void parts.push(Buffer.from(bytes)), close: keep }
  }

  #list(directory: string): string[] {
    const names = new Set<string>()
    for (const known of [this.#files, this.#directories, this.#stores]) {
      for (const file of known.keys()) {
        if (file !== directory && isBelow(file, directory))
          names.add(path.relative(directory, file).split('/')[0] as string)
      }
    }
    return [...names].sort()
  }

  #remove(target: string): void {
    for (const known of [this.#files, this.#directories, this.#stores])
      for (const file of known.keys()) if (isBelow(file, target)) known.delete(file)
  }

  #lock(directory: string, owner: SimulatedProcess): { release: () => void } | { heldBy: string } {
    const holder = this.#locks.get(directory)
    if (holder !== undefined && holder.state !== 'dead') return { heldBy: holder.name }
    this.#locks.set(directory, owner)
    return {
      release: () => {
        if (this.#locks.get(directory) === owner) this.#locks.delete(directory)
      },
    }
  }
}
