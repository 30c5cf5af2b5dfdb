// Where a read-only store begins and ends when its task is opened: at what the disk has, and at what the group has committed.
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { int64, readOnlyStore, string, topic, topology } from '../../../src/index.ts'
import { restoreJobs, type StoreParts } from '../../../src/runtime/task-stores.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import type { AnyStore } from '../../../src/task/contracts.ts'
import type { OutputTopic } from '../../../src/task/record-collector.ts'
import type { StoreDefinition } from '../../../src/topology/contracts.ts'
import { identity, TestClock } from '../state/support.ts'

const { graph } = topology('app', (t) => {
  t.readOnlyStore(topic('rates', { key: string, value: int64 }), {
    store: readOnlyStore('rates', { key: string, value: int64 }),
  })
})
const subtopology = graph.subtopologies[0] as (typeof graph.subtopologies)[0]
const definition = subtopology.stores[0] as StoreDefinition
const hourMs = 3_600_000

interface Given {
  /** Of the disk; undefined: it is empty. */
  readonly known?: number
  readonly logStart?: number
  readonly end?: number
  readonly committed: number | undefined
  /** How long ago it was caught up. */
  readonly ageMs?: number
  /** The topic has only one partition. */
  readonly partition?: number
}

const jobOf = ({ known, logStart = 0, end = 100, committed, ageMs = 0, partition = 0 }: Given) => {
  const engine = new MemoryEngine()
  engine.reset(identity)
  const clock = new TestClock()
  const { name, key, value } = definition
  const store = new TransactionalStore({ name, key, value, engine, clock }) as unknown as AnyStore
  if (known !== undefined) {
    store.mark()
    store.put('old', 1)
    store.commitOverlay({ changelogOffset: known, leaderEpoch: -1, caughtUpAtMs: 0 })
    store.flush()
  }
  clock.ms = ageMs
  const changelog = { name: 'rates', partitions: 1 } as OutputTopic
  const stores = new Map([['rates', { definition, store, changelog, identity }]])
  const plan = { id: `0_${partition}`, partition, subtopology, inputs: [] }
  const at = (offset: number) => [{ topic: 'rates', partition: 0, offset, leaderEpoch: -1 }]
  const [job] = restoreJobs(
    {
      ports: { clock },
      settings: { onFailure: 'fail', afterRetries: 'fail' },
      catalog: { deleteRetentionMs: () => 24 * hourMs },
      log: silentLogger,
    } as unknown as StoreParts,
    { plan, stores },
    {
      starts: at(logStart),
      ends: at(end),
      committed: new Map(committed === undefined ? [] : [['rates-0', { offset: committed }]]),
    },
  )
  return job && { from: job.from, to: job.to, end: job.replay?.end, kept: store.get('old') === 1 }
}

describe('a read-only store is restored', () => {
  const cases: Readonly<Record<string, readonly [Given, ReturnType<typeof jobOf>]>> = {
    'up to what is committed, and not to the end': [
      { committed: 40 },
      { from: 0, to: 40, end: 40, kept: false },
    ],
    'from where the disk is': [
      { known: 30, committed: 40 },
      { from: 30, to: 40, end: 40, kept: true },
    ],
    'not at all where the disk is there': [
      { known: 40, committed: 40 },
      { from: 40, to: 40, end: 40, kept: true },
    ],
    'anew where the disk is further than what is committed': [
      { known: 50, committed: 40 },
      { from: 0, to: 40, end: 40, kept: false },
    ],
    'anew where the topic was cut behind the disk': [
      { known: 30, logStart: 35, committed: 40 },
      { from: 35, to: 40, end: 40, kept: false },
    ],
    'anew where tombstones may be gone that the disk has not seen': [
      { known: 30, committed: 40, ageMs: 13 * hourMs },
      { from: 0, to: 40, end: 40, kept: false },
    ],
    'with nothing where nothing is committed': [
      { logStart: 5, committed: -1 },
      { from: 5, to: 5, end: 5, kept: false },
    ],
    'with nothing where nothing is committed, although the disk has something': [
      { known: 30, committed: undefined },
      { from: 0, to: 0, end: 0, kept: false },
    ],
    'with nothing where all that is committed was cut away': [
      { logStart: 60, committed: 40 },
      { from: 40, to: 40, end: 40, kept: false },
    ],
    'up to the end where the topic lost more than that': [
      { end: 30, committed: 40 },
      { from: 0, to: 30, end: 30, kept: false },
    ],
    'not where its topic has no such partition': [{ committed: undefined, partition: 1 }, undefined],
  }

  it.each(Object.entries(cases))('%s', (_, [given, wanted]) => {
    expect(jobOf(given)).toEqual(wanted)
  })
})
