// Turns the figures of all turns into medians, ratios (ours divided by theirs), the table and the JSON file.
import type { Work } from './contestants/works.ts'
import { type Contestant, knows, type Peer, type Plan, type Turn } from './plan.ts'
import { type Figures, isLatency } from './turns.ts'

export interface Result {
  readonly turn: Turn
  readonly figures: Figures
}

type Measure = 'throughput' | 'cpu' | 'p50' | 'p99'

const measures: readonly Measure[] = ['throughput', 'cpu', 'p50', 'p99']

interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly turns: number
}

type Summaries = Readonly<Record<Measure, Summary>>
type Ratios = Readonly<Record<Measure, number>>

interface WorkReport {
  readonly against: Readonly<Partial<Record<Peer, Ratios>>>
}

export interface Report {
  readonly results: Readonly<Partial<Record<Work, WorkReport>>>
  /** The absolute figures behind the ratios: rec/s, CPU microseconds per record, ms, ms. */
  readonly figures: Readonly<Partial<Record<Work, Readonly<Partial<Record<Contestant, Summaries>>>>>>
}

export const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

const measureOf = (figures: Figures, measure: Measure): number | undefined => {
  if (isLatency(figures)) {
    if (measure === 'p50') return figures.p50Ms
    return measure === 'p99' ? figures.p99Ms : undefined
  }
  if (measure === 'throughput') return figures.recordsPerSecond
  return measure === 'cpu' ? figures.cpuMicrosPerRecord : undefined
}

const summarise = (
  results: readonly Result[],
  work: Work,
  contestant: Contestant,
  measure: Measure,
): Summary => {
  const numbers = results
    .filter(({ turn }) => turn.work === work && turn.contestant === contestant)
    .map(({ figures }) => measureOf(figures, measure))
    .filter((value) => value !== undefined)
  return {
    median: median(numbers),
    min: Math.min(...numbers),
    max: Math.max(...numbers),
    turns: numbers.length,
  }
}

const allMeasures = <T>(compute: (measure: Measure) => T): Readonly<Record<Measure, T>> => ({
  throughput: compute('throughput'),
  cpu: compute('cpu'),
  p50: compute('p50'),
  p99: compute('p99'),
})

export const reportOf = (plan: Plan, results: readonly Result[]): Report => {
  const ratios: Partial<Record<Work, WorkReport>> = {}
  const figures: Partial<Record<Work, Partial<Record<Contestant, Summaries>>>> = {}
  for (const work of plan.works) {
    const summaries = (contestant: Contestant): Summaries =>
      allMeasures((measure) => summarise(results, work, contestant, measure))
    const ours = summaries('millstream')
    const theirs = plan.against
      .filter((peer) => knows(peer, work))
      .map((peer) => [peer, summaries(peer)] as const)
    ratios[work] = {
      against: Object.fromEntries(
        theirs.map(([peer, summary]) => [
          peer,
          allMeasures((measure) => ours[measure].median / summary[measure].median),
        ]),
      ),
    }
    figures[work] = { millstream: ours, ...Object.fromEntries(theirs) }
  }
  return { results: ratios, figures }
}

const headers: Readonly<Record<Measure, string>> = {
  throughput: 'rec/s',
  cpu: 'CPU us/rec',
  p50: 'p50 ms',
  p99: 'p99 ms',
}

const digits: Readonly<Record<Measure, number>> = { throughput: 0, cpu: 2, p50: 1, p99: 1 }

const numberText = (value: number, decimals: number): string =>
  value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })

const summaryText = (summary: Summary, measure: Measure): string => {
  if (summary.turns === 0) return 'not measured'
  const text = (value: number): string => numberText(value, digits[measure])
  const spread = summary.turns > 1 ? ` (${text(summary.min)} - ${text(summary.max)})` : ''
  return text(summary.median) + spread
}

const ratioText = (ratio: number): string =>
  Number.isNaN(ratio) ? '' : `${numberText(ratio, ratio < 1 ? 3 : 2)} x`

const alignedTable = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('   ')
  return rows.map((row) => `  ${line(row)}`).join('\n')
}

const workTable = (plan: Plan, report: Report, work: Work): string => {
  const rows: string[][] = [['', ...measures.map((measure) => headers[measure])]]
  for (const contestant of ['millstream', ...plan.against] as const) {
    const summaries = report.figures[work]?.[contestant]
    if (summaries === undefined) continue
    rows.push([contestant, ...measures.map((measure) => summaryText(summaries[measure], measure))])
  }
  for (const peer of plan.against) {
    const ratios = report.results[work]?.against[peer]
    if (ratios === undefined) continue
    rows.push([`millstream / ${peer}`, ...measures.map((measure) => ratioText(ratios[measure]))])
  }
  return alignedTable(rows)
}

/** The table that is printed at the end. */
export const tableOf = (plan: Plan, report: Report): string => {
  const { input, latency, partitions, warmUpRecords } = plan
  const count = (value: number): string => numberText(value, 0)
  const conditions = [
    `${count(input.records)} records of ${input.bytes} B JSON after ${count(warmUpRecords)} of warm-up, ${count(input.keys)} keys, ${partitions} partitions,`,
    `exactly once, commits every 100 ms (kafkajs: one per batch); latency at ${count(latency.rate)} rec/s over ${latency.seconds} s.`,
    'Medians (lowest - highest); ratios are ours divided by theirs: rec/s is better above 1, the others below 1.',
  ]
  const tables = plan.works.map((work) => `\n${work}\n${workTable(plan, report, work)}`)
  return [...conditions, ...tables].join('\n')
}
