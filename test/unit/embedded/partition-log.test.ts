import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Marker } from '../../../src/embedded/broker-state.ts'
import { controlType } from '../../../src/record/control-record.ts'
import { batchesOf, batchOf, logStand, nameOf, patched, place, recordsOf, visible } from './log-stand.ts'

const marker = (
  producerId: number,
  producerEpoch: number,
  committed: boolean,
  coordinatorEpoch = 0,
): Marker => ({
  producerId,
  producerEpoch,
  committed,
  coordinatorEpoch,
})

const inTransaction = (producerId: number, epoch: number, sequence: number) =>
  ({ producerId, epoch, sequence, transactional: true }) as const

describe('an append', () => {
  it('gives offsets one after the other, and leaves what the CRC covers', () => {
    const { log } = logStand()
    const first = batchOf(['a=1', 'b=2'])
    expect(log.append(first, false)).toMatchObject({ errorCode: 0, baseOffset: 0, logAppendTimeMs: -1 })
    expect(log.append(batchOf(['c=3']), false)).toMatchObject({ errorCode: 0, baseOffset: 2 })
    const views = batchesOf(log)
    expect(views.flatMap(recordsOf)).toEqual(['0 a=1', '1 b=2', '2 c=3'])
    for (const view of views) view.checkCrc()
    expect(views[0]?.buffer.subarray(16, views[0].end)).toEqual(first.subarray(16))
    expect([log.startOffset, log.lastStableOffset, log.endOffset]).toEqual([0, 3, 3])
  })

  it('copies: the bytes of the request may change afterwards, and are not changed', () => {
    const { log } = logStand({ 'message.timestamp.type': 'LogAppendTime' })
    log.append(batchOf(['x=1']), false)
    const batch = batchOf(['a=1'])
    const before = Buffer.from(batch)
    log.append(batch, false)
    expect(batch).toEqual(before)
    batch.fill(0)
    expect(batchesOf(log).flatMap(recordsOf)).toEqual(['0 x=1', '1 a=1'])
  })

  it('stamps records where the topic wants it, with a CRC that fits', () => {
    const { log, now } = logStand({ 'message.timestamp.type': 'LogAppendTime' })
    expect(log.append(batchOf(['a=1'], { timestamp: 5 }), false)).toMatchObject({ logAppendTimeMs: now() })
    const [view] = batchesOf(log)
    view?.checkCrc()
    expect([view?.timestampType, view?.maxTimestamp]).toEqual(['log-append', now()])
  })

  it('sets the largest timestamp right where the producer set a wrong one', () => {
    const { log } = logStand()
    const wrong = patched(batchOf(['a=1'], { timestamp: 7 }), (batch) => batch.writeInt32BE(99, 39))
    log.append(wrong, false)
    const [view] = batchesOf(log)
    view?.checkCrc()
    expect(view?.maxTimestamp).toBe(7)
  })

  const tooLarge = batchOf([`a=${'x'.repeat(2000)}`])
  const broken = Buffer.from(batchOf(['a=1']))
  broken[65] = 0xff
  const refused: readonly [string, Record<string, string>, Buffer, string][] = [
    ['a wrong CRC', {}, broken, 'CORRUPT_MESSAGE'],
    ['more bytes than the topic takes', { 'max.message.bytes': '1000' }, tooLarge, 'MESSAGE_TOO_LARGE'],
    ['more bytes than a segment has', { 'segment.bytes': '1000' }, tooLarge, 'RECORD_LIST_TOO_LARGE'],
    ['an offset of its own', {}, patched(batchOf(['a=1']), (b) => b.writeInt8(1, 7)), 'INVALID_RECORD'],
    ['a count that is wrong', {}, patched(batchOf(['a=1']), (b) => b.writeInt32BE(2, 57)), 'INVALID_RECORD'],
    ['no records', {}, patched(batchOf(['a=1']), (b) => b.writeInt32BE(0, 57)), 'INVALID_RECORD'],
    [
      'bytes that are not what its compression says',
      {},
      patched(batchOf(['a=1'], { compression: 'gzip' }), (b) => b.fill(7, 61)),
      'UNKNOWN_SERVER_ERROR',
    ],
    ['a length beyond its end', {}, patched(batchOf(['a=1']), (b) => b.writeInt8(100, 61)), 'INVALID_RECORD'],
    ['a control batch', {}, patched(batchOf(['a=1']), (b) => b.writeInt16BE(0x20, 21)), 'INVALID_RECORD'],
    ['a producer without sequence', {}, batchOf(['a=1'], { producerId: 3, epoch: 0 }), 'INVALID_RECORD'],
    [
      'no key where it is compacted',
      { 'cleanup.policy': 'compact' },
      batchOf(['a=1', '=2']),
      'INVALID_RECORD',
    ],
    ['a timestamp of tomorrow', {}, batchOf(['a=1'], { timestamp: 90_000_000 }), 'INVALID_TIMESTAMP'],
    [
      'a timestamp of long ago',
      { 'message.timestamp.before.max.ms': '1000' },
      batchOf(['a=1'], { timestamp: 5 }),
      'INVALID_TIMESTAMP',
    ],
  ]
  it.each(refused)('is refused with %s', (_, settings, batch, error) => {
    const { log } = logStand(settings)
    const answer = log.append(batch, false)
    expect([nameOf(answer.errorCode), answer.baseOffset, log.endOffset]).toEqual([error, -1, 0])
  })

  it('says which record is wrong', () => {
    const { log } = logStand({ 'cleanup.policy': 'compact,delete' })
    const { recordErrors } = log.append(batchOf(['a=1', '=2', 'c=3', '=4']), false)
    expect(recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1, 3])
  })
})

