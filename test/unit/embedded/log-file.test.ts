import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PartitionLog } from '../../../src/embedded/partition-log.ts'
import { batchesOf, batchOf, logStand, nameOf, place, recordsOf, visible } from './log-stand.ts'

let directory = ''
let file = ''

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'millstream-log-'))
  file = path.join(directory, '0.log')
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

const inTransaction = (producerId: number, epoch: number, sequence: number) =>
  ({ producerId, epoch, sequence, transactional: true }) as const

const bytesOf = (log: PartitionLog): Buffer => {
  const views = batchesOf(log)
  return Buffer.concat(views.map(({ buffer, start, end }) => buffer.subarray(start, end)))
}

const stateOf = (log: PartitionLog) => ({
  bounds: [log.startOffset, log.lastStableOffset, log.endOffset],
  producers: [...log.producers()],
  open: [...log.openTransactions()],
  aborted: log.read(log.startOffset, 1_000_000, true, true)?.aborted,
  epoch: log.leaderEpoch,
})

describe('the file of a log', () => {
  it('comes with the first record, and holds each before its append is answered', () => {
    const { log } = logStand({}, file)
    expect(existsSync(file)).toBe(false)
    log.append(batchOf(['a=1']), false)
    log.append(batchOf(['b=2']), false)
    expect(readFileSync(file)).toEqual(bytesOf(log))
  })

  it('brings everything back: records, producers, transactions, epochs', () => {
    const { log, nodes, reopen } = logStand({}, file)
    log.append(batchOf(['a=1', 'b=2'], { producerId: 5, epoch: 2, sequence: 7 }), false)
    log.append(batchOf(['c=3'], inTransaction(1, 0, 0)), true)
    log.append(batchOf(['d=4'], inTransaction(2, 0, 0)), true)
    nodes.moveLeader(place.topic, place.partition, 2)
    log.append(batchOf(['e=5'], { ...inTransaction(3, 4, 0), compression: 'zstd' }), true)
    log.appendMarker({ producerId: 2, producerEpoch: 1, committed: false, coordinatorEpoch: 3 })
    log.appendMarker({ producerId: 3, producerEpoch: 4, committed: true, coordinatorEpoch: 3 })
    const before = stateOf(log)
    log.close()
    const again = reopen()
    expect(stateOf(again)).toEqual(before)
    expect(before.aborted).toEqual([])
    expect(batchesOf(again).flatMap(recordsOf)).toEqual(batchesOf(log).flatMap(recordsOf))
    again.appendMarker({ producerId: 1, producerEpoch: 1, committed: true, coordinatorEpoch: 3 })
    expect(visible(again, 0, true, 1000)).toEqual(['0 a=1', '1 b=2', '2 c=3', '4 e=5'])
    const repeated = again.append(batchOf(['a=1', 'b=2'], { producerId: 5, epoch: 2, sequence: 7 }), false)
    expect([nameOf(repeated.errorCode), repeated.baseOffset]).toEqual(['NONE', 0])
  })

  it('has a torn end cut off, wherever the write ended', () => {
    const { log, reopen } = logStand({}, file)
    log.append(batchOf(['a=1']), false)
    const whole = statSync(file).size
    log.append(batchOf(['b=2', 'c=3']), false)
    log.close()
    const bytes = readFileSync(file)
    for (let size = whole; size < bytes.length; size++) {
      writeFileSync(file, bytes.subarray(0, size))
      const again = reopen()
      expect([again.endOffset, statSync(file).size]).toEqual([1, whole])
      expect(again.append(batchOf(['d=4']), false).baseOffset).toBe(1)
      again.close()
      expect(reopen().endOffset).toBe(2)
    }
  })

  it('has all cut off from the first wrong byte on', () => {
    const { log, reopen } = logStand({}, file)
    for (const key of ['a', 'b', 'c']) log.append(batchOf([`${key}=1`]), false)
    log.close()
    const bytes = readFileSync(file)
    const size = bytes.length / 3
    bytes[size + 65] = (bytes[size + 65] ?? 0) ^ 1
    writeFileSync(file, bytes)
    expect(reopen().endOffset).toBe(1)
    expect(statSync(file).size).toBe(size)
    appendFileSync(file, Buffer.alloc(100))
    expect(reopen().endOffset).toBe(1)
  })

  it('remembers where the log begins, and keeps the end of a log without records', () => {
    const { log, reopen } = logStand({}, file)
    for (let n = 0; n < 3; n++) log.append(batchOf([`a=${n}`, `b=${n}`]), false)
    log.deleteBelow(3)
    log.close()
    const again = reopen()
    expect(stateOf(again)).toEqual(stateOf(log))
    expect(visible(again, 3, false, 1000)).toEqual(['3 b=1', '4 a=2', '5 b=2'])
    again.deleteBelow(6)
    again.close()
    const empty = reopen()
    expect([empty.startOffset, empty.endOffset]).toEqual([6, 6])
    expect(empty.append(batchOf(['z=1']), false).baseOffset).toBe(6)
  })

  it('is written anew when most of it is gone', () => {
    const { log, reopen } = logStand({ 'max.message.bytes': '5000000' }, file)
    for (let n = 0; n < 3; n++) log.append(batchOf([`a=${'x'.repeat(800_000)}`]), false)
    log.deleteBelow(2)
    expect(statSync(file).size).toBeGreaterThan(2_000_000)
    log.append(batchOf(['b=1']), false)
    log.deleteBelow(3)
    expect(statSync(file).size).toBeLessThan(1000)
    log.append(batchOf(['c=2']), false)
    log.close()
    const again = reopen()
    expect(visible(again, 3, false, 1000)).toEqual(['3 b=1', '4 c=2'])
    again.append(batchOf([`a=${'x'.repeat(2_000_000)}`]), false)
    again.deleteBelow(6)
    expect(statSync(file).size).toBeLessThan(100)
    again.close()
    expect([reopen().startOffset, reopen().endOffset]).toEqual([6, 6])
  })

  it('larger than what is read at once', () => {
    const { log, reopen } = logStand({ 'max.message.bytes': '9000000' }, file)
    const sizes = [3_000_000, 5_000_000, 100, 4_000_000]
    for (const size of sizes) log.append(batchOf([`a=${'x'.repeat(size)}`]), false)
    log.close()
    expect(batchesOf(reopen())).toHaveLength(sizes.length)
  })
})
