import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deleteHorizonOf } from '../../../src/embedded/batch-edit.ts'
import type { PartitionLog } from '../../../src/embedded/partition-log.ts'
import {
  type BatchOptions,
  batchesOf,
  batchOf,
  logStand,
  type LogStand,
  recordsOf,
  visible,
} from './log-stand.ts'

const compacted = {
  'cleanup.policy': 'compact',
  'segment.ms': '1000',
  'min.cleanable.dirty.ratio': '0',
  'delete.retention.ms': '60000',
}

const inTransaction = (producerId: number, epoch: number, sequence: number) =>
  ({ producerId, epoch, sequence, transactional: true }) as const

const send = ({ log, now }: LogStand, records: readonly string[], options: BatchOptions = {}): number =>
  log.append(batchOf(records, { timestamp: now(), ...options }), true).baseOffset

const end = ({ log }: LogStand, producerId: number, producerEpoch: number, committed: boolean): number =>
  log.appendMarker({ producerId, producerEpoch, committed, coordinatorEpoch: 0 })

/** Everything so far is closed and cleaned. */
const clean = (stand: LogStand): void => {
  stand.pass(2000)
  send(stand, ['tick=1'])
  stand.log.clean()
}

const shapes = (log: PartitionLog): string[] =>
  batchesOf(log).map(
    (view) => `${view.baseOffset}-${view.lastOffset} ${view.isControl ? 'marker' : view.recordCount}`,
  )

