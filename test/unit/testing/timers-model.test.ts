// Timers against a naive model: a list that is sorted again for each call. Aborted transactions, restarts with and without
// the disk, and several partitions must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  int64,
  output,
  store,
  StreamRecord,
  string,
  timerStore,
  topic,
  topology,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { partitionsOf, play, restarts, turns } from './model-steps.ts'

const input = topic('in', { key: string, value: string })
const out = topic('out', { key: string, value: string })
const reminders = timerStore('reminders', { key: string })
const fires = store('fires', { key: string, value: int64 })

interface Setter {
  set(key: string, at: number, name: string): void
  cancel(key: string, name: string): void
}

/** What a record does, and what a timer does: some set others, also in the past, and some cancel. */
const onRecord = (key: string, value: string, timestamp: number, timers: Setter): void => {
  const [verb, name = '', inMs = ''] = value.split(' ')
  if (verb === 'set') timers.set(key, Math.max(0, timestamp + Number(inMs)), name)
  if (verb === 'cancel') timers.cancel(key, name)
}

const onTimer = (key: string, at: number, name: string, timers: Setter): void => {
  if (name === 'a') timers.set(key, at + 4, 'ab')
  if (name === 'ab') timers.set(key, Math.max(0, at - 3), 'b')
  if (name === 'b') timers.cancel(key, 'c')
}

const timed = topology('timed', (t) => {
  t.stream(input)
    .process({
      stores: [fires],
      timers: reminders,
      outputs: output<string, string>(),
      process({ key, value, timestamp }, { timers, wallClockTime }) {
        onRecord(key, value, timestamp, timers)
        // Of the wall clock: no one else knows its name, so that it fires once whatever is done again.
        if (value.startsWith('wall')) timers.set(key, wallClockTime + 50, value, 'wall-clock')
      },
      onTimer({ key, at, name, type }, { timers, stores, forward, wallClockTime }) {
        if (type === 'wall-clock') {
          const early = wallClockTime < at ? ' early' : ''
          forward(StreamRecord.of({ key, value: `${name}${early}`, timestamp: 0 }))
          return
        }
        const count = (stores.fires.get(key) ?? 0) + 1
        stores.fires.put(key, count)
        onTimer(key, at, name, timers)
        forward(StreamRecord.of({ key, value: `${name}@${at}#${count}`, timestamp: at }))
      },
    })
    .to(out)
})

interface Sent {
  readonly key: string
  readonly value: string
  readonly timestamp: number
}

interface Pending {
  readonly key: string
  readonly name: string
  readonly at: number
}

const inOrder = (one: Pending, other: Pending): number => {
  if (one.at !== other.at) return one.at - other.at
  const [left, right] = [one.key + one.name, other.key + other.name]
  return left === right ? one.name.length - other.name.length : left < right ? -1 : 1
}

/** What one partition comes to. */
const modelOf = (sent: readonly Sent[]) => {
  let pending: Pending[] = []
  const told: string[] = []
  const counts = new Map<string, number>()
  let time = -1
  const timers: Setter = {
    set: (key, at, name) => {
      timers.cancel(key, name)
      pending.push({ key, at, name })
    },
    cancel: (key, name) => {
      pending = pending.filter((one) => one.key !== key || one.name !== name)
    },
  }
  for (const { key, value, timestamp } of sent) {
    time = Math.max(time, timestamp)
    onRecord(key, value, timestamp, timers)
    for (;;) {
      const [first] = pending.sort(inOrder)
      if (first === undefined || first.at > time) break
      timers.cancel(first.key, first.name)
      const count = (counts.get(first.key) ?? 0) + 1
      counts.set(first.key, count)
      onTimer(first.key, first.at, first.name, timers)
      told.push(`${first.key}: ${first.name}@${first.at}#${count}`)
    }
  }
  return { told, pending: pending.sort(inOrder).map(({ key, name, at }) => `${key}: ${name}@${at}`) }
}

const name = fc.constantFrom('', 'a', 'ab', 'b', 'c')
const verb = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(name, fc.integer({ min: -5, max: 20 })).map(([one, inMs]) => `set ${one} ${inMs}`),
  },
  { weight: 1, arbitrary: name.map((one) => `cancel ${one}`) },
  { weight: 1, arbitrary: fc.constant('wall') },
  { weight: 1, arbitrary: fc.constant('nothing') },
)

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('k', 'ka', 'b', 'c'),
      verb,
      forwardMs: fc.integer({ min: -4, max: 9 }),
    }),
  },
  { ...turns, weight: 3 },
  restarts,
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
)

describe('timers under aborts and restarts', () => {
  it('are those of a naive model, and those of the wall clock fire once each', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80, size: 'max' }),
        fc.integer({ min: 1, max: 3 }),
        (steps, partitions) => {
          using driver = testDriver(timed, { partitions })
          const sent: Sent[][] = Array.from({ length: partitions }, () => [])
          const partitionOf = partitionsOf(partitions)
          let timestamp = 0
          const walls: string[] = []
          play(driver, steps, (one) => {
            if (one.kind === 'wait') return driver.advanceWallClock(30)
            timestamp = Math.max(0, timestamp + one.forwardMs)
            const value = one.verb === 'wall' ? `wall${walls.length}` : one.verb
            if (one.verb === 'wall') walls.push(`${one.key}: ${value}`)
            driver.input(input).send(one.key, value, { timestamp })
            sent[partitionOf(one.key)]?.push({ key: one.key, value, timestamp })
          })
          driver.advanceWallClock(60)

          const told = driver
            .output(out)
            .readAll()
            .map(({ key, value }) => `${key}: ${value}`)
          expect(told.filter((text) => text.includes('wall')).toSorted()).toEqual(walls.toSorted())
          const streamTold = told.filter((text) => !text.includes('wall'))
          const pending = driver.timers(reminders)
          for (const [partition, records] of sent.entries()) {
            const model = modelOf(records)
            const here = (text: string): boolean =>
              partitionOf(text.slice(0, text.indexOf(':'))) === partition
            expect(streamTold.filter(here)).toEqual(model.told)
            expect(
              pending
                .map(({ key, name: found, at }) => `${key}: ${found}@${at}`)
                .filter(here)
                .toSorted(),
            ).toEqual(model.pending.toSorted())
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})
