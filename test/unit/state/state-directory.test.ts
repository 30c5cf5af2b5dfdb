import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Disk } from '../../../src/base/ports.ts'
import { openStoreEngine } from '../../../src/state/open-store-engine.ts'
import { StateDirectory } from '../../../src/state/state-directory.ts'
import { at, code, identity, withDirectory } from './support.ts'

const { disk } = nodePorts
const openRoot = (
  stateDir: string,
  changes: { applicationId?: string; clusterId?: string } = {},
): StateDirectory =>
  new StateDirectory({ disk, stateDir, applicationId: 'orders', clusterId: 'cluster-1', ...changes })

describe('StateDirectory', () => {
  it('is held by one at a time', () =>
    withDirectory((stateDir) => {
      const first = openRoot(stateDir)
      expect(() => openRoot(stateDir)).toThrow(/STORE_LOCKED: .* in use by this process \(pid \d+\)/)
      openRoot(stateDir, { applicationId: 'orders-eu' }).close()
      first.close()
      first.close()
      openRoot(stateDir).close()
    }))

  it('takes over the lock of a process that is gone', () =>
    withDirectory((stateDir) => {
      disk.makeDirectory(path.join(stateDir, 'orders'))
      writeFileSync(path.join(stateDir, 'orders', 'LOCK'), `999999999\n${disk.bootId()}\n1\n`)
      openRoot(stateDir).close()
    }))

  it('refuses the directory of another cluster or application, and gives the lock back', () =>
    withDirectory((stateDir) => {
      openRoot(stateDir).close()
      expect(() => openRoot(stateDir, { clusterId: 'cluster-2' })).toThrow(
        /STORE_FOREIGN: .*clusterId cluster-1, not cluster-2/,
      )
      writeFileSync(
        path.join(stateDir, 'orders', 'application.json'),
        '{"applicationId":"billing","clusterId":"cluster-1","format":1}',
      )
      expect(code(() => openRoot(stateDir))).toBe('STORE_FOREIGN')
      writeFileSync(path.join(stateDir, 'orders', 'application.json'), 'not json')
      expect(code(() => openRoot(stateDir))).toBe('STORE_FOREIGN')
      disk.remove(path.join(stateDir, 'orders', 'application.json'))
      openRoot(stateDir).close()
    }))

  it('lists and removes tasks, and lets no name leave it', () =>
    withDirectory((stateDir) => {
      const root = openRoot(stateDir)
      for (const task of ['0_10', '0_2', '1_0']) disk.makeDirectory(root.storeDirectory(task, 'totals'))
      disk.makeDirectory(root.storeDirectory('0_2', 'by-user'))
      expect(root.tasks()).toEqual(['0_2', '0_10', '1_0'])
      expect(root.stores('0_2')).toEqual(['by-user', 'totals'])
      root.remove('0_2', 'totals')
      root.remove('0_10')
      expect([root.tasks(), root.stores('0_2'), root.stores('9_9')]).toEqual([
        ['0_2', '1_0'],
        ['by-user'],
        [],
      ])
      for (const name of ['..', '.', 'a/b', ''])
        expect(
          code(() => root.storeDirectory('0_2', name)),
          name,
        ).toBe('SETTING_INVALID')
      expect(code(() => openRoot(stateDir, { applicationId: '../x' }))).toBe('SETTING_INVALID')
      root.close()
    }))
})

describe('openStoreEngine', () => {
  const open = (directory: string, changes = {}, from: Disk = disk) =>
    openStoreEngine({ disk: from, kind: 'lmdb', directory, identity: { ...identity, ...changes } })
  const fill = (directory: string, sync: boolean): void => {
    const { engine, rebuilt } = open(directory)
    expect(rebuilt).toBeUndefined()
    engine.write([{ key: 'a', value: Buffer.from('1') }], at(5))
    if (sync) engine.sync()
    engine.close()
  }
  const rebootedDisk: Disk = { ...disk, bootId: () => 'another boot' }
  const outcome = (opened: ReturnType<typeof open>): [number, unknown, string | undefined] => {
    const { engine, rebuilt } = opened
    try {
      return [engine.count(), engine.checkpoint(), rebuilt]
    } finally {
      engine.close()
    }
  }

  it('keeps what is ours', () =>
    withDirectory((directory) => {
      fill(directory, false)
      expect(outcome(open(directory))).toEqual([1, at(5), undefined])
      const memory = openStoreEngine({ disk, kind: 'memory', directory, identity })
      expect([memory.engine.identity(), memory.rebuilt]).toEqual([identity, undefined])
    }))

  it('rebuilds what cannot be read', () =>
    withDirectory((directory) => {
      fill(directory, false)
      writeFileSync(path.join(directory, 'data.mdb'), 'no database')
      const [count, checkpoint, rebuilt] = outcome(open(directory))
      expect([count, checkpoint]).toEqual([0, undefined])
      expect(rebuilt).toContain('STORE_CORRUPT')
      expect(outcome(open(directory))).toEqual([0, undefined, undefined])
    }))

  it('rebuilds an earlier life of the store', () =>
    withDirectory((directory) => {
      fill(directory, false)
      const changes = { changelogTopicId: 'topic-2' }
      expect(outcome(open(directory, changes))).toEqual([
        0,
        undefined,
        'changelogTopicId is topic-1 in the store, not topic-2',
      ])
      expect(outcome(open(directory, changes))).toEqual([0, undefined, undefined])
    }))

  it('refuses what is foreign and leaves it alone, also where it could not be read', () =>
    withDirectory((directory) => {
      fill(directory, false)
      for (const changes of [
        { applicationId: 'billing' },
        { clusterId: 'x' },
        { store: 'x' },
        { partition: 4 },
      ]) {
        expect(code(() => open(directory, changes))).toBe('STORE_FOREIGN')
        expect(code(() => open(directory, changes, rebootedDisk))).toBe('STORE_FOREIGN')
      }
      disk.remove(path.join(directory, 'store.json'))
      expect(code(() => open(directory, { partition: 4 }))).toBe('STORE_FOREIGN')
      expect(outcome(open(directory))).toEqual([1, at(5), undefined])
    }))

  it('rebuilds after a machine crash only what was not synced', () =>
    withDirectory((directory) => {
      fill(directory, true)
      expect(outcome(open(directory, {}, rebootedDisk))).toEqual([1, at(5), undefined])
      // It was open in that other boot, and not synced.
      expect(outcome(open(directory))).toEqual([
        0,
        undefined,
        'the machine was restarted before the store had been synced',
      ])
    }))
})
