// Visits of a web site: the pages that one visitor looks at with no more than half an hour between them.
//
// A visit is told once, when it is over: half an hour without a view, and the time that views may be late. Views that are
// later than that belong to a visit that was told already; they are not lost, but go to a topic of their own.
import { sessions, string, topic, topology, windowStore } from 'millstream'
import { z } from 'zod'

const minuteMs = 60_000

const viewSchema = z.object({ page: z.string().min(1) })
const visitSchema = z.object({
  visitor: z.string(),
  startedAt: z.int(),
  endedAt: z.int(),
  views: z.int().positive(),
  /** In the order in which they were looked at first. */
  pages: z.array(z.string()),
  exitPage: z.string(),
})
const visitSoFarSchema = z.object({
  views: z.int(),
  /** When each page was looked at first. */
  seenAt: z.record(z.string(), z.int()),
  last: z.object({ at: z.int(), page: z.string() }),
})

export type View = z.infer<typeof viewSchema>
export type Visit = z.infer<typeof visitSchema>
type VisitSoFar = z.infer<typeof visitSoFarSchema>

/** By visitor; the timestamp of a record is the time of the view. */
export const views = topic('views', { key: string, value: viewSchema })
/** By visitor, each visit once. */
export const visits = topic('visits', { key: string, value: visitSchema })
/** What came after its visit was told, by visitor. */
export const lateViews = topic('late-views', { key: string, value: viewSchema })

export const openVisits = windowStore('open-visits', { key: string, value: visitSoFarSchema })

/** Views come in any order, and visits that a late view joins are made one. */
const join = (one: VisitSoFar, other: VisitSoFar): VisitSoFar => {
  const seenAt = { ...one.seenAt }
  for (const [page, at] of Object.entries(other.seenAt)) seenAt[page] = Math.min(at, seenAt[page] ?? at)
  return {
    views: one.views + other.views,
    seenAt,
    last: other.last.at >= one.last.at ? other.last : one.last,
  }
}

const toldOf = (visitor: string, startedAt: number, endedAt: number, visit: VisitSoFar): Visit => {
  const pages = Object.keys(visit.seenAt).sort((a, b) => (visit.seenAt[a] ?? 0) - (visit.seenAt[b] ?? 0))
  const { views: count, last } = visit
  return { visitor, startedAt, endedAt, views: count, pages, exitPage: last.page }
}

export default topology('page-views', (t) => {
  const visitsSoFar = t
    .stream(views)
    .mapValues(({ page }, { timestamp }): VisitSoFar => {
      return { views: 1, seenAt: { [page]: timestamp }, last: { at: timestamp, page } }
    })
    .groupByKey()
    .windowedBy(sessions({ gapMs: 30 * minuteMs, graceMs: 10 * minuteMs }))
    .reduce(openVisits, join, { emit: 'on-close' })
  visitsSoFar
    .toStream()
    .flatMap(({ key: { key: visitor, start, end }, value: visit }) =>
      visit === null ? [] : [{ key: visitor, value: toldOf(visitor, start, end, visit) }],
    )
    .to(visits)
  visitsSoFar
    .late()
    .mapValues(({ last }): View => ({ page: last.page }))
    .to(lateViews)
})
