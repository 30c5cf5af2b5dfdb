// Joins of streams against a naive model: every record in order, both sides in lists. Aborted transactions, restarts with
// and without the disk, and several partitions must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { int64, joinStore, nullable, string, topic, topology, within } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { partitionsOf, play, restarts, turns } from './model-steps.ts'

// Both sides in one topic: which of two topics goes first after an abort is up to what is buffered.
const input = topic('in', { key: nullable(string), value: nullable(int64) })
const ofLeft = { key: 'side', value: Buffer.from('left') }
const results = { key: nullable(string), value: string }
const outs = {
  inner: topic('inner', results),
  left: topic('left', results),
  outer: topic('outer', results),
} as const
const lates = {
  inner: topic('inner-late', results),
  left: topic('left-late', results),
  outer: topic('outer-late', results),
} as const
const windowsOf = {
  inner: within({ beforeMs: 5, afterMs: 3, graceMs: 4 }),
  left: within({ beforeMs: 0, afterMs: 6, graceMs: 3 }),
  outer: within({ beforeMs: 4, afterMs: 7, graceMs: 0 }),
} as const

type Kind = keyof typeof outs
const kinds: readonly Kind[] = ['inner', 'left', 'outer']

const shown = (left: number | undefined, right: number | undefined): string =>
  `${left ?? 'none'}+${right ?? 'none'}`
const storeOf = (name: Kind) => joinStore(`${name}-join`, { key: string, left: int64, right: int64 })

const joins = topology('joins', (t) => {
  const { left, right } = t.stream(input).branch({
    left: ({ headers }) => headers.length > 0,
    right: () => true,
  })
  const joined = {
    inner: left.join(right, shown, windowsOf.inner, storeOf('inner')),
    left: left.leftJoin(right, shown, windowsOf.left, storeOf('left')),
    outer: left.outerJoin(right, shown, windowsOf.outer, storeOf('outer')),
  }
  for (const kind of kinds) {
    joined[kind].to(outs[kind])
    joined[kind]
      .lateLeft()
      .mapValues((value) => `left ${value}`)
      .to(lates[kind])
    joined[kind]
      .lateRight()
      .mapValues((value) => `right ${value}`)
      .to(lates[kind])
  }
})

interface Sent {
  readonly isLeft: boolean
  readonly key: string | null
  readonly value: number | null
  readonly timestamp: number
}

interface Met extends Sent {
  readonly key: string
  readonly value: number
  waits: boolean
  isTold: boolean
}

/** What one partition of one join comes to. */
const modelOf = (sent: readonly Sent[], kind: Kind): { results: string[]; late: string[] } => {
  const { beforeMs, afterMs, graceMs } = windowsOf[kind]
  const isOuter = (isLeft: boolean): boolean => kind === 'outer' || (kind === 'left' && isLeft)
  const closesAt = ({ isLeft, timestamp }: Sent): number =>
    timestamp + (isLeft ? afterMs : beforeMs) + graceMs
  const met: Met[] = []
  const told: string[] = []
  const late: string[] = []
  let time = -1
  let closing = -1
  const tell = (key: string | null, left: Sent | undefined, right: Sent | undefined): void => {
    const timestamp = Math.max(left?.timestamp ?? 0, right?.timestamp ?? 0)
    told.push(`${key}=${shown(left?.value ?? undefined, right?.value ?? undefined)}/${timestamp}`)
  }
  const alone = (one: Sent): void =>
    one.isLeft ? tell(one.key, one, undefined) : tell(one.key, undefined, one)
  for (const one of sent) {
    const { isLeft, key, value, timestamp } = one
    time = Math.max(time, timestamp)
    if (key === null && value !== null && isOuter(isLeft)) alone(one)
    if (key !== null && value !== null) {
      if (timestamp === time) closing = time
      if (closesAt(one) < time) late.push(`${key}=${isLeft ? 'left' : 'right'} ${value}/${timestamp}`)
      const others = met.filter((other) => other.isLeft !== isLeft)
      const latest = Math.max(-1, ...others.map((other) => other.timestamp))
      const found = others
        .filter((other) => {
          const laterMs = isLeft ? other.timestamp - timestamp : timestamp - other.timestamp
          const isKept = other.timestamp > latest - (beforeMs + afterMs + graceMs)
          return other.key === key && !other.isTold && isKept && laterMs >= -beforeMs && laterMs <= afterMs
        })
        .sort((first, second) => first.timestamp - second.timestamp)
      for (const other of found) {
        other.waits = false
        if (isLeft) tell(key, one, other)
        else tell(key, other, one)
      }
      met.push({ ...one, key, value, waits: found.length === 0 && isOuter(isLeft), isTold: false })
    }
    const closed = met
      .filter((other) => other.waits && closesAt(other) < closing)
      .sort(
        (first, second) =>
          closesAt(first) - closesAt(second) ||
          Number(first.isLeft) - Number(second.isLeft) ||
          (first.key < second.key ? -1 : Number(first.key > second.key)),
      )
    for (const other of closed) {
      other.waits = false
      other.isTold = true
      alone(other)
    }
  }
  return { results: told, late }
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      isLeft: fc.boolean(),
      key: fc.option(fc.constantFrom('a', 'b', 'c'), { freq: 12 }),
      value: fc.option(fc.integer({ min: 0, max: 99 }), { freq: 12 }),
      forwardMs: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 0, max: 2 }) },
        { weight: 4, arbitrary: fc.integer({ min: -8, max: 8 }) },
        { weight: 1, arbitrary: fc.integer({ min: -60, max: 60 }) },
      ),
    }),
  },
  turns,
  restarts,
)

describe('joins of streams under aborts and restarts', () => {
  it('are those of a naive model', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 100, size: 'max' }),
        fc.integer({ min: 1, max: 2 }),
        (steps, partitions) => {
          using driver = testDriver(joins, { partitions })
          const sent: Sent[][] = Array.from({ length: partitions }, () => [])
          const partitionOfKey = partitionsOf(partitions)
          const partitionOf = (key: string | null): number => (key === null ? 0 : partitionOfKey(key))
          let timestamp = 0
          play(driver, steps, (one) => {
            const { isLeft, key, value } = one
            timestamp = Math.max(0, timestamp + one.forwardMs)
            const partition = partitionOf(key)
            const headers = isLeft ? [ofLeft] : []
            driver.input(input).send(key, value, { timestamp, partition, headers })
            sent[partition]?.push({ isLeft, key, value, timestamp })
          })
          for (const kind of kinds) {
            const models = sent.map((records) => modelOf(records, kind))
            for (const [out, of] of [
              [outs, 'results'],
              [lates, 'late'],
            ] as const) {
              const told = driver
                .output(out[kind])
                .readAll()
                .map(({ key, value, timestamp: at }) => `${key}=${value}/${at}`)
              const expected = models.flatMap((model) => model[of])
              if (partitions === 1) expect(told, `${kind} ${of}`).toEqual(expected)
              else expect(told.toSorted(), `${kind} ${of}`).toEqual(expected.toSorted())
            }
          }
        },
      ),
      { numRuns: 120 },
    )
  }, 60_000)
})
