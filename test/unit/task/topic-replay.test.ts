// A read-only store that is restored: up to its end and not further, in parts as they are fetched.
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { BatchBuilder } from '../../../src/record/batch-builder.ts'
import { BatchView } from '../../../src/record/batch-view.ts'
import { writeInt64 } from '../../../src/record/varint.ts'
import { int64, readOnlyStore, string, topic, topology } from '../../../src/index.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import type { AnyStore } from '../../../src/task/contracts.ts'
import type { FetchedRecords } from '../../../src/task/record-queue.ts'
import { TopicReplay, type TopicReplayOptions } from '../../../src/task/topic-replay.ts'
import type { RowPolicy } from '../../../src/task/row-failures.ts'
import { identity, TestClock } from '../state/support.ts'
import { plain } from '../record/record-arbitrary.ts'

const { graph } = topology('app', (t) => {
  t.readOnlyStore(topic('rates', { key: string, value: int64 }), {
    store: readOnlyStore('rates', { key: string, value: int64 }),
    process({ key, value }, store) {
      store.put(key, (store.get(key) ?? 0) + value)
      if (value === 13) throw new Error('unlucky')
    },
  })
})
const definition = graph.subtopologies[0]?.stores[0] as TopicReplayOptions['definition']

const open = (end: number, from = 0, policy: RowPolicy = { action: 'fail', afterRetries: 'fail' }) => {
  const engine = new MemoryEngine()
  engine.reset(identity)
  const clock = new TestClock()
  const { name, key, value } = definition
  const store = new TransactionalStore({ name, key, value, engine, clock }) as unknown as AnyStore
  const options = { definition, store, partition: 0, from, end, policy, clock, log: silentLogger }
  return { store, replay: new TopicReplay(options) }
}

/** One batch of records of one key, and where reading goes on. */
const fetched = (
  baseOffset: number,
  values: readonly number[],
  nextOffset = baseOffset + values.length,
): FetchedRecords => {
  const builder = new BatchBuilder(1024)
  for (const value of values) {
    const bytes = int64.encode(value)
    const key = Buffer.from('k')
    builder.append(1, key, 0, key.length, Buffer.from(bytes), 0, bytes.length, undefined)
  }
  const bytes = builder.seal(plain)
  writeInt64(bytes, 0, baseOffset)
  return {
    batches: [new BatchView(bytes, 0, { topic: 'rates', partition: 0 })],
    nextOffset,
    highWatermark: nextOffset,
    lastStableOffset: nextOffset,
  }
}

const stateOf = (store: AnyStore): unknown => [store.get('k'), store.checkpoint()?.changelogOffset]

describe('a replay of a topic', () => {
  it('ends inside a batch, and goes on there when more is committed', () => {
    const { store, replay } = open(2)
    expect(replay.apply(fetched(0, [1, 2, 4, 8]), 0)).toBe(2)
    expect(stateOf(store)).toEqual([3, 2])
    // What was fetched behind the end is nothing that it has: it is fetched again.
    replay.extend(3)
    expect(replay.position).toBe(2)
    replay.apply(fetched(0, [1, 2, 4]), 0)
    expect(stateOf(store)).toEqual([7, 3])
    replay.extend(1)
    expect(replay.end).toBe(3)
  })

  it('begins inside a batch', () => {
    const { store, replay } = open(4, 2)
    replay.apply(fetched(0, [1, 2, 4, 8]), 0)
    expect(stateOf(store)).toEqual([12, 4])
  })

  it('is at its end where only markers are left below it', () => {
    const { store, replay } = open(5)
    replay.apply(fetched(0, [1, 2], 9), 0)
    expect(stateOf(store)).toEqual([3, 5])
  })

  it('has what it applied on the disk, with its offset', () => {
    const { store, replay } = open(2)
    replay.apply(fetched(0, [1, 2]), 700)
    expect(store.isEmpty()).toBe(false)
    expect(store.checkpoint()).toMatchObject({ changelogOffset: 2, caughtUpAtMs: 700 })
  })

  it('stops at a record that fails, and what came before it in the part comes again', () => {
    const { store, replay } = open(3)
    expect(() => replay.apply(fetched(0, [1, 13, 4]), 0)).toThrow(
      /PROCESSING_FAILED: the function of a read-only store threw Error: unlucky.*topic rates, partition 0, offset 1, store rates/,
    )
    store.dropOverlay()
    expect(stateOf(store)).toEqual([undefined, undefined])
  })

  it('leaves a record that fails out where the policy says so, and takes back what it wrote', () => {
    for (const policy of [
      { action: 'skip', afterRetries: 'fail' },
      { action: 'retry', afterRetries: 'skip' },
    ] as const) {
      const { store, replay } = open(3, 0, policy)
      replay.apply(fetched(0, [1, 13, 4]), 0)
      expect(stateOf(store)).toEqual([5, 3])
    }
  })
})
