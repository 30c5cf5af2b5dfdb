// What the tests of state share: directories, identities and key strings.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Clock } from '../../../src/base/ports.ts'
import type { Checkpoint, StoreIdentity } from '../../../src/state/contracts.ts'

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

export class TestClock implements Clock {
  ms = 0
  now(): number {
    return this.ms
  }
  monotonic(): number {
    return this.ms
  }
}
