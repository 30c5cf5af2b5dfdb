import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Calendar, calendarUnits, isTimeZone, longestMs } from '../../../src/base/calendar.ts'

const hourMs = 3_600_000
const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Asia/Beirut',
]

const at = (text: string): number => Date.parse(text)
const hoursOf = (calendar: Calendar, text: string): number =>
  (calendar.endOf(at(text)) - calendar.startOf(at(text))) / hourMs

describe('the calendar', () => {
  it('knows days of 23 and 25 hours', () => {
    const berlin = new Calendar('day', 'Europe/Berlin')
    expect(hoursOf(berlin, '2026-03-28T12:00Z')).toBe(24)
    expect(hoursOf(berlin, '2026-03-29T12:00Z')).toBe(23)
    expect(hoursOf(berlin, '2026-10-25T12:00Z')).toBe(25)
    expect(berlin.startOf(at('2026-03-29T12:00Z'))).toBe(at('2026-03-28T23:00Z'))
    expect(berlin.endOf(at('2026-03-29T12:00Z'))).toBe(at('2026-03-29T22:00Z'))
    expect(berlin.startOf(at('2026-03-29T22:00Z') - 1)).toBe(at('2026-03-28T23:00Z'))
    expect(berlin.startOf(at('2026-03-29T22:00Z'))).toBe(at('2026-03-29T22:00Z'))
  })

  it('knows days that begin at one, and a day that never was', () => {
    const paulo = new Calendar('day', 'America/Sao_Paulo')
    expect(paulo.startOf(at('2018-11-04T12:00Z'))).toBe(at('2018-11-04T03:00Z'))
    expect(hoursOf(paulo, '2018-11-04T12:00Z')).toBe(23)
    const apia = new Calendar('day', 'Pacific/Apia')
    expect(apia.startOf(at('2011-12-30T09:59Z'))).toBe(at('2011-12-29T10:00Z'))
    expect(apia.startOf(at('2011-12-30T10:00Z'))).toBe(at('2011-12-30T10:00Z'))
    expect(hoursOf(apia, '2011-12-30T10:00Z')).toBe(24)
  })

  it('begins weeks on Monday and months on the first', () => {
    const weeks = new Calendar('week', 'America/New_York')
    expect(weeks.startOf(at('2026-11-01T12:00Z'))).toBe(at('2026-10-26T04:00Z'))
    expect(hoursOf(weeks, '2026-11-01T12:00Z')).toBe(7 * 24 + 1)
    const months = new Calendar('month', 'Europe/Berlin')
    expect(months.startOf(at('2026-03-31T21:59Z'))).toBe(at('2026-02-28T23:00Z'))
    expect(hoursOf(months, '2026-03-31T21:59Z')).toBe(31 * 24 - 1)
  })

  it('begins with 0', () => {
    const days = new Calendar('day', 'America/New_York')
    expect(days.startOf(0)).toBe(0)
    expect(days.endOf(0)).toBe(5 * hourMs)
  })

  it('knows what a zone is', () => {
    expect(isTimeZone('Europe/Berlin')).toBe(true)
    expect(isTimeZone('Europe/Bonn')).toBe(false)
  })

  it('has one place for each moment, with one date in a day', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...calendarUnits),
        fc.integer({ min: 0, max: at('2040-01-01') }),
        (timeZone, every, ms) => {
          const calendar = new Calendar(every, timeZone)
          const [start, end] = [calendar.startOf(ms), calendar.endOf(ms)]
          expect(start <= ms && ms < end).toBe(true)
          expect(end - start).toBeLessThanOrEqual(longestMs[every])
          expect(new Calendar(every, timeZone).startOf(end)).toBe(end)
          expect(new Calendar(every, timeZone).endOf(start)).toBe(end)
          expect(new Calendar(every, timeZone).startOf(end - 1)).toBe(start)
          const date = (moment: number): string =>
            new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' }).format(moment)
          if (every === 'day') expect([date(start), date(end - 1)]).toEqual([date(ms), date(ms)])
          if (every === 'month') expect(date(end - 1).slice(0, 7)).toBe(date(ms).slice(0, 7))
          if (start > 0) expect(date(start - 1)).not.toBe(date(start))
        },
      ),
      { numRuns: 300 },
    )
  })
})
