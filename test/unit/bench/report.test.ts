// The arithmetic of the benchmark's report and the order of its turns.
import { describe, expect, it } from 'vitest'
import { planOf, turnsOf } from '../../../bench/plan.ts'
import { median, type Result, reportOf, tableOf } from '../../../bench/report.ts'

const plan = planOf({ works: ['map'], against: ['kafka-streams'], quick: false })

const throughput = (contestant: 'millstream' | 'kafka-streams', recordsPerSecond: number): Result => ({
  turn: { kind: 'throughput', work: 'map', contestant, round: 1, optional: false },
  figures: { recordsPerSecond, cpuMicrosPerRecord: 1e6 / recordsPerSecond },
})

const latency = (contestant: 'millstream' | 'kafka-streams', p50Ms: number, p99Ms: number): Result => ({
  turn: { kind: 'latency', work: 'map', contestant, round: 1, optional: false },
  figures: { records: 1000, p50Ms, p99Ms, maxMs: p99Ms, senderLateMs: 0 },
})

describe('reportOf', () => {
  it('divides the median of ours by the median of theirs', () => {
    const report = reportOf(plan, [
      throughput('millstream', 100),
      throughput('millstream', 500),
      throughput('millstream', 400),
      throughput('kafka-streams', 100),
      throughput('kafka-streams', 10),
      throughput('kafka-streams', 200),
      latency('millstream', 10, 30),
      latency('kafka-streams', 40, 60),
    ])
    expect(report.results).toEqual({
      map: { against: { 'kafka-streams': { throughput: 4, cpu: 0.25, p50: 0.25, p99: 0.5 } } },
    })
    expect(report.figures.map?.millstream?.throughput).toEqual({ median: 400, min: 100, max: 500, turns: 3 })
  })

  it('takes the middle of two', () => {
    expect(median([4, 1])).toBe(2.5)
    expect(median([9, 1, 2])).toBe(2)
  })
})

describe('turnsOf', () => {
  it('rehearses a turn of each kind before the first that counts', () => {
    const first = (...works: Parameters<typeof planOf>[0]['works']): string[] =>
      turnsOf(planOf({ works, against: ['kafka-streams'], quick: false }))
        .filter(({ round }) => round === 0)
        .map(({ kind, work, contestant }) => `${kind} ${work} ${contestant}`)
    expect(first('count', 'map')).toEqual(['throughput count millstream', 'latency count millstream'])
    // A join of streams has no latency that could be told.
    expect(first('stream-join')).toEqual(['throughput stream-join millstream'])
    expect(first('stream-join', 'map')).toEqual([
      'throughput stream-join millstream',
      'latency map millstream',
    ])
    const turns = turnsOf(planOf({ works: ['map'], against: ['kafka-streams'], quick: true }))
    expect(turns.slice(0, 3).map(({ round }) => round)).toEqual([0, 0, 1])
  })

  it('lets another contestant begin in each round of a full run', () => {
    const full = planOf({ works: ['count'], against: ['kafka-streams', 'kafkajs'], quick: false })
    const turns = turnsOf(full)
    expect(turns.filter(({ round }) => round > 0)).toHaveLength(3 * 2 * 3)
    const begins = [1, 2, 3].map((round) => turns.find((turn) => turn.round === round)?.contestant)
    expect(begins).toEqual(['millstream', 'kafka-streams', 'kafkajs'])
    expect(turns.some((turn) => turn.optional)).toBe(false)
  })

  it('measures everything in the first round of a quick run; only the second may be left out', () => {
    const quick = planOf({ works: ['map', 'count'], against: ['kafka-streams', 'kafkajs'], quick: true })
    const turns = turnsOf(quick)
    expect(turns.filter((turn) => turn.round === 1)).toHaveLength(2 * 2 * 3)
    expect(turns.filter((turn) => turn.optional).map((turn) => `${turn.work} ${turn.contestant}`)).toEqual([
      'map kafka-streams',
      'map millstream',
      'count kafka-streams',
      'count millstream',
    ])
  })

  it('has no turn of kafkajs where it has no such work', () => {
    const plan = planOf({ works: ['table-join'], against: ['kafka-streams', 'kafkajs'], quick: false })
    expect(new Set(turnsOf(plan).map(({ contestant }) => contestant))).toEqual(
      new Set(['millstream', 'kafka-streams']),
    )
    expect(Object.keys(reportOf(plan, []).results['table-join']?.against ?? {})).toEqual(['kafka-streams'])
  })

  it('has no latency of a join of streams', () => {
    const plan = planOf({ works: ['stream-join'], against: ['kafka-streams'], quick: false })
    expect(turnsOf(plan).every(({ kind }) => kind === 'throughput')).toBe(true)
    expect(tableOf(plan, reportOf(plan, []))).toContain('not measured')
    expect(tableOf(plan, reportOf(plan, []))).not.toMatch(/NaN|∞/)
  })
})
