// The checker of the fault bench is shown what a wrong run would have left: a checker that never failed proves nothing.
import { describe, expect, it } from 'vitest'
import type { JudgedRecord } from '../../support/judge.ts'
import {
  check,
  type Evidence,
  explain,
  type Invariant,
  type Snapshot,
  type TopicDump,
} from '../../system/faults/checker.ts'
import { type Effect, nameOf, type Op, sourceHeader, writerHeader } from '../../system/faults/ops.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Row = Mutable<JudgedRecord>

const record = (offset: number, key: string, value: unknown, headers: [string, string][] = []): Row => ({
  partition: 0,
  offset,
  timestamp: 1000 + offset,
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(JSON.stringify(value)),
  headers: headers.map(([name, text]) => [name, Buffer.from(text)] as const),
})

const op = (offset: number, key: string, value: Op): Row => record(offset, key, value)

const effect = (offset: number, key: string, value: Effect, source?: string, writer = 'w1.1'): Row =>
  record(offset, key, value, [
    ...(source === undefined ? [] : [[sourceHeader, source] as [string, string]]),
    [writerHeader, writer],
  ])

interface Made {
  readonly committed: Row[]
  readonly all: Row[]
  readonly offsets: Mutable<TopicDump['offsets'][number]>[]
  readonly topic: string
}

/** A topic of one partition, with one marker at its end. */
const dump = (topic: string, records: Row[]): Made => {
  const end = (records.at(-1)?.offset ?? -1) + 2
  return {
    topic,
    committed: records,
    all: [...records],
    offsets: [{ partition: 0, earliest: 0, highWatermark: end, lastStable: end }],
  }
}

const stored = (store: string, values: Record<string, unknown>, changelogOffset: number): Snapshot => ({
  when: 'of worker 1 at the end',
  stored: {
    taskId: store === 'received' ? '1_0' : '0_0',
    partition: 0,
    store,
    checkpoint: { changelogOffset, leaderEpoch: 0, caughtUpAtMs: 0 },
    values: new Map(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)])),
  },
})

/** A right run: every kind of work once, by hand. */
const rightRun = () => ({
  ops: dump('ops', [
    op(0, 'a', { id: 'op-1', kind: 'count' }),
    op(1, 'a', { id: 'op-2', kind: 'count' }),
    op(2, 'a', { id: 'op-3', kind: 'transfer', to: 'b', amount: 5 }),
    op(3, 'b', { id: 'op-4', kind: 'append' }),
    op(4, 'b', { id: 'op-5', kind: 'count' }),
    op(5, 'b', { id: 'op-6', kind: 'delete' }),
    op(6, 'b', { id: 'op-7', kind: 'timer', delayMs: 10 }),
    op(7, 'b', { id: 'op-8', kind: 'copy', copies: 2 }),
    op(8, 'b', { id: 'op-9', kind: 'append' }),
    op(9, 'p', { id: 'op-10', kind: 'probe' }),
  ]),
  effects: dump('effects', [
    effect(0, 'a', { id: 'op-1', part: 'count', result: 1 }, 'ops/0/0'),
    effect(1, 'a', { id: 'op-2', part: 'count', result: 2 }, 'ops/0/1'),
    effect(2, 'a', { id: 'op-3', part: 'paid', result: 5 }, 'ops/0/2'),
    effect(3, 'b', { id: 'op-4', part: 'append', result: { length: 1, before: null } }, 'ops/0/3'),
    effect(4, 'b', { id: 'op-5', part: 'count', result: 1 }, 'ops/0/4'),
    effect(5, 'b', { id: 'op-6', part: 'delete', result: 1 }, 'ops/0/5'),
    effect(6, 'b', { id: 'op-3', part: 'received', result: 5 }, 'credits/0/0', 'w2.1'),
    effect(7, 'b', { id: 'op-8', part: 'copy-0', result: 0 }, 'ops/0/7', 'w1.2'),
    effect(8, 'b', { id: 'op-8', part: 'copy-1', result: 1 }, 'ops/0/7', 'w1.2'),
    effect(9, 'b', { id: 'op-9', part: 'append', result: { length: 2, before: 'op-4' } }, 'ops/0/8', 'w1.2'),
    effect(10, 'p', { id: 'op-10', part: 'probe' }, 'ops/0/9', 'w1.2'),
    effect(11, 'b', { id: 'op-7', part: 'fired' }, undefined, 'w1.2'),
  ]),
  credits: dump('credits', [record(0, 'b', { id: 'op-3', amount: 5 })]),
  changelogs: new Map([
    ['counts', dump('c', [record(0, 'a', 1), record(1, 'a', 2), record(2, 'b', 1), record(3, 'b', null)])],
    ['paid', dump('p', [record(0, 'a', 5)])],
    [
      'lists',
      dump('l', [record(0, 'b', { length: 1, last: 'op-4' }), record(1, 'b', { length: 2, last: 'op-9' })]),
    ],
    ['timers', dump('t', [record(0, 'op-7', { dueMs: 1016, key: 'b' }), record(1, 'op-7', null)])],
    ['received', dump('r', [record(0, 'b', 5)])],
  ]),
  stores: [
    stored('counts', { a: 2 }, 5),
    stored('paid', { a: 5 }, 2),
    stored('lists', { b: { length: 2, last: 'op-9' } }, 3),
    stored('timers', {}, 3),
    stored('received', { b: 5 }, 2),
  ],
  snapshots: [stored('counts', { a: 2, b: 1 }, 3)],
  committed: new Map([
    ['ops/0', 11],
    ['credits/0', 2],
  ]),
  torn: [] as Evidence['torn'][number][],
  wentBack: [] as Mutable<Evidence['wentBack'][number]>[],
  transactions: [{ transactionalId: 'app.w1.0', producerId: 1, state: 'CompleteCommit' }],
  log: [{ at: 1, life: 1, level: 'info', text: 'worker state' }],
  drain: { tookMs: 100, boundMs: 1000 },
  predicted: { rebuilt: [0, 0] as [number, number], recovered: [0, 2] as [number, number] },
})

