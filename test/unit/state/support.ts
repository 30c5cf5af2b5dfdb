// What the tests of state share: directories, identities and key strings.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Clock } from '../../../src/base/ports.ts'
import type { Serde } from '../../../src/serde/serde.ts'
import { string } from '../../../src/serde/text.ts'
import type { Checkpoint, StoreIdentity } from '../../../src/state/contracts.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import type { StoreMemory } from '../../../src/state/store-memory.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'

export const identity: StoreIdentity = {
  formatVersion: 1,
  applicationId: 'orders',
  clusterId: 'cluster-1',
  store: 'totals',
  changelogTopic: 'orders-totals-changelog',
  changelogTopicId: 'topic-1',
  partition: 3,
  guarantee: 'exactly_once',
}

export const at = (changelogOffset: number): Checkpoint => ({
  changelogOffset,
  leaderEpoch: 0,
  caughtUpAtMs: 1000,
})

export const withDirectory = <T>(use: (directory: string) => T): T => {
  const directory = mkdtempSync(path.join(tmpdir(), 'millstream-state-'))
  try {
    return use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The code of what it throws, or `none`. */
export const code = (run: () => unknown): string => {
  try {
    run()
    return 'none'
  } catch (error) {
    return (error as { code: string }).code
  }
}

export class TestClock implements Clock {
  ms = 0
  now(): number {
    return this.ms
  }
  monotonic(): number {
    return this.ms
  }
}

/** What the open transaction changed: keys with one char per byte, null where a key is deleted. */
export const changesOf = (store: {
  drainChanges: TransactionalStore<never, never>['drainChanges']
}): [key: string, value: Buffer | null][] => {
  const changes: [string, Buffer | null][] = []
  store.drainChanges((source, keyStart, keyLength, valueStart, valueLength) => {
    const key = source.toString('latin1', keyStart, keyStart + keyLength)
    const value = valueLength < 0 ? null : Buffer.from(source.subarray(valueStart, valueStart + valueLength))
    changes.push([key, value])
  })
  return changes
}

/** The digest of what a store holds, found out anew. Nothing of it waits for a commit. */
export const scannedDigest = (
  store: Pick<TransactionalStore<never, never>, 'digest' | 'forgetDigest' | 'scanDigest'>,
): string | undefined => {
  store.forgetDigest()
  while (!store.scanDigest(9));
  return store.digest
}

export const storeClock = new TestClock()

/** A store over its engine, whose identity is set. */
export const storeOf = <V>(
  value: Serde<V>,
  engine = new MemoryEngine(),
  extra: { flushIntervalMs?: number; memory?: StoreMemory; changeBytesMax?: number } = {},
) => {
  engine.reset(identity)
  return {
    engine,
    store: new TransactionalStore<string, V>({
      name: 'totals',
      key: string,
      value,
      engine,
      clock: storeClock,
      ...extra,
    }),
  }
}

/** A record whose key lies somewhere in a buffer. */
export const record = (key: string, from: Serde<string> = string) => {
  const source = Buffer.from(`--${key}--`)
  return {
    key,
    keyBytes: { source, keyStart: 2, keyLength: source.length - 4, keySerde: from as Serde<string, never> },
  }
}
