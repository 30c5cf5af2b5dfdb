import { describe, expect, it } from 'vitest'
import { PunctuationSchedule } from '../../../src/task/punctuation.ts'

const nothing = (): void => {}

describe('PunctuationSchedule', () => {
  it('is due on multiples of the interval, and with the first record where there was no time yet', () => {
    const schedule = new PunctuationSchedule()
    schedule.add(1000, nothing, 2500)
    expect(schedule.dueMs).toBe(3000)
    schedule.add(1000, nothing, -1)
    expect(schedule.dueMs).toBe(0)
  })

  it('collapses missed ticks into one', () => {
    const schedule = new PunctuationSchedule()
    schedule.add(1000, nothing, 0)
    expect(schedule.takeDue(7300)).toEqual([nothing])
    expect(schedule.dueMs).toBe(8000)
    expect(schedule.takeDue(7999)).toEqual([])
  })

  it('fires again what fired in an aborted transaction, and not what is committed', () => {
    const schedule = new PunctuationSchedule()
    schedule.add(1000, nothing, 0)
    schedule.takeDue(1000)
    schedule.rewind()
    expect(schedule.dueMs).toBe(1000)
    schedule.takeDue(1000)
    schedule.settle()
    schedule.rewind()
    expect(schedule.dueMs).toBe(2000)
  })

  it('goes to a time that was read back', () => {
    const schedule = new PunctuationSchedule()
    schedule.add(1000, nothing, 0)
    schedule.moveTo(5500)
    schedule.rewind()
    expect(schedule.dueMs).toBe(6000)
  })

  it('forgets a cancelled punctuator and refuses an interval of zero', () => {
    const schedule = new PunctuationSchedule()
    schedule.add(1000, nothing, 0).cancel()
    expect(schedule.dueMs).toBe(Number.POSITIVE_INFINITY)
    expect(() => schedule.add(0, nothing, 0)).toThrow(/TOPOLOGY_INVALID/)
  })
})