type Run = ReturnType<typeof rightRun>

const effectAt = (run: Run, name: string): Row => {
  const found = run.effects.committed.find(
    ({ value }) => nameOf(JSON.parse(String(value)) as Effect) === name,
  )
  if (found === undefined) throw new Error(`no effect ${name}`)
  return found
}

const withResult = (row: Row, result: unknown): void => {
  const value = JSON.parse(String(row.value)) as Effect
  row.value = Buffer.from(JSON.stringify({ ...value, result }))
}

const removed = (rows: Row[], row: Row): void => void rows.splice(rows.indexOf(row), 1)

const values = (run: Run, store: string): Map<string, string> =>
  run.stores.find((one) => one.stored.store === store)?.stored.values as Map<string, string>

const logLine = (text: string, more: object = {}): Evidence['log'][number] => ({
  at: 2,
  life: 1,
  level: 'warn',
  text,
  ...more,
})

const wrongRuns: [string, Invariant, (run: Run) => void][] = [
  ['an output is missing', 'I1', (run) => removed(run.effects.committed, effectAt(run, 'op-8/copy-1'))],
  ['a timer never fired', 'I1', (run) => removed(run.effects.committed, effectAt(run, 'op-7/fired'))],
  [
    'a credit was lost on its way',
    'I1',
    (run) => removed(run.effects.committed, effectAt(run, 'op-3/received')),
  ],
  [
    'an output is there twice',
    'I1',
    (run) => run.effects.committed.push({ ...effectAt(run, 'op-10/probe'), offset: 12 }),
  ],
  [
    'an output belongs to no committed input',
    'I1',
    (run) => run.effects.committed.push(effect(12, 'a', { id: 'op-77', part: 'copy-0' }, 'ops/0/10', 'w1.2')),
  ],
  ['the committed offset lies before the end', 'I2', (run) => run.committed.set('ops/0', 10)],
  ['the committed offset lies behind the end', 'I2', (run) => run.committed.set('ops/0', 12)],
  ['the repartition topic has no offset', 'I2', (run) => run.committed.delete('credits/0')],
  ['a store lacks a key', 'I3', (run) => values(run, 'counts').delete('a')],
  ['a deleted key came back to life in a store', 'I3', (run) => values(run, 'counts').set('b', '1')],
  [
    'a store is behind the inputs, as is its changelog',
    'I3',
    (run) => {
      run.changelogs.get('lists')?.committed.pop()
      values(run, 'lists').set('b', '{"length":1,"last":"op-4"}')
    },
  ],
  ['an output was computed from old state', 'I3', (run) => withResult(effectAt(run, 'op-2/count'), 1)],
  [
    'a dead worker left a write on its disk that was not committed',
    'I3',
    (run) => void run.snapshots.push(stored('counts', { a: 3, b: 1 }, 3)),
  ],
  [
    'two outputs of a key changed places',
    'I4',
    (run) => {
      const [first, second] = [effectAt(run, 'op-1/count'), effectAt(run, 'op-2/count')]
      const { value, headers } = first
      Object.assign(first, { value: second.value, headers: second.headers })
      Object.assign(second, { value, headers })
    },
  ],
  [
    'an aborted input has an output',
    'I5',
    (run) =>
      run.effects.committed.push(effect(12, 'a', { id: 'ABORTED-1', part: 'count' }, 'ops/0/9', 'w1.2')),
  ],
  [
    'an aborted input was processed in a transaction that was aborted too',
    'I5',
    (run) => run.effects.all.push(effect(12, 'a', { id: 'ABORTED-1', part: 'count' }, 'ops/0/9')),
  ],
  ['an aborted record is in a store', 'I5', (run) => values(run, 'counts').set('ABORTED-a', '1')],
  [
    'an aborted record is in a changelog',
    'I5',
    (run) => run.changelogs.get('counts')?.all.push(record(9, 'ABORTED-a', 1)),
  ],
  [
    'a transaction came through in parts',
    'I6',
    (run) => run.torn.push({ transaction: '1:2', what: 'committed in effects-0, aborted in c-0' }),
  ],
  [
    'a process wrote on after the next one had begun',
    'I7',
    (run) => {
      // The first process comes back with an input before those of the second one.
      run.effects.committed.push(effect(12, 'c', { id: 'op-8', part: 'copy-9' }, 'ops/0/7', 'w1.1'))
    },
  ],
  ['money vanished from a store', 'I8', (run) => values(run, 'received').set('b', '4')],
  [
    'money appeared in a changelog',
    'I8',
    (run) => run.changelogs.get('paid')?.committed.push(record(1, 'c', 7)),
  ],
  [
    'a committed offset went back on the way',
    'I9',
    (run) => run.wentBack.push({ topic: 'ops', partition: 0, from: 9, to: 5 }),
  ],
  ['the end was reached too late', 'I10', (run) => void Object.assign(run.drain, { tookMs: 1001 })],
  [
    'a topic has an open transaction',
    'I10',
    (run) => void Object.assign(run.effects.offsets[0] ?? {}, { lastStable: 3 }),
  ],
  [
    'the coordinator has an open transaction',
    'I10',
    (run) => void Object.assign(run.transactions[0] ?? {}, { state: 'Ongoing' }),
  ],
  [
    'a store was rebuilt for no reason',
    'I11',
    (run) => run.log.push(logLine('a store is rebuilt from its changelog')),
  ],
  [
    'a store was not rebuilt though it had to be',
    'I11',
    (run) => void Object.assign(run.predicted, { rebuilt: [1, 1] }),
  ],
  [
    'the worker recovered again and again',
    'I11',
    (run) => run.log.push(...Array.from({ length: 3 }, () => logLine('the worker recovers'))),
  ],
  [
    'an assertion failed in the worker',
    'I11',
    (run) => run.log.push(logLine('the worker recovers', { code: 'INVARIANT_BROKEN' })),
  ],
]

