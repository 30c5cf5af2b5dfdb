// Where state lies on disk, and whose it is: <stateDir>/<applicationId>/<taskId>/<store>/. One process holds a lock on
// <stateDir>/<applicationId>/ while it lives, and an identity file there names the application and cluster.
import path from 'node:path'
import type { Disk } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'

const identityFile = 'application.json'
const directoryFormat = 1

// What Kafka allows in names, and what a path takes everywhere; `.` and `..` are other places.
const legalName = /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/
const taskName = /^\d+_\d+$/

const checkName = (kind: string, name: string): void => {
  if (legalName.test(name)) return
  throw new MillstreamError('SETTING_INVALID', {
    what: `the ${kind} "${name}" cannot be the name of a directory`,
    fix: 'Use letters, digits, dots, dashes and underscores.',
  })
}

export interface StateDirectoryOptions {
  readonly disk: Disk
  readonly stateDir: string
  readonly applicationId: string
  readonly clusterId: string
}

interface DirectoryIdentity {
  readonly format: number
  readonly applicationId: string
  readonly clusterId: string
}

const readIdentity = (text: string | undefined): Partial<DirectoryIdentity> | undefined => {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Partial<DirectoryIdentity>
  } catch {
    return {}
  }
}

export class StateDirectory {
  /** `<stateDir>/<applicationId>` */
  readonly root: string
  readonly #disk: Disk
  #release: (() => void) | undefined

  /**
   * Takes the lock, and checks or writes the identity file.
   * @throws STORE_LOCKED when a living process holds it, STORE_FOREIGN when it belongs to another application or cluster.
   */
  constructor({ disk, stateDir, applicationId, clusterId }: StateDirectoryOptions) {
    checkName('application id', applicationId)
    this.root = path.join(stateDir, applicationId)
    this.#disk = disk
    disk.makeDirectory(this.root)
    const lock = disk.lock(this.root)
    if ('heldBy' in lock) {
      throw new MillstreamError('STORE_LOCKED', {
        what: `the state directory is in use by ${lock.heldBy}`,
        where: { directory: this.root },
        fix: 'Stop that process, or give this worker a state directory of its own.',
      })
    }
    this.#release = lock.release
    try {
      this.#checkIdentity({ format: directoryFormat, applicationId, clusterId })
    } catch (error) {
      this.close()
      throw error
    }
  }

  #checkIdentity(expected: DirectoryIdentity): void {
    const file = path.join(this.root, identityFile)
    const stored = readIdentity(this.#disk.readText(file))
    if (stored === undefined) {
      this.#disk.writeText(file, `${JSON.stringify(expected, null, 2)}\n`)
      return
    }
    for (const field of ['applicationId', 'clusterId', 'format'] as const) {
      if (stored[field] === expected[field]) continue
      throw new MillstreamError('STORE_FOREIGN', {
        what: `the state directory has the ${field} ${stored[field]}, not ${expected[field]}`,
        where: { file },
        fix: 'Choose another state directory, or remove this one: state is rebuilt from the changelogs.',
      })
    }
  }

  /** Directory of a store of a task, whether it exists or not. */
  storeDirectory(taskId: string, store: string): string {
    checkName('task id', taskId)
    checkName('store name', store)
    return path.join(this.root, taskId, store)
  }

  /** Ids of the tasks that have state on this disk, in order. */
  tasks(): string[] {
    const names = this.#disk.list(this.root).filter((name) => taskName.test(name))
    return names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  }

  /** Names of the stores of a task on this disk, in order. */
  stores(taskId: string): string[] {
    checkName('task id', taskId)
    return this.#disk.list(path.join(this.root, taskId)).sort()
  }

  /** Removes what a task has on this disk, or one store of it; the store must be closed. */
  remove(taskId: string, store?: string): void {
    checkName('task id', taskId)
    this.#disk.remove(store === undefined ? path.join(this.root, taskId) : this.storeDirectory(taskId, store))
  }

  /** Gives the lock back. A second call does nothing. */
  close(): void {
    this.#release?.()
    this.#release = undefined
  }
}
