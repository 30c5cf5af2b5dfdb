// Each verdict of the soak is shown the evidence that it has to fail on.
import { describe, expect, it } from 'vitest'
import { packRecord } from '../../support/packed-records.ts'
import { OffsetHistory } from '../../system/support/offset-watch.ts'
import { resultText, writtenBy } from '../../system/soak/ops.ts'
import { PartitionSequence } from '../../system/soak/sequence.ts'
import { type SoakEvidence, type Verdict, verdictsOf } from '../../system/soak/verdicts.ts'

type Change = (run: SoakEvidence) => Partial<SoakEvidence>

const sequence = (): PartitionSequence => {
  const one = new PartitionSequence(0)
  const value = Buffer.alloc(8)
  value.writeBigInt64BE(1n)
  one.pushInput(packRecord(0, 'a', value))
  const text = writtenBy(resultText({ part: 'count', number: 1, offset: 0, count: 1 }), 'w1.1')
  one.pushOutput(packRecord(0, 'a', text))
  return one
}

const ends = (topic: string) => ({
  topic,
  offsets: [{ partition: 0, earliest: 0, highWatermark: 2, lastStable: 2 }],
})

const rightRun = (): SoakEvidence => ({
  rate: 1,
  fedSeconds: 1,
  fed: { committed: 1, aborted: 0, behindMs: 0 },
  sequences: [sequence()],
  input: ends('numbers'),
  others: [ends('results')],
  committed: new Map([[0, 2]]),
  changelog: new Map([['a', 1]]),
  stores: new Map([['a', 1]]),
  transactions: [{ transactionalId: 'app.w1.0', producerId: 1, state: 'CompleteCommit' }],
  workers: 1,
  kills: Array.from({ length: 10 }, (_, index) => ({
    worker: 1,
    transaction: index < 7 ? 'Ongoing' : 'CompleteCommit',
  })),
  ends: [],
  log: [{ at: 1, life: 1, level: 'info', text: 'worker state' }],
  looks: 9,
  wentBack: [],
  samples: Array.from({ length: 400 }, (_, second) => ({
    atMs: second * 1000,
    memoryBytes: 100e6,
    handles: 40,
    threads: 12,
  })),
  drain: { tookMs: 10, boundMs: 100 },
})

const failed = (change: Change): Verdict[] => {
  const run = rightRun()
  return verdictsOf({ ...run, ...change(run) }).filter(({ isGood }) => isGood === false)
}

const afterOneMore = (): PartitionSequence => {
  const one = sequence()
  one.pushInput(packRecord(1, 'a', Buffer.alloc(8)))
  one.end()
  return one
}

const logged = (text: string, more: object = {}): Partial<SoakEvidence> => ({
  log: [{ at: 1, life: 1, level: 'warn', text, ...more }],
})

const open = { transactionalId: 'app.w1.0', producerId: 1, state: 'Ongoing' }
const two = new Map([['a', 2]])

const wrongRuns: [string, RegExp, Change][] = [
  ['the input came slower', /^input rate/, () => ({ rate: 2 })],
  ['a producer failed', /^input rate/, ({ fed }) => ({ fed: { ...fed, error: 'fenced' } })],
  ['an output is missing', /^I1/, () => ({ sequences: [afterOneMore()], changelog: two, stores: two })],
  ['the topic holds less than was committed', /^I1/, ({ fed }) => ({ fed: { ...fed, committed: 2 } })],
  ['the position is before the end', /^I2/, () => ({ committed: new Map([[0, 1]]) })],
  ['a changelog lacks a key', /^I3/, () => ({ changelog: new Map() })],
  ['a store has another count', /^I3/, () => ({ stores: two })],
  ['a position went back', /^I9/, () => ({ wentBack: [{ topic: 'numbers', partition: 0, from: 2, to: 1 }] })],
  ['a transaction is open', /^I10/, () => ({ transactions: [open] })],
  [
    'there are more transactional ids than workers',
    /^I10/,
    ({ transactions }) => ({ transactions: [...transactions, ...transactions] }),
  ],
  [
    'the last stable offset stands still',
    /^I10/,
    ({ others }) => ({
      others: others.map(({ topic, offsets }) => ({
        topic,
        offsets: offsets.map((one) => ({ ...one, lastStable: 1 })),
      })),
    }),
  ],
  ['the end took too long', /^I10/, () => ({ drain: { tookMs: 101, boundMs: 100 } })],
  ['a worker ended by itself', /^I11/, () => ({ ends: ['worker 1 ended by itself'] })],
  ['a store was rebuilt', /^I11/, () => logged('a store is rebuilt from its changelog')],
  ['an assertion failed', /^I11/, () => logged('x', { code: 'INVARIANT_BROKEN' })],
  [
    'too few kills were inside a transaction',
    /^kills/,
    ({ kills }) => ({ kills: kills.with(0, { worker: 1, transaction: 'Empty' }) }),
  ],
  [
    'memory grows',
    /^I12 memory/,
    ({ samples }) => ({ samples: samples.map((one) => ({ ...one, memoryBytes: 100e6 + one.atMs * 200 })) }),
  ],
  [
    'handles grow',
    /^I12 file/,
    ({ samples }) => ({
      samples: samples.map((one) => ({ ...one, handles: Math.floor(one.atMs / 10_000) })),
    }),
  ],
]

describe('the verdicts of a soak', () => {
  it('are all good after a right run', () => {
    expect(failed(() => ({}))).toEqual([])
    expect(verdictsOf(rightRun()).every(({ isGood }) => isGood)).toBe(true)
  })

  for (const [what, which, change] of wrongRuns) {
    it(`name what is wrong when ${what}`, () => {
      const found = failed(change)
      expect(found.map((one) => one.what)).toEqual([expect.stringMatching(which)])
      expect(found[0]?.text).not.toBe('')
    })
  }

  it('say nothing about the memory of a short run', () => {
    const short = { ...rightRun(), samples: rightRun().samples.slice(0, 100) }
    expect(verdictsOf(short).find(({ what }) => what.startsWith('I12 memory'))?.isGood).toBeUndefined()
  })
})

describe('the history of committed offsets', () => {
  it('notes what goes back, and forgets nothing while a look fails', () => {
    const history = new OffsetHistory()
    const at = (offset: number) => [{ topic: 't', partition: 0, offset }]
    for (const look of [at(1), at(5), [], at(5), at(4), at(6)]) history.take(look)
    expect(history.wentBack).toEqual([{ topic: 't', partition: 0, from: 5, to: 4 }])
    expect(history.looks).toBe(6)
  })
})