describe('the checker of the fault bench', () => {
  it('finds nothing in a right run', () => {
    expect(check(rightRun())).toEqual([])
  })

  it('takes what the worker itself aborted for what it is', () => {
    const run = rightRun()
    run.effects.all.push(effect(20, 'a', { id: 'op-1', part: 'count', result: 1 }, 'ops/0/0'))
    expect(check(run)).toEqual([])
  })

  it.each(wrongRuns)('sees that %s (%s)', (_what, invariant, spoil) => {
    const run = rightRun()
    spoil(run)
    expect([...new Set(check(run).map((one) => one.invariant))]).toContain(invariant)
  })

  it('has a wrong run for each of its invariants', () => {
    expect([...new Set(wrongRuns.map(([, invariant]) => invariant))]).toEqual([
      'I1',
      'I2',
      'I3',
      'I4',
      'I5',
      'I6',
      'I7',
      'I8',
      'I9',
      'I10',
      'I11',
    ])
  })

  it('explains a failure by the record, its places in all topics and its writers', () => {
    const run = rightRun()
    run.effects.committed.push({ ...effectAt(run, 'op-10/probe'), offset: 12 })
    run.effects.all.push({ ...effectAt(run, 'op-10/probe'), offset: 12 })
    const lines = explain(check(run), run)
    expect(lines[0]).toContain('violated: I1 1 times')
    expect(lines.join('\n')).toContain(
      'output op-10/probe of the input at 0@9: expected once, found 0@10 by w1.2, 0@12 by w1.2',
    )
    expect(lines).toContain('    effects 0@12 committed by w1.2 from ops/0/9: {"id":"op-10","part":"probe"}')
  })
})
