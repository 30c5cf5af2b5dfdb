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

  it('begins at its anchor, and goes on from there at its interval', () => {
    const schedule = new PunctuationSchedule()
    schedule.add(1000, nothing, 2500, { anchorMs: 5250 })
    expect(schedule.dueMs).toBe(5250)
    expect(schedule.takeDue(5249)).toEqual([])
    expect(schedule.takeDue(5250)).toEqual([nothing])
    expect(schedule.dueMs).toBe(6250)
    schedule.takeDue(9000)
    expect(schedule.dueMs).toBe(9250)
    schedule.moveTo(7000)
    expect(schedule.dueMs).toBe(7250)
    schedule.moveTo(100)
    expect(schedule.dueMs).toBe(5250)
  })

  it('lies where an anchor of the past says', () => {
    const schedule = new PunctuationSchedule()
    schedule.add(1000, nothing, 2500, { anchorMs: 250 })
    expect(schedule.dueMs).toBe(3250)
    const fromTheFirst = new PunctuationSchedule()
    fromTheFirst.add(1000, nothing, -1, { anchorMs: 250 })
    expect(fromTheFirst.takeDue(2000)).toEqual([nothing])
    expect(fromTheFirst.dueMs).toBe(2250)
  })

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses the anchor %s', (anchorMs) => {
    expect(() => new PunctuationSchedule().add(1000, nothing, 0, { anchorMs })).toThrow(
      /TOPOLOGY_INVALID.*has the anchor/,
    )
  })

  it('rings an alarm once, at what it was set to last', () => {
    const schedule = new PunctuationSchedule()
    let rung = 0
    const set = schedule.addAlarm(() => rung++)
    expect(schedule.dueMs).toBe(Number.POSITIVE_INFINITY)
    set(500)
    set(700)
    schedule.takeDue(699)
    expect([rung, schedule.dueMs]).toEqual([0, 700])
    expect(schedule.takeDue(700)).toEqual([])
    schedule.takeDue(9000)
    expect([rung, schedule.dueMs]).toEqual([1, Number.POSITIVE_INFINITY])
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