describe('compaction', () => {
  it('leaves the last record of each key at its offset, in batches that say the same as before', () => {
    const stand = logStand(compacted)
    send(stand, ['a=1', 'b=1', 'c=1'], { compression: 'gzip' })
    send(stand, ['a=2', 'd=1'])
    send(stand, ['d=2'])
    clean(stand)
    expect(batchesOf(stand.log).flatMap(recordsOf)).toEqual(['1 b=1', '2 c=1', '3 a=2', '5 d=2', '6 tick=1'])
    expect(shapes(stand.log)).toEqual(['0-2 2', '3-4 1', '5-5 1', '6-6 1'])
    for (const view of batchesOf(stand.log)) {
      view.checkCrc()
      expect(view.maxTimestamp).toBe(view.baseOffset < 6 ? 1_000_000 : 1_002_000)
    }
    expect(stand.log.append(batchOf(['e=1']), false).baseOffset).toBe(7)
    expect(visible(stand.log, 4, false, 1000)).toEqual(['5 d=2', '6 tick=1', '7 e=1'])
  })

  it('touches neither the segment that is written nor what is not stable', () => {
    const stand = logStand(compacted)
    send(stand, ['a=1', 'a=2'])
    stand.log.clean()
    expect(batchesOf(stand.log)).toHaveLength(1)
    stand.pass(2000)
    send(stand, ['t=1'], inTransaction(1, 0, 0))
    stand.pass(2000)
    send(stand, ['b=1', 'b=2'])
    clean(stand)
    expect(batchesOf(stand.log).flatMap(recordsOf)).toEqual(['1 a=2', '2 t=1', '3 b=1', '4 b=2', '5 tick=1'])
  })

  it('waits until enough is new, or for max.compaction.lag.ms', () => {
    const stand = logStand({ ...compacted, 'min.cleanable.dirty.ratio': '0.9' })
    send(stand, ['a=1', 'b=1', 'c=1', 'd=1'])
    clean(stand)
    send(stand, ['a=2'])
    clean(stand)
    expect(visible(stand.log, 0, false, 1000)).toContain('0 a=1')
    stand.settings.set('max.compaction.lag.ms', '5000')
    stand.pass(5000)
    stand.log.clean()
    expect(visible(stand.log, 0, false, 1000)).not.toContain('0 a=1')
  })

  it('leaves young records alone', () => {
    const stand = logStand({ ...compacted, 'min.compaction.lag.ms': '10000' })
    send(stand, ['a=1', 'a=2'])
    clean(stand)
    expect(visible(stand.log, 0, false, 1000)).toContain('0 a=1')
    stand.pass(10_000)
    clean(stand)
    expect(visible(stand.log, 0, false, 1000)).not.toContain('0 a=1')
  })

  it('keeps a tombstone for its time, counted from the round that met it first', () => {
    const stand = logStand(compacted)
    send(stand, ['a=1', 'b=1'])
    send(stand, ['a', 'c=1'])
    clean(stand)
    const batch = batchesOf(stand.log).find((view) => view.baseOffset === 2)
    expect(batch && deleteHorizonOf(batch)).toBe(stand.now() + 60_000)
    expect(batch && recordsOf(batch)).toEqual(['2 a', '3 c=1'])
    expect(stand.log.findByTimestamp(0)?.timestamp).toBe(1_000_000)
    stand.pass(55_000)
    clean(stand)
    expect(visible(stand.log, 0, false, 1000)).toContain('2 a')
    stand.pass(60_000)
    clean(stand)
    expect(visible(stand.log, 0, false, 1000).slice(0, 2)).toEqual(['1 b=1', '3 c=1'])
  })

  it('takes aborted records out at once, their marker when nothing of them is left and its time has passed', () => {
    const stand = logStand(compacted)
    send(stand, ['a=1'])
    send(stand, ['a=2', 'b=2'], inTransaction(1, 0, 0))
    end(stand, 1, 1, false)
    clean(stand)
    expect(shapes(stand.log)).toEqual(['0-0 1', '3-3 marker', '4-4 1'])
    expect(stand.log.read(0, 1000, true, true)?.aborted).toHaveLength(1)
    clean(stand)
    const marker = batchesOf(stand.log)[1]
    expect(marker && deleteHorizonOf(marker)).toBe(stand.now() + 60_000)
    expect(stand.log.read(0, 1000, true, true)?.aborted).toEqual([])
    // The marker holds the last epoch of its producer: without records it stays until another one does.
    stand.pass(60_000)
    clean(stand)
    expect(batchesOf(stand.log).map((view) => view.recordCount)).toEqual([1, 0, 1, 1])
    send(stand, ['c=1'], inTransaction(1, 1, 0))
    end(stand, 1, 2, true)
    clean(stand)
    expect(shapes(stand.log)[1]).not.toBe('3-3 marker')
  })

  it('lists aborted transactions that end behind the cleaned part, and keeps its last offset', () => {
    const stand = logStand(compacted)
    send(stand, ['a=1'])
    send(stand, ['b=2'], inTransaction(1, 0, 0))
    stand.pass(2000)
    end(stand, 1, 1, false)
    send(stand, ['c=2'], inTransaction(1, 1, 0))
    end(stand, 1, 2, false)
    stand.log.clean()
    expect(shapes(stand.log)).toEqual(['0-0 1', '1-1 0', '2-2 marker', '3-3 1', '4-4 marker'])
    const aborted = stand.log.read(2, 1000, true, true)?.aborted
    expect(aborted?.map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset])).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(visible(stand.log, 0, true, 1000)).toEqual(['0 a=1'])
  })

  it('keeps the marker of a committed transaction as long as records of it are left', () => {
    const stand = logStand(compacted)
    send(stand, ['a=1'], inTransaction(1, 0, 0))
    end(stand, 1, 1, true)
    const horizons = (): boolean[] =>
      batchesOf(stand.log)
        .filter((view) => view.isControl)
        .map((view) => deleteHorizonOf(view) !== undefined)
    clean(stand)
    clean(stand)
    expect(horizons()).toEqual([false])
    send(stand, ['a=2'])
    clean(stand)
    clean(stand)
    expect([visible(stand.log, 0, true, 1000)[0], ...horizons()]).toEqual(['4 a=2', true])
  })

  it('keeps the last batch of a producer, if need be without records', () => {
    const stand = logStand(compacted)
    send(stand, ['a=1'], { producerId: 7, epoch: 0, sequence: 0 })
    send(stand, ['a=2', 'b=2'], { producerId: 7, epoch: 0, sequence: 1 })
    send(stand, ['a=3', 'b=3'])
    clean(stand)
    expect(shapes(stand.log)).toEqual(['1-2 0', '3-4 2', '5-5 1'])
    const again = stand.log.append(batchOf(['a=2', 'b=2'], { producerId: 7, epoch: 0, sequence: 1 }), false)
    expect(again).toMatchObject({ errorCode: 0, baseOffset: 1 })
  })

  it('removes what retention drops, too, where the topic wants both', () => {
    const stand = logStand({ ...compacted, 'cleanup.policy': 'compact,delete', 'retention.ms': '5000' })
    send(stand, ['a=1', 'b=1'])
    clean(stand)
    stand.pass(2000)
    clean(stand)
    expect([stand.log.startOffset, ...visible(stand.log, stand.log.startOffset, false, 1000)]).toEqual([
      2,
      '2 tick=1',
      '3 tick=1',
    ])
  })

  interface Step {
    readonly what: 'send' | 'transaction' | 'commit' | 'abort' | 'clean' | 'pass'
    readonly producer: number
    readonly keys: readonly number[]
    readonly isTombstone: boolean
  }

  /** Does what the steps say. @returns what a consumer of committed records knows of each key */
  const play = (stand: LogStand, steps: readonly Step[]): Map<string, string | undefined> => {
    const known = new Map<string, string | undefined>()
    const open = new Map<number, [string, string | undefined][]>()
    const states = [0, 1, 2].map(() => ({ epoch: 0, sequence: 0 }))
    const log: { offset: number; key: string; value: string | undefined }[] = []
    for (const [at, { what, producer, keys, isTombstone }] of steps.entries()) {
      const state = states[producer] as { epoch: number; sequence: number }
      const value = isTombstone ? undefined : String(at)
      const records = keys.map((key) => (isTombstone ? `k${key}` : `k${key}=${at}`))
      const pairs = keys.map((key): [string, string | undefined] => [`k${key}`, value])
      if (what === 'pass') stand.pass(1500)
      else if (what === 'clean') stand.log.clean()
      else if (what === 'send') {
        const offset = send(stand, records, { compression: at % 3 === 0 ? 'gzip' : 'none' })
        for (const [index, [key]] of pairs.entries()) log.push({ offset: offset + index, key, value })
      } else if (what === 'transaction') {
        const offset = send(stand, records, inTransaction(producer, state.epoch, state.sequence))
        state.sequence += records.length
        const sent = open.get(producer) ?? []
        open.set(producer, sent)
        for (const [index, [key]] of pairs.entries()) sent.push([`${offset + index} ${key}`, value])
      } else {
        end(stand, producer, ++state.epoch, what === 'commit')
        state.sequence = 0
        if (what === 'commit')
          for (const [place, sent] of open.get(producer) ?? []) {
            const [offset = '', key = ''] = place.split(' ')
            log.push({ offset: Number(offset), key, value: sent })
          }
        open.delete(producer)
      }
    }
    for (const producer of open.keys()) end(stand, producer, (states[producer]?.epoch ?? 0) + 1, false)
    for (const { key, value } of log.sort((a, b) => a.offset - b.offset)) known.set(key, value)
    return known
  }

  const seen = (log: PartitionLog, bytesMax: number): Map<string, string | undefined> => {
    const known = new Map<string, string | undefined>()
    for (const record of visible(log, 0, true, bytesMax)) {
      const [key = '', value] = record.slice(record.indexOf(' ') + 1).split('=')
      known.set(key, value)
    }
    return known
  }

  const step: fc.Arbitrary<Step> = fc.record({
    what: fc.constantFrom('send', 'send', 'transaction', 'transaction', 'commit', 'abort', 'clean', 'pass'),
    producer: fc.integer({ min: 0, max: 2 }),
    keys: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 3 }),
    isTombstone: fc.boolean(),
  })

  it('never changes what is known of a key, and what it leaves can be read again from a file', () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'millstream-cleaner-'))
    let run = 0
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 900 }), (steps, bytesMax) => {
        const stand = logStand(
          { ...compacted, 'delete.retention.ms': '3000' },
          path.join(directory, `${run++}`),
        )
        const expected = play(stand, steps)
        const present = (known: Map<string, string | undefined>) =>
          [...known].filter(([, value]) => value !== undefined).sort()
        expect(present(seen(stand.log, bytesMax))).toEqual(present(expected))
        const offsets = batchesOf(stand.log).map((view) => [view.baseOffset, view.lastOffset])
        expect(offsets.flat()).toEqual(offsets.flat().toSorted((a, b) => a - b))
        stand.log.close()
        const again = stand.reopen()
        expect(present(seen(again, bytesMax))).toEqual(present(expected))
        const known = (log: PartitionLog) =>
          [...log.producers()]
            .map(({ producerId, epoch, batches }) => [producerId, epoch, batches.at(-1)?.lastSequence])
            .sort()
        expect(known(again)).toEqual(known(stand.log))
        expect([again.endOffset, again.lastStableOffset]).toEqual([
          stand.log.endOffset,
          stand.log.lastStableOffset,
        ])
        again.close()
      }),
      { numRuns: 150 },
    )
    rmSync(directory, { recursive: true, force: true })
  })
})