describe('a read', () => {
  it('begins with the whole batch that holds the offset, and keeps to its limit from the second one on', () => {
    const { log } = logStand()
    for (const value of ['1', '2', '3']) log.append(batchOf([`a=${value}`, `b=${value}`]), false)
    const size = batchOf(['a=1', 'b=1']).length
    expect(log.read(3, 1, false, true)?.bytes).toBe(size)
    expect(log.read(3, 1, false, false)?.bytes).toBe(0)
    expect(log.read(1, 2 * size + 1, false, true)?.bytes).toBe(2 * size)
    expect(log.read(6, 1000, false, true)?.bytes).toBe(0)
    expect(log.read(7, 1000, false, true)).toBeUndefined()
  })

  it('ends with its segment', () => {
    const { log } = logStand({ 'segment.bytes': '200' })
    for (let n = 0; n < 6; n++) log.append(batchOf([`a=${n}`]), false)
    const size = batchOf(['a=1']).length
    expect(log.read(0, 10_000, false, true)?.bytes).toBe(Math.floor(200 / size) * size)
    expect(batchesOf(log)).toHaveLength(6)
  })

  it('knows leader epochs', () => {
    const { log, nodes } = logStand()
    const first = log.leaderEpoch
    log.append(batchOf(['a=1', 'b=2']), false)
    nodes.moveLeader(place.topic, place.partition, 2)
    nodes.moveLeader(place.topic, place.partition, 1)
    log.append(batchOf(['c=3']), false)
    expect(batchesOf(log).map((view) => view.partitionLeaderEpoch)).toEqual([first, first + 2])
    expect(log.endOfEpoch(first)).toEqual({ epoch: first, endOffset: 2 })
    expect(log.endOfEpoch(first + 1)).toEqual({ epoch: first, endOffset: 2 })
    expect(log.endOfEpoch(first + 2)).toEqual({ epoch: first + 2, endOffset: 3 })
    expect(log.endOfEpoch(first + 3)).toEqual({ epoch: -1, endOffset: -1 })
    log.deleteBelow(3)
    expect(log.firstEpoch).toBe(first + 2)
  })

  it('finds records by timestamp', () => {
    const { log } = logStand()
    log.append(batchOf(['a=1'], { timestamp: 500 }), false)
    log.append(batchOf(['b=2', 'c=3'], { timestamp: 300, compression: 'gzip' }), false)
    log.append(batchOf(['d=4'], { timestamp: 800 }), false)
    expect([0, 300, 501, 800].map((at) => log.findByTimestamp(at)?.offset)).toEqual([0, 0, 3, 3])
    expect(log.findByTimestamp(801)).toBeUndefined()
    expect(log.findNewest()).toMatchObject({ offset: 3, timestamp: 800 })
    log.deleteBelow(1)
    expect(log.findByTimestamp(300)?.offset).toBe(1)
    log.deleteBelow(2)
    expect(log.findByTimestamp(300)?.offset).toBe(2)
  })

  it('tells those who watch', () => {
    const { log } = logStand()
    let calls = 0
    const end = log.watch(() => calls++)
    log.append(batchOf(['a=1']), false)
    log.append(batchOf(['t=1'], inTransaction(1, 0, 0)), true)
    log.appendMarker(marker(1, 0, true))
    log.deleteBelow(1)
    log.append(batchOf(['=1']), false)
    expect(calls).toBe(5)
    end()
    log.append(batchOf(['a=1']), false)
    expect(calls).toBe(5)
  })
})

