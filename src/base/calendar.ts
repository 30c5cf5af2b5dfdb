// Days, weeks and months of a time zone, by the rules that Intl knows: some days have 23 hours, some 25.

export type CalendarUnit = 'day' | 'week' | 'month'

export const calendarUnits: readonly CalendarUnit[] = ['day', 'week', 'month']

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Further from a midnight than any zone is from UTC, and nearer to it than two changes of a clock are to each other. */
const aroundMs = 36 * hourMs
const keptMax = 10_000

/** The longest that they get, a turned clock included. */
export const longestMs: Readonly<Record<CalendarUnit, number>> = {
  day: 26 * hourMs,
  week: 7 * dayMs + 2 * hourMs,
  month: 31 * dayMs + 2 * hourMs,
}

/** Day 0 was a Thursday; a week begins on Monday (ISO 8601). */
const firstDayOf: Readonly<Record<CalendarUnit, (day: number) => number>> = {
  day: (day) => day,
  week: (day) => day - ((((day + 3) % 7) + 7) % 7),
  month: (day) => {
    const date = new Date(day * dayMs)
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1) / dayMs
  },
}

/** Whether Intl knows it. */
export const isTimeZone = (timeZone: string): boolean => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).format(0) !== ''
  } catch {
    return false
  }
}

interface Span {
  readonly start: number
  readonly end: number
}

/** One after another without a gap: each begins where the one before it ends. None begins before 0. */
export class Calendar {
  readonly #firstDay: (day: number) => number
  readonly #format: Intl.DateTimeFormat
  /** Where days begin, by their number since 1970-01-01. */
  readonly #starts = new Map<number, number>()
  /** Those that days are in, by the same number. */
  readonly #known = new Map<number, Span>()
  // The one found last: records that follow each other are mostly of the same.
  #last: Span = { start: 0, end: 0 }

  /** @throws RangeError where Intl does not know the zone */
  constructor(every: CalendarUnit, timeZone: string) {
    this.#firstDay = firstDayOf[every]
    this.#format = new Intl.DateTimeFormat('en', {
      timeZone,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  }

  /** Where the one begins that this moment is in, ms since the epoch. */
  startOf(ms: number): number {
    return this.#find(ms).start
  }

  /** Where the one ends that this moment is in, which is where the next one begins. */
  endOf(ms: number): number {
    return this.#find(ms).end
  }

  #find(ms: number): Span {
    if (ms >= this.#last.start && ms < this.#last.end) return this.#last
    let day = Math.floor(ms / dayMs) + 1
    while (this.#startOfDay(day) > ms) day -= 1
    let span = this.#known.get(day)
    if (span === undefined) {
      let next = day + 1
      // A day that never was begins where the next one does.
      while (this.#firstDay(next) !== next || this.#startOfDay(next) <= ms) next += 1
      span = { start: Math.max(0, this.#startOfDay(this.#firstDay(day))), end: this.#startOfDay(next) }
      if (this.#known.size >= keptMax) this.#known.clear()
      this.#known.set(day, span)
    }
    this.#last = span
    return span
  }

  #startOfDay(day: number): number {
    const known = this.#starts.get(day)
    if (known !== undefined) return known
    const midnight = day * dayMs
    const before = midnight - this.#offset(midnight - aroundMs)
    const after = midnight - this.#offset(midnight + aroundMs)
    const times = [Math.min(before, after), Math.max(before, after)]
    // A day whose midnight is left out begins when the clock is turned, which it is at what would be midnight.
    const start = times.find((time) => time + this.#offset(time) === midnight) ?? before
    if (this.#starts.size >= keptMax) this.#starts.clear()
    this.#starts.set(day, start)
    return start
  }

  /** How far the clocks of the zone are ahead of UTC, ms. */
  #offset(ms: number): number {
    const parts: Record<string, number> = {}
    for (const { type, value } of this.#format.formatToParts(ms)) parts[type] = Number(value)
    const { year, month, day, hour, minute, second } = parts as Record<string, number>
    const local = Date.UTC(
      year as number,
      (month as number) - 1,
      day as number,
      hour as number,
      minute as number,
      second as number,
    )
    return local - Math.floor(ms / 1000) * 1000
  }
}
