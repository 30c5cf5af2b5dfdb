// What a task does with records whose schemas are not here yet: nothing of their batch is looked at, and whatever meets one
// elsewhere waits as well, without being counted as a failure.
import { describe, expect, it } from 'vitest'
import { MillstreamError } from '../../../src/errors.ts'
import { BatchBuilder } from '../../../src/record/batch-builder.ts'
import { readBatches } from '../../../src/record/batch-view.ts'
import type { RemoteSerde } from '../../../src/serde/remote.ts'
import type { Serde } from '../../../src/serde/serde.ts'
import { string } from '../../../src/serde/text.ts'
import { PartitionGroup } from '../../../src/task/partition-group.ts'
import { RecordQueue } from '../../../src/task/record-queue.ts'
import type { SourceNode, TopicDefinition } from '../../../src/topology/contracts.ts'
import { plain } from '../record/record-arbitrary.ts'

/** Records of one byte, which is the id of their schema. */
class Schemas {
  readonly here = new Set<number>()
  readonly asked: number[] = []
  readonly serde: Serde<number>

  constructor() {
    const remote: RemoteSerde = {
      source: {
        name: 'schemas',
        open: () => expect.unreachable(),
        settled: (id) => {
          if (!this.here.has(id)) this.asked.push(id)
          return this.here.has(id)
        },
        awaited: [],
        failures: 0,
      },
      idOf: (bytes, start) => bytes[start] ?? -1,
      prepare: async () => {},
      prepareAlone: () => {},
    }
    this.serde = {
      name: 'one',
      remote,
      encode: (id) => Uint8Array.of(id),
      decode: ([id = 0]) => {
        if (!this.here.has(id)) throw new MillstreamError('SCHEMA_PENDING', { what: `schema ${id}` })
        return id
      },
    }
  }
}

const sourceOf = (
  topic: Pick<TopicDefinition, 'key' | 'value'>,
  extract?: (value: unknown) => number,
): SourceNode => ({
  kind: 'source',
  name: 'source',
  children: [],
  topic: { name: 'topic', ...topic },
  repartition: false,
  timestampExtractor: extract && (({ value }) => extract(value)),
})

const batchAt = (baseOffset: number, ids: readonly number[]) => {
  const builder = new BatchBuilder(256)
  const key = Buffer.from('k')
  for (const id of ids) builder.append(1000 + id, key, 0, 1, Buffer.of(id), 0, 1, undefined)
  const bytes = Buffer.from(builder.seal(plain))
  bytes.writeBigInt64BE(BigInt(baseOffset), 0)
  return [...readBatches(bytes, 0, bytes.length, { topic: 'topic', partition: 0 })]
}

const fetched = (baseOffset: number, ...batches: number[][]) => {
  let offset = baseOffset
  const views = batches.flatMap((ids) => {
    const read = batchAt(offset, ids)
    offset += ids.length
    return read
  })
  return { batches: views, nextOffset: offset, highWatermark: offset, lastStableOffset: offset }
}

const start = { offset: 0, partitionTime: -1 }

const drain = (queue: RecordQueue): unknown[] => {
  const values: unknown[] = []
  while (queue.hasHead) {
    values.push(queue.head().value)
    queue.pop()
  }
  return values
}

