// What the checks stand on: topics as the Java consumer reads them, stores as they lie on the disk, and findings that
// explain themselves.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Checkpoint } from '../../../src/state/contracts.ts'
import { LmdbEngine } from '../../../src/state/lmdb-engine.ts'
import type { JudgedRecord } from '../../support/judge.ts'

/** Something that is not as it has to be. */
export interface Finding {
  readonly key: string
  readonly expected: unknown
  readonly found: unknown
}

export const textOf = (bytes: Uint8Array | null): string =>
  bytes === null ? '(null)' : Buffer.from(bytes).toString('utf8')

/** An int64, which in the store of a table stands behind its timestamp. */
export const numberOf = (bytes: Uint8Array | null): number =>
  bytes?.length === 8 || bytes?.length === 16
    ? Number(Buffer.from(bytes).readBigInt64BE(bytes.length - 8))
    : Number.NaN

/** How the value of a store is read. */
export type ReadValue<V> = (bytes: Uint8Array | null) => V

/** The last value of each key; a null deletes. The records are in the order of their partitions. */
export const fold = <V>(records: readonly JudgedRecord[], read: ReadValue<V>): Map<string, V> => {
  const values = new Map<string, V>()
  for (const { key, value } of records) {
    if (value === null) values.delete(textOf(key))
    else values.set(textOf(key), read(value))
  }
  return values
}

/** Each key at which two maps differ. */
export const differences = (
  what: string,
  expected: ReadonlyMap<string, unknown>,
  found: ReadonlyMap<string, unknown>,
): Finding[] => {
  const findings: Finding[] = []
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    if (expected.get(key) === found.get(key)) continue
    findings.push({ key: `${what}, ${key}`, expected: expected.get(key), found: found.get(key) })
  }
  return findings
}

/** One store of one task as it lies on the disk. */
export interface StoredTask<V = number> {
  readonly taskId: string
  readonly partition: number
  readonly store: string
  readonly checkpoint: Checkpoint | undefined
  readonly values: ReadonlyMap<string, V>
}

const readStore = <V>(
  directory: string,
  read: ReadValue<V>,
): Pick<StoredTask<V>, 'checkpoint' | 'values'> => {
  const engine = new LmdbEngine({ directory, disk: nodePorts.disk })
  try {
    const values = new Map<string, V>()
    for (const { key, value } of engine.range(undefined, undefined, false)) {
      values.set(Buffer.from(key, 'latin1').toString('utf8'), read(value))
    }
    return { checkpoint: engine.checkpoint(), values }
  } finally {
    engine.close()
  }
}

/** Reads every store below a state directory from a copy: the worker finds what a dead process left, not what we opened. */
export const readStores = <V>(
  stateDir: string,
  applicationId: string,
  read: ReadValue<V>,
): StoredTask<V>[] => {
  const root = path.join(stateDir, applicationId)
  if (!fs.existsSync(root)) return []
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-stores-'))
  try {
    fs.cpSync(root, copy, { recursive: true })
    const stores: StoredTask<V>[] = []
    for (const taskId of fs.readdirSync(copy).filter((name) => /^\d+_\d+$/.test(name))) {
      for (const store of fs.readdirSync(path.join(copy, taskId))) {
        const directory = path.join(copy, taskId, store)
        if (!fs.existsSync(path.join(directory, 'data.mdb'))) continue
        stores.push({ taskId, partition: Number(taskId.split('_')[1]), store, ...readStore(directory, read) })
      }
    }
    return stores
  } finally {
    fs.rmSync(copy, { recursive: true, force: true })
  }
}

/** Of each store of each task the copy that is furthest; its owner was the last one. */
export const lastCopies = <V>(stores: readonly StoredTask<V>[]): StoredTask<V>[] => {
  const last = new Map<string, StoredTask<V>>()
  const positionOf = (stored: StoredTask<V> | undefined): number => stored?.checkpoint?.changelogOffset ?? -1
  for (const stored of stores) {
    const id = `${stored.taskId}/${stored.store}`
    if (!last.has(id) || positionOf(stored) > positionOf(last.get(id))) last.set(id, stored)
  }
  return [...last.values()]
}

/** The store holds what its changelog holds below its checkpoint: nothing that is not committed, and all that is. */
export const storeFindings = <V>(
  stored: StoredTask<V>,
  changelog: readonly JudgedRecord[],
  when: string,
  read: ReadValue<V>,
): Finding[] => {
  const { partition, checkpoint, values, taskId, store } = stored
  const below = changelog.filter(
    (one) => one.partition === partition && one.offset < (checkpoint?.changelogOffset ?? 0),
  )
  const what = `store ${store} of task ${taskId} at changelog offset ${checkpoint?.changelogOffset ?? 'none'} ${when}`
  return differences(what, fold(below, read), values)
}
