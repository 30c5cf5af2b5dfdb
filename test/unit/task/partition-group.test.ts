// Which record of a task with several inputs is next, and when it waits for one.
import { describe, expect, it } from 'vitest'
import { PartitionGroup } from '../../../src/task/partition-group.ts'
import type { RecordQueue } from '../../../src/task/record-queue.ts'

interface Input {
  headTimestamp: number
  hasHead: boolean
  caughtUp: boolean
}

const empty = (): Input => ({ headTimestamp: -1, hasHead: false, caughtUp: true })
const at = (headTimestamp: number): Input => ({ headTimestamp, hasHead: true, caughtUp: true })

/** A group over inputs whose state a test changes. */
const groupOf = (maxTaskIdleMs: number, ...inputs: Input[]) => {
  const clock = { now: 1000 }
  const queues = inputs as unknown as RecordQueue[]
  const group = new PartitionGroup(queues, { maxTaskIdleMs, now: () => clock.now })
  const indexOf = (queue: RecordQueue | undefined): number => queues.indexOf(queue as RecordQueue)
  return {
    group,
    clock,
    next: () => indexOf(group.next()),
    awaited: () => group.awaited.map(indexOf),
  }
}

describe('the next record', () => {
  it('is the one with the lowest timestamp, of the first input where several have it', () => {
    const { next } = groupOf(0, at(20), at(10), at(10))
    expect(next()).toBe(1)
  })

  it('waits as long as an empty input is known to have records', () => {
    const input = empty()
    const { next, awaited, clock } = groupOf(0, at(20), input)
    input.caughtUp = false
    expect([next(), awaited()]).toEqual([-1, [1]])
    clock.now += 1e9
    expect(next()).toBe(-1)
    input.caughtUp = true
    expect([next(), awaited()]).toEqual([0, []])
  })

  it('waits for an input that has nothing more as long as was asked for', () => {
    const input = empty()
    const { next, awaited, group, clock } = groupOf(100, at(20), input)
    expect([next(), awaited(), group.idleUntilMs]).toEqual([-1, [1], 1100])
    clock.now = 1099
    expect(next()).toBe(-1)
    clock.now = 1100
    expect([next(), awaited(), group.idleUntilMs]).toEqual([0, [], Number.POSITIVE_INFINITY])
    clock.now = 9000
    expect(next()).toBe(0)
  })

  it('waits anew for an input that had a record meanwhile, or is known to have some', () => {
    const input = empty()
    const { next, clock } = groupOf(100, at(20), input)
    next()
    clock.now = 1100
    expect(next()).toBe(0)
    Object.assign(input, at(30))
    expect(next()).toBe(0)
    Object.assign(input, empty())
    expect(next()).toBe(-1)
    clock.now = 1200
    expect(next()).toBe(0)
    input.caughtUp = false
    clock.now = 5000
    expect(next()).toBe(-1)
    input.caughtUp = true
    expect(next()).toBe(-1)
    clock.now = 5100
    expect(next()).toBe(0)
  })

  it('waits for several at once, and not one after the other', () => {
    const { next, awaited, clock } = groupOf(100, empty(), at(20), empty())
    expect([next(), awaited()]).toEqual([-1, [0, 2]])
    clock.now = 1100
    expect(next()).toBe(1)
  })

  it('waits for nothing where that is switched off', () => {
    const { next, awaited, group } = groupOf(-1, at(20), { ...empty(), caughtUp: false })
    expect([next(), awaited(), group.idleUntilMs]).toEqual([0, [], Number.POSITIVE_INFINITY])
  })

  it('of a task with one input waits for no other', () => {
    const { next, awaited } = groupOf(100, { ...at(20), caughtUp: false })
    expect([next(), awaited()]).toEqual([0, []])
  })

  it('is awaited only where another input has one', () => {
    const { next, awaited } = groupOf(100, empty(), { ...empty(), caughtUp: false })
    expect([next(), awaited()]).toEqual([-1, []])
  })
})