describe('a queue', () => {
  it('holds a batch back until all of its schemas are there, and asks for all at once', () => {
    const schemas = new Schemas()
    const queue = new RecordQueue('topic', 0, sourceOf({ key: string, value: schemas.serde }), start, () => 0)
    schemas.here.add(1)
    queue.add(fetched(0, [1, 1], [1, 2, 3, 2]))
    expect(drain(queue)).toEqual([1, 1])
    expect(queue).toMatchObject({ isHeldBack: true, caughtUp: false, position: 2, hasHead: false })
    expect(queue.bufferedBytes).toBeGreaterThan(0)
    expect([...new Set(schemas.asked)]).toEqual([2, 3])
    schemas.here.add(2)
    queue.tryGate()
    expect(queue).toMatchObject({ isHeldBack: true, position: 2 })
    schemas.here.add(3)
    queue.tryGate()
    expect(drain(queue)).toEqual([1, 2, 3, 2])
    expect(queue).toMatchObject({ isHeldBack: false, caughtUp: true, position: 6, bufferedBytes: 0 })
  })

  it('does not let a timestamp extractor see such records', () => {
    const schemas = new Schemas()
    const source = sourceOf({ key: string, value: schemas.serde }, (value) => 5000 + (value as number))
    const queue = new RecordQueue('topic', 0, source, start, () => 0)
    queue.add(fetched(0, [4]))
    expect(queue.hasHead).toBe(false)
    schemas.here.add(4)
    queue.tryGate()
    expect(queue.headTimestamp).toBe(5004)
  })

  it('waits at a record whose schema its timestamp extractor misses behind the gate', () => {
    const schemas = new Schemas()
    const { serde } = schemas
    // Known not to exist when the batch comes up, and asked for again when it is read.
    const remote = { ...(serde.remote as RemoteSerde), idOf: () => -1 }
    const source = sourceOf({ key: string, value: { ...serde, remote } }, (value) => 5000 + (value as number))
    const queue = new RecordQueue('topic', 0, source, start, () => 0)
    schemas.here.add(1)
    queue.add(fetched(0, [1, 4, 1]))
    queue.pop()
    expect(queue).toMatchObject({ isHeldBack: true, caughtUp: false, position: 1, hasHead: false })
    queue.add(fetched(3, [1]))
    queue.tryGate()
    expect(queue).toMatchObject({ isHeldBack: true, position: 1, hasHead: false, partitionTime: 5001 })
    schemas.here.add(4)
    queue.tryGate()
    expect(queue).toMatchObject({ isHeldBack: false, headTimestamp: 5004, headOffset: 1 })
    expect(drain(queue)).toEqual([4, 1, 1])
    expect(queue).toMatchObject({ caughtUp: true, position: 4, bufferedBytes: 0 })
  })

  it('does not wait at a record any more when it goes back', () => {
    const schemas = new Schemas()
    const { serde } = schemas
    const remote = { ...(serde.remote as RemoteSerde), idOf: () => -1 }
    const source = sourceOf({ key: string, value: { ...serde, remote } }, (value) => 5000 + (value as number))
    const queue = new RecordQueue('topic', 0, source, start, () => 0)
    queue.add(fetched(0, [4, 1]))
    queue.reset(1)
    schemas.here.add(1)
    queue.add(fetched(1, [1]))
    expect(drain(queue)).toEqual([1])
  })

  it('forgets what it waited for when it goes back', () => {
    const schemas = new Schemas()
    const queue = new RecordQueue('topic', 0, sourceOf({ key: string, value: schemas.serde }), start, () => 0)
    queue.add(fetched(0, [4]))
    queue.reset(0)
    expect(queue.isHeldBack).toBe(false)
    schemas.here.add(4)
    queue.add(fetched(0, [4]))
    expect(drain(queue)).toEqual([4])
  })

  it('looks at keys, too', () => {
    const schemas = new Schemas()
    const queue = new RecordQueue('topic', 0, sourceOf({ key: schemas.serde, value: string }), start, () => 0)
    queue.add(fetched(0, [4]))
    expect(queue.isHeldBack).toBe(true)
    expect(schemas.asked).toEqual(['k'.charCodeAt(0)])
  })
})

describe('bytes that are decoded too early', () => {
  it('are not taken for bad ones', () => {
    const schemas = new Schemas()
    const remote = { ...(schemas.serde.remote as RemoteSerde), idOf: () => -1 }
    const queue = new RecordQueue(
      'topic',
      0,
      sourceOf({ key: string, value: { ...schemas.serde, remote } }),
      start,
      () => 0,
    )
    queue.add(fetched(0, [4]))
    expect(() => queue.head().value).toThrow(expect.objectContaining({ code: 'SCHEMA_PENDING' }))
  })
})

describe('the partitions of a task', () => {
  it('wait together', () => {
    const schemas = new Schemas()
    const waiting = new RecordQueue(
      'topic',
      0,
      sourceOf({ key: string, value: schemas.serde }),
      start,
      () => 0,
    )
    const other = new RecordQueue('topic', 1, sourceOf({ key: string, value: string }), start, () => 0)
    const group = new PartitionGroup([waiting, other], { maxTaskIdleMs: -1, now: () => 0 })
    waiting.add(fetched(0, [4]))
    other.add(fetched(0, [9]))
    expect(group.next()).toBeUndefined()
    expect(group.nextBehindGate()).toBeUndefined()
    expect(group).toMatchObject({ isHeldBack: true, drained: false, awaited: [waiting], idleUntilMs: 10 })
    schemas.here.add(4)
    expect(group.nextBehindGate()).toBe(waiting)
    expect(group.isHeldBack).toBe(false)
  })
})
