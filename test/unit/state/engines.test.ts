import { spawnSync } from 'node:child_process'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { EngineWrite, StoreEngine } from '../../../src/state/contracts.ts'
import { LmdbEngine } from '../../../src/state/lmdb-engine.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { at, code, identity, withDirectory } from './support.ts'

const lmdb = (directory: string): LmdbEngine => new LmdbEngine({ directory, disk: nodePorts.disk })
const writes = (entries: Record<string, string | null>): EngineWrite[] =>
  Object.keys(entries)
    .sort()
    .map((key) => ({ key, value: entries[key] == null ? null : Buffer.from(entries[key] as string) }))

const withEngine = (kind: string, use: (engine: StoreEngine) => void): void =>
  withDirectory((directory) => {
    const engine = kind === 'lmdb' ? lmdb(directory) : new MemoryEngine()
    engine.reset(identity)
    try {
      use(engine)
    } finally {
      engine.close()
    }
  })

const keys = (engine: StoreEngine, from?: string, to?: string, reverse = false): string[] =>
  [...engine.range(from, to, reverse)].map(({ key }) => key)

describe.each(['lmdb', 'memory'])('engine %s', (kind) => {
  it('holds entries, the checkpoint and the identity', () =>
    withEngine(kind, (engine) => {
      expect(engine.checkpoint()).toBeUndefined()
      engine.write(writes({ a: '1', b: '', c: '3' }), at(5))
      expect(engine.get('a')?.toString()).toBe('1')
      expect(engine.get('b')).toHaveLength(0)
      expect(engine.get('zz')).toBeUndefined()
      engine.write(writes({ a: null, c: '4', zz: null }), at(6))
      expect(engine.get('a')).toBeUndefined()
      expect(engine.get('c')?.toString()).toBe('4')
      expect(engine.count()).toBe(2)
      expect(engine.checkpoint()).toEqual(at(6))
      expect(engine.identity()).toEqual(identity)
      engine.reset({ ...identity, changelogTopicId: 'topic-2' })
      expect([engine.count(), engine.checkpoint(), engine.identity()?.changelogTopicId]).toEqual([
        0,
        undefined,
        'topic-2',
      ])
      expect(keys(engine)).toEqual([])
      engine.write(writes({ d: '5' }), at(1))
      expect(keys(engine)).toEqual(['d'])
    }))

  it('orders keys as unsigned bytes, the empty key included, and never shows its own', () =>
    withEngine(kind, (engine) => {
      engine.write(
        writes({ '': 'e', '\0': 'z', '\x7f': 'a', '\x80': 'b', '\xff': 'c', '\xff\xff': 'd' }),
        at(1),
      )
      const sorted = ['', '\0', '\x7f', '\x80', '\xff', '\xff\xff']
      expect(keys(engine)).toEqual(sorted)
      expect(keys(engine, undefined, undefined, true)).toEqual([...sorted].reverse())
      expect(keys(engine, '\0', '\xff')).toEqual(['\0', '\x7f', '\x80'])
      expect(keys(engine, '\0', '\xff', true)).toEqual(['\x80', '\x7f', '\0'])
      expect(keys(engine, '\x7e', '\x81', true)).toEqual(['\x80', '\x7f'])
      expect(keys(engine, '', '')).toEqual([])
      expect(keys(engine, 'b', 'a')).toEqual([])
      expect(keys(engine, 'b', 'a', true)).toEqual([])
      expect(engine.get('')?.toString()).toBe('e')
    }))

  it('takes bounds longer than any key', () =>
    withEngine(kind, (engine) => {
      const longest = 'k'.repeat(1977)
      engine.write(writes({ a: '1', [longest]: '2', z: '3' }), at(1))
      expect(engine.get(longest)?.toString()).toBe('2')
      expect(engine.get(`${longest}k`)).toBeUndefined()
      expect(keys(engine, `${longest}k`, undefined)).toEqual(['z'])
      expect(keys(engine, undefined, `${longest}k`)).toEqual(['a', longest])
      expect(keys(engine, `${longest}k`, `${longest}kk`)).toEqual([])
      expect(keys(engine, `${longest}k`, undefined, true)).toEqual(['z'])
      expect(keys(engine, undefined, `${longest}k`, true)).toEqual([longest, 'a'])
    }))

  it('gives buffers that belong to the caller, large values too', () =>
    withEngine(kind, (engine) => {
      const sizes = [0, 1, 64, 65, 1000, 1022, 1023, 1024, 1025, 2000, 4096, 70_000, 300_000]
      const list = sizes.map((size, index) => ({
        key: `k${index.toString().padStart(3, '0')}`,
        value: Buffer.alloc(size, index + 1),
      }))
      engine.write(list, at(1))
      const got = list.map(({ key }) => engine.get(key))
      const scanned = [...engine.range(undefined, undefined, false)]
      list.forEach(({ key, value }, index) => {
        expect(got[index]?.equals(value)).toBe(true)
        expect(scanned[index]?.key).toBe(key)
        expect(scanned[index]?.value.equals(value)).toBe(true)
      })
      engine.get('k003')?.fill(0)
      expect(engine.get('k003')?.[0]).toBe(4)
    }))
})

