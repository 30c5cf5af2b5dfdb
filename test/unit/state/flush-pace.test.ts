// When the stores of a worker are flushed, and that they do not all go in one commit.
import { beforeEach, describe, expect, it } from 'vitest'
import { FlushPace, FlushTurns } from '../../../src/state/flush-pace.ts'
import { TestClock } from './support.ts'

const limit = 50_000
let clock = new TestClock()
let paces: FlushPace[] = []

beforeEach(() => {
  clock = new TestClock()
  const turns = new FlushTurns()
  paces = [1, 2, 3].map(() => new FlushPace(clock, turns))
})

/** A commit of all three stores, in which each had so many changes. @returns which of them were flushed */
const commit = (...changes: readonly number[]): number[] =>
  paces.flatMap((pace, index) => {
    if (!pace.committed(changes[index] as number)) return []
    pace.flushed()
    return [index]
  })

describe('a store is flushed', () => {
  it('after so many changes, or after a second', () => {
    expect(commit(limit - 1, 0, 0)).toEqual([])
    expect(commit(1, 0, 0)).toEqual([0])
    clock.ms = 999
    expect(commit(1, 0, 0)).toEqual([])
    clock.ms = 1000
    expect(commit(1, 0, 0)).toEqual([0, 1, 2])
  })

  it('in a commit of its own where it has much, and whoever had no turn in the next ones', () => {
    expect(commit(limit + 1, limit, limit)).toEqual([0])
    expect(commit(1, 1, 1)).toEqual([1])
    expect(commit(1, 1, 1)).toEqual([2])
    expect(commit(1, 1, 1)).toEqual([])
  })

  it('together with others as long as they have no more than one alone', () => {
    clock.ms = 1000
    expect(commit(limit / 2, limit / 2, 1)).toEqual([0, 1])
    expect(commit(0, 0, 0)).toEqual([2])
  })

  it('at twice the changes or the time whoever else goes', () => {
    expect(commit(limit, 2 * limit - 1, 2 * limit)).toEqual([0, 2])
    expect(commit(limit, 1, 0)).toEqual([0, 1])
    expect(commit(0, 2, 1)).toEqual([])
    clock.ms = 2000
    expect(commit(limit, 1, 1)).toEqual([0, 1, 2])
  })

  it('counts what was flushed for another reason in the same commit', () => {
    expect(paces[0]?.committed(limit - 1)).toBe(false)
    paces[0]?.flushed()
    expect(paces[1]?.committed(limit)).toBe(false)
    expect(commit(0, 0, 0)).toEqual([1])
  })
})
