// Records that are taken before their turn: where the queue stands meanwhile, and how much it holds.
import { describe, expect, it } from 'vitest'
import { BatchBuilder } from '../../../src/record/batch-builder.ts'
import { BatchView } from '../../../src/record/batch-view.ts'
import { writeInt64 } from '../../../src/record/varint.ts'
import { RecordQueue } from '../../../src/task/record-queue.ts'
import { json, string, topic } from '../../../src/index.ts'
import { plain } from '../record/record-arbitrary.ts'
import type { SourceNode } from '../../../src/topology/contracts.ts'

const source: SourceNode = {
  kind: 'source',
  name: 'in-source',
  children: [],
  topic: topic('in', { key: string, value: string }) as never,
  repartition: false,
  timestampExtractor: undefined,
}

const batchOf = (baseOffset: number, records: number, timestamp = 0): BatchView => {
  const builder = new BatchBuilder(1024)
  const value = Buffer.from('value')
  for (let number = 0; number < records; number++)
    builder.append(number, value, 0, -1, value, 0, value.length, undefined)
  const bytes = builder.seal(plain)
  writeInt64(bytes, 0, baseOffset)
  if (timestamp !== 0) writeInt64(bytes, 27, timestamp)
  return new BatchView(bytes, 0, { topic: 'in', partition: 0 })
}

/** Two batches of two records, at 10 and at 20; what lies between them is no data. */
const filled = (): { readonly queue: RecordQueue; readonly batchBytes: number } => {
  const queue = new RecordQueue('in', 0, source, { offset: 10, partitionTime: -1 }, () => 0)
  const batches = [batchOf(10, 2), batchOf(20, 2)]
  queue.add({ batches, nextOffset: 25, highWatermark: 25, lastStableOffset: 25 })
  return { queue, batchBytes: (batches[0] as BatchView).sizeInBytes }
}

describe('a queue whose records are taken before their turn', () => {
  it('stands at the first one without a turn', () => {
    const { queue } = filled()
    queue.take()
    queue.take()
    expect([queue.position, queue.headOffset, queue.hasTaken]).toEqual([10, 20, true])
    queue.finishTaken()
    expect(queue.position).toBe(11)
    queue.finishTaken()
    expect([queue.position, queue.hasTaken]).toEqual([20, false])
    queue.take()
    queue.take()
    expect([queue.position, queue.hasHead]).toEqual([20, false])
    queue.finishTaken()
    queue.finishTaken()
    expect(queue.position).toBe(25)
  })

  it('holds a batch as long as one of its records is without a turn', () => {
    const { queue, batchBytes } = filled()
    expect(queue.bufferedBytes).toBe(2 * batchBytes)
    for (let taken = 0; taken < 4; taken++) queue.take()
    expect(queue.bufferedBytes).toBe(2 * batchBytes)
    queue.finishTaken()
    expect(queue.bufferedBytes).toBe(2 * batchBytes)
    queue.finishTaken()
    expect(queue.bufferedBytes).toBe(batchBytes)
    queue.finishTaken()
    queue.finishTaken()
    expect(queue.bufferedBytes).toBe(0)
  })

  it('holds no batch that had its turn while the next one is read', () => {
    const { queue, batchBytes } = filled()
    queue.take()
    queue.finishTaken()
    queue.take()
    queue.finishTaken()
    expect(queue.bufferedBytes).toBe(batchBytes)
  })

  it('is as late as those that had their turn', () => {
    const { queue } = filled()
    queue.take()
    queue.take()
    expect(queue.partitionTime).toBe(-1)
    queue.finishTaken()
    expect(queue.partitionTime).toBe(0)
    queue.finishTaken()
    expect(queue.partitionTime).toBe(1)
  })

  it('forgets them when it goes back', () => {
    const { queue } = filled()
    for (let taken = 0; taken < 3; taken++) queue.take()
    queue.reset(10)
    expect([queue.position, queue.hasTaken, queue.bufferedBytes]).toEqual([10, false, 0])
  })
})

describe('the memory of batches', () => {
  const withMemory = (letsMemoryGo: boolean): { readonly queue: RecordQueue; readonly gone: number[] } => {
    const gone: number[] = []
    const queue = new RecordQueue('in', 0, source, { offset: 10, partitionTime: -1 }, () => 0)
    queue.letsMemoryGo = letsMemoryGo
    const batches = [batchOf(10, 2), batchOf(20, 2)]
    for (const batch of batches) batch.memory = { release: () => gone.push(batch.baseOffset) }
    queue.add({ batches, nextOffset: 25, highWatermark: 25, lastStableOffset: 25 })
    return { queue, gone }
  }

  it('is let go with the last record of each, and not before', () => {
    const { queue, gone } = withMemory(true)
    const seen: number[][] = []
    for (; queue.hasHead; queue.pop()) seen.push([queue.headOffset, ...gone])
    expect(seen).toEqual([[10], [11], [20, 10], [21, 10]])
    expect(gone).toEqual([10, 20])
    queue.add({ batches: [], nextOffset: 30, highWatermark: 30, lastStableOffset: 30 })
    expect(gone).toEqual([10, 20])
  })

  it('stays where records may be kept, and where a batch was thrown away', () => {
    const kept = withMemory(false)
    while (kept.queue.hasHead) kept.queue.pop()
    expect(kept.gone).toEqual([])
    const { queue, gone } = withMemory(true)
    queue.pop()
    queue.reset(10)
    queue.add({ batches: [batchOf(10, 2)], nextOffset: 12, highWatermark: 12, lastStableOffset: 12 })
    while (queue.hasHead) queue.pop()
    expect(gone).toEqual([])
  })
})

describe('a queue whose record has a timestamp that is none', () => {
  it.each([-1, 2 ** 53, 2 ** 60])('refuses %d, and that record alone', (timestamp) => {
    const queue = new RecordQueue('in', 0, source, { offset: 10, partitionTime: -1 }, () => 0)
    queue.add({
      batches: [batchOf(10, 1, timestamp), batchOf(11, 1)],
      nextOffset: 12,
      highWatermark: 12,
      lastStableOffset: 12,
    })
    expect(() => queue.head()).toThrow('TIMESTAMP_INVALID')
    queue.pop()
    expect([queue.head().timestamp, queue.headTimestamp]).toEqual([0, 0])
  })
})

describe('a queue with a timestamp extractor', () => {
  it('hands on what stands in the batch, also where the extractor changed what it had', () => {
    const numbers = { key: string, value: json() }
    const extract = ({ value }: { readonly value: unknown }): number => (value as number[]).splice(0).length
    const extracting = {
      ...source,
      topic: topic('in', numbers) as never,
      timestampExtractor: extract as never,
    }
    const queue = new RecordQueue('in', 0, extracting, { offset: 10, partitionTime: -1 }, () => 0)
    const value = Buffer.from('[1,2,3]')
    const builder = new BatchBuilder(1024)
    builder.append(0, value, 0, -1, value, 0, value.length, undefined)
    const bytes = builder.seal(plain)
    writeInt64(bytes, 0, 10)
    const batch = new BatchView(bytes, 0, { topic: 'in', partition: 0 })
    queue.add({ batches: [batch], nextOffset: 11, highWatermark: 11, lastStableOffset: 11 })
    expect([queue.headTimestamp, queue.head().timestamp, queue.head().value]).toEqual([3, 3, [1, 2, 3]])
  })
})