describe('engine lmdb on disk', () => {
  let directory = ''
  let finish: () => void = () => {}
  beforeEach(() => {
    withDirectory((created) => {
      directory = created
    })
  })
  afterEach(() => {
    finish()
    nodePorts.disk.remove(directory)
  })
  const engine = (): LmdbEngine => {
    const opened = lmdb(directory)
    finish = () => opened.close()
    return opened
  }
  const filled = (): void => {
    const opened = engine()
    opened.reset(identity)
    opened.write(
      Array.from({ length: 1000 }, (_, index) => ({ key: `k${1000 + index}`, value: Buffer.alloc(50, 1) })),
      at(7),
    )
    opened.write([{ key: 'zz', value: Buffer.alloc(100_000, 9) }], at(8))
    opened.close()
  }
  const file = (): string => path.join(directory, 'data.mdb')

  it('is there again after close and open', () => {
    filled()
    const again = engine()
    expect([again.count(), again.checkpoint(), again.identity()]).toEqual([1001, at(8), identity])
    expect(again.get('k1999')).toEqual(Buffer.alloc(50, 1))
  })

  it('ends the ranges that are open when it closes, and is not read after that', () => {
    filled()
    const again = engine()
    const open = again.range(undefined, undefined, false)
    const left = again.range(undefined, undefined, false)
    const unread = again.range(undefined, undefined, true)
    expect([open.next().done, left.next().done]).toEqual([false, false])
    again.close()
    // With its cursor still open, this would be the end of the process.
    expect(left.return?.().done).toBe(true)
    expect(code(() => open.next())).toBe('CLOSED')
    expect(code(() => unread.next())).toBe('CLOSED')
    expect(code(() => again.get('k1999'))).toBe('CLOSED')
    expect(code(() => again.write([], at(9)))).toBe('CLOSED')
  })

  it.each([
    ['between', 1000, at(20)],
    ['inside', 1000, at(20)],
  ])('is there again after kill -9 %s transactions', (where, count, checkpoint) => {
    const child = spawnSync(
      process.execPath,
      [path.join(import.meta.dirname, 'crash-child.ts'), directory, where],
      { timeout: 20_000 },
    )
    expect(child.signal, child.stderr.toString()).toBe('SIGKILL')
    const again = engine()
    expect([again.count(), again.checkpoint()]).toEqual([count, checkpoint])
    expect(
      [...again.range(undefined, undefined, false)].every(
        ({ key, value }) => value.toString() === `v${Number(key.slice(1))}`,
      ),
    ).toBe(true)
    again.write([{ key: 'more', value: Buffer.from('x') }], at(31))
    expect(again.count()).toBe(count + 1)
  })

  it('takes nothing of a transaction that fails', () => {
    const opened = engine()
    opened.reset(identity)
    const unsorted = ['b', 'a'].map((key) => ({ key, value: Buffer.from('1') }))
    expect(code(() => opened.write(unsorted, at(1)))).toBe('INVARIANT_BROKEN')
    expect([opened.count(), opened.checkpoint()]).toEqual([0, undefined])
    expect(
      code(() =>
        opened.write(
          [
            { key: 'a', value: null },
            { key: 'k'.repeat(1978), value: Buffer.from('1') },
          ],
          at(1),
        ),
      ),
    ).toBe('STORE_FAILED')
    expect([opened.count(), opened.checkpoint()]).toEqual([0, undefined])
  })

  it.each([
    ['garbage', () => writeFileSync(file(), Buffer.alloc(20_000, 7))],
    ['a few bytes', () => writeFileSync(file(), 'oops')],
    ['a torn second meta page', () => writeFileSync(file(), readFileSync(file()).fill(0, 4096, 8192))],
    ['one page', () => truncateSync(file(), 4096)],
  ])('refuses a file of %s instead of dying', (_, damage) => {
    filled()
    damage()
    expect(code(() => engine())).toBe('STORE_CORRUPT')
  })

  it('refuses a truncated file, wherever it was cut', () => {
    filled()
    const whole = readFileSync(file())
    for (let size = 8192; size < whole.length; size += 4096) {
      writeFileSync(file(), whole.subarray(0, size))
      expect(
        code(() => engine()),
        `cut at ${size} of ${whole.length}`,
      ).toBe('STORE_CORRUPT')
    }
    writeFileSync(file(), whole)
    expect(engine().count()).toBe(1001)
  })

  it('fills the file up to its last page after each transaction', () => {
    const extended: number[] = []
    let short = false
    const disk = {
      ...nodePorts.disk,
      size: (name: string) => (short ? 8192 : nodePorts.disk.size(name)),
      extend: (_: string, size: number) => extended.push(size),
    }
    const opened = new LmdbEngine({ directory, disk })
    finish = () => opened.close()
    opened.reset(identity)
    opened.write(
      Array.from({ length: 1000 }, (_, index) => ({ key: `k${1000 + index}`, value: Buffer.alloc(50, 1) })),
      at(1),
    )
    expect(extended).toEqual([])
    short = true
    opened.write([], at(2))
    expect(extended).toEqual([nodePorts.disk.size(file())])
  })

  it('refuses no whole file after deletes that empty and merge the pages at its end', () => {
    for (const kept of [1, 3, 7, 50, 200]) {
      const opened = engine()
      opened.reset(identity)
      const names = Array.from({ length: 2000 }, (_, index) => `k${10_000 + index}`)
      opened.write(
        names.map((name) => ({ key: name, value: Buffer.alloc(40, 1) })),
        at(1),
      )
      opened.write(
        names.filter((_, index) => index % 200 >= kept).map((name) => ({ key: name, value: null })),
        at(2),
      )
      opened.close()
      const again = engine()
      expect(keys(again)).toEqual(names.filter((_, index) => index % 200 < kept))
      again.close()
    }
  })

  it('tells when it is synced and when no longer', () => {
    const told: boolean[] = []
    const opened = new LmdbEngine({
      directory,
      disk: nodePorts.disk,
      onSynced: (synced) => told.push(synced),
    })
    finish = () => opened.close()
    opened.reset(identity)
    opened.write([], at(1))
    opened.sync()
    opened.write([], at(2))
    opened.write([], at(3))
    opened.sync()
    expect(told).toEqual([true, false, true])
  })
})