describe('a producer', () => {
  const send = (
    log: ReturnType<typeof logStand>['log'],
    epoch: number,
    sequence: number,
    count = 1,
  ): string => {
    const records = Array.from({ length: count }, (_, at) => `k=${at}`)
    const { errorCode, baseOffset } = log.append(batchOf(records, { producerId: 7, epoch, sequence }), false)
    return errorCode === 0 ? String(baseOffset) : nameOf(errorCode)
  }

  it('has its last five batches known, and gaps refused', () => {
    const { log } = logStand()
    expect([0, 1, 2, 3, 4, 5].map((sequence) => send(log, 0, sequence))).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
    ])
    expect([5, 3, 1].map((sequence) => send(log, 0, sequence))).toEqual(['5', '3', '1'])
    expect(send(log, 0, 0)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(send(log, 0, 7)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(send(log, 0, 5, 2)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(send(log, 0, 6)).toBe('6')
  })

  it('begins at 0 with a new epoch, and has the old one refused', () => {
    const { log } = logStand()
    expect(send(log, 0, 12)).toBe('0')
    expect(send(log, 1, 13)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(send(log, 1, 0)).toBe('1')
    expect(send(log, 0, 13)).toBe('INVALID_PRODUCER_EPOCH')
  })

  it('goes on at 0 after the largest sequence', () => {
    const { log } = logStand()
    expect(send(log, 0, 2_147_483_646)).toBe('0')
    expect(send(log, 0, 2_147_483_647, 3)).toBe('1')
    expect(send(log, 0, 2_147_483_647, 3)).toBe('1')
    expect(send(log, 0, 2)).toBe('4')
    const other = logStand().log
    expect(send(other, 0, 2_147_483_647)).toBe('0')
    expect(send(other, 0, 1)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(send(other, 0, 0)).toBe('1')
  })

  it('is forgotten when it wrote nothing for a day', () => {
    const { log, pass } = logStand({ 'retention.ms': '-1' })
    send(log, 5, 0)
    pass(86_400_001)
    log.clean()
    expect([...log.producers()]).toEqual([])
    expect(send(log, 0, 4)).toBe('1')
  })
})

describe('a transaction', () => {
  it('has to be verified once, then holds the last stable offset until its marker', () => {
    const { log } = logStand()
    expect(nameOf(log.append(batchOf(['a=1'], inTransaction(1, 0, 0)), false).errorCode)).toBe(
      'INVALID_TXN_STATE',
    )
    expect(log.append(batchOf(['a=1'], inTransaction(1, 0, 0)), true).errorCode).toBe(0)
    expect(log.append(batchOf(['a=2'], inTransaction(1, 0, 1)), false).errorCode).toBe(0)
    expect([log.lastStableOffset, log.hasOpenTransaction(1, 0), log.hasOpenTransaction(1, 1)]).toEqual([
      0,
      true,
      false,
    ])
    const plain = batchOf(['a=3'], { producerId: 1, epoch: 0, sequence: 2 })
    expect(nameOf(log.append(plain, false).errorCode)).toBe('INVALID_TXN_STATE')
    expect(log.appendMarker(marker(1, 1, true, 4))).toBe(0)
    expect([log.lastStableOffset, log.endOffset]).toEqual([3, 3])
    const view = batchesOf(log).at(-1)
    view?.checkCrc()
    expect([view && controlType(view), view?.producerEpoch, view?.sizeInBytes]).toEqual(['commit', 1, 78])
  })

  it('refuses late markers', () => {
    const { log } = logStand()
    log.append(batchOf(['a=1'], inTransaction(1, 3, 0)), true)
    expect(nameOf(log.appendMarker(marker(1, 2, true)))).toBe('INVALID_PRODUCER_EPOCH')
    expect(nameOf(log.appendMarker({ ...marker(1, 3, true), transactionVersion: 2 }))).toBe(
      'INVALID_PRODUCER_EPOCH',
    )
    expect(log.appendMarker({ ...marker(1, 4, true, 9), transactionVersion: 2 })).toBe(0)
    expect(log.appendMarker({ ...marker(1, 4, true, 9), transactionVersion: 2 })).toBe(0)
    expect(nameOf(log.appendMarker(marker(1, 4, true, 8)))).toBe('TRANSACTION_COORDINATOR_FENCED')
  })

  it('of version 2 begins with sequence 0, and with the first of the batches that came', () => {
    const { log } = logStand()
    const append = (sequence: number): string => {
      log.beginVerification(1, 0, sequence, true)
      return nameOf(log.append(batchOf(['a=1'], inTransaction(1, 0, sequence)), true).errorCode)
    }
    expect(append(4)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    log.beginVerification(1, 0, 0, true)
    expect(append(1)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(append(0)).toBe('NONE')
  })

  it('of version 1 begins with the first of the batches that came, whatever its sequence', () => {
    const { log } = logStand()
    const append = (sequence: number): string => {
      log.beginVerification(1, 0, sequence, false)
      return nameOf(log.append(batchOf(['a=1'], inTransaction(1, 0, sequence)), true).errorCode)
    }
    log.beginVerification(1, 0, 7, false)
    expect(append(8)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(append(7)).toBe('NONE')
    expect(append(8)).toBe('NONE')
  })

  it('is listed in the order of completion', () => {
    const { log } = logStand()
    log.append(batchOf(['a=1'], inTransaction(1, 0, 0)), true)
    log.append(batchOf(['b=1'], inTransaction(2, 0, 0)), true)
    log.appendMarker(marker(2, 0, false))
    log.appendMarker(marker(1, 0, false))
    const aborted = (from: number): number[] =>
      log.read(from, 1000, true, true)?.aborted.map(({ firstOffset }) => firstOffset) ?? []
    expect([aborted(0), aborted(2), aborted(3)]).toEqual([[1, 0], [1, 0], [0]])
    expect(log.read(0, 1000, false, true)?.aborted).toEqual([])
  })

  it('is filtered right, however its records are interleaved and fetched', () => {
    const step = fc.record({
      producer: fc.integer({ min: 0, max: 3 }),
      what: fc.constantFrom('send', 'send', 'send', 'commit', 'abort', 'plain'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 700 }), (steps, bytesMax) => {
        const { log } = logStand({ 'segment.bytes': '900' })
        const model = new Map<number, string>()
        const open = new Map<number, number[]>()
        const producers = [0, 1, 2, 3].map(() => ({ epoch: 0, sequence: 0 }))
        for (const [at, { producer, what }] of steps.entries()) {
          const state = producers[producer] as { epoch: number; sequence: number }
          if (what === 'plain') {
            const { baseOffset } = log.append(batchOf([`p=${at}`]), false)
            model.set(baseOffset, `${baseOffset} p=${at}`)
          } else if (what === 'send') {
            const options = inTransaction(producer, state.epoch, state.sequence++)
            const { baseOffset } = log.append(batchOf([`t=${at}`], options), true)
            model.set(baseOffset, `${baseOffset} t=${at}`)
            open.set(producer, [...(open.get(producer) ?? []), baseOffset])
          } else {
            log.appendMarker(marker(producer, ++state.epoch, what === 'commit'))
            state.sequence = 0
            if (what === 'abort') for (const offset of open.get(producer) ?? []) model.delete(offset)
            open.delete(producer)
          }
        }
        const stable = Math.min(log.endOffset, ...[...open.values()].flat())
        expect(log.lastStableOffset).toBe(stable)
        for (let from = 0; from <= log.endOffset; from++) {
          const expected = [...model]
            .filter(([offset]) => offset >= from && offset < stable)
            .map(([, text]) => text)
          expect(visible(log, from, true, bytesMax)).toEqual(expected)
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('retention', () => {
  const fill = (settings: Readonly<Record<string, string>>) => {
    const stand = logStand({ 'segment.ms': '1000', ...settings })
    for (let n = 0; n < 5; n++) {
      stand.log.append(batchOf([`a=${n}`], { timestamp: stand.now() }), false)
      stand.pass(2000)
    }
    return stand
  }

  it('drops the segments that are too old, the last one too', () => {
    const { log, pass } = fill({ 'retention.ms': '5000' })
    log.clean()
    expect([log.startOffset, batchesOf(log).length]).toEqual([3, 2])
    pass(100_000)
    log.clean()
    expect([log.startOffset, log.endOffset, batchesOf(log).length]).toEqual([5, 5, 0])
    expect(log.append(batchOf(['a=9']), false).baseOffset).toBe(5)
  })

  it('drops what is beyond the size, whole segments alone', () => {
    const size = batchOf(['a=1']).length
    const { log } = fill({ 'retention.ms': '-1', 'retention.bytes': String(2 * size + 10) })
    log.clean()
    expect(log.startOffset).toBe(2)
  })

  it('goes by the time of writing where records have no timestamp', () => {
    const { log, pass } = logStand({ 'retention.ms': '5000' })
    log.append(batchOf(['a=1'], { timestamp: -1 }), false)
    log.clean()
    expect(log.startOffset).toBe(0)
    pass(5001)
    log.clean()
    expect(log.startOffset).toBe(1)
  })

  it('leaves a topic alone that is compacted only', () => {
    const { log, pass } = fill({ 'retention.ms': '5000', 'cleanup.policy': 'compact' })
    pass(100_000)
    log.clean()
    expect(log.startOffset).toBe(0)
  })
})
