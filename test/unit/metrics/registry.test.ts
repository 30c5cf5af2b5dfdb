import { afterEach, describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { metricNames, metricRow } from '../../../src/metrics/metrics-table.ts'
import { MetricsRegistry } from '../../../src/metrics/registry.ts'
import type { Worker } from '../../../src/runtime/create-worker.ts'
import type { WorkerObserver, WorkerStatus } from '../../../src/runtime/worker-status.ts'
import { parseExposition } from '../../support/exposition.ts'
import { runningStatus } from './status.ts'

const registries: MetricsRegistry[] = []
afterEach(() => {
  for (const registry of registries.splice(0)) registry.close()
})

/** Only what a registry asks a worker for. */
const watched = (
  status: WorkerStatus,
): { worker: Worker; observers: Set<WorkerObserver>; now: WorkerStatus } => {
  const observers = new Set<WorkerObserver>()
  const known = {
    now: status,
    observers,
    worker: {
      status: () => known.now,
      observe: (observer: WorkerObserver) => {
        observers.add(observer)
        return () => observers.delete(observer)
      },
    } as unknown as Worker,
  }
  return known
}

const registryOf = (...workers: Worker[]): MetricsRegistry => {
  const registry = new MetricsRegistry(nodePorts)
  registries.push(registry)
  for (const worker of workers) registry.add(worker)
  return registry
}

describe('MetricsRegistry', () => {
  it('exposes every metric of the table, with its type and its help', async () => {
    const one = watched(runningStatus())
    const text = await registryOf(one.worker).text()
    const { types, series } = parseExposition(text)
    expect(Object.fromEntries(types)).toEqual(
      Object.fromEntries(metricNames.map((name) => [name, metricRow(name).type])),
    )
    for (const name of metricNames) expect(text).toContain(`# HELP ${name} ${metricRow(name).text}\n`)
    for (const { name, labels } of series.filter(({ name }) => name.startsWith('millstream_task')))
      expect(labels['application'], name).toBe('app')
  })

  it('shows what is, not what was: values are not added up and a task that went leaves no series', async () => {
    const one = watched(runningStatus())
    const registry = registryOf(one.worker)
    await registry.text()
    one.now = runningStatus({ tasks: [], counts: { ...one.now.counts, processed: 9 } })
    const { value, find } = parseExposition(await registry.text())
    expect(value('millstream_records_processed_total')).toBe(9)
    expect(find('millstream_task_lag_records')).toEqual([])
    expect(value('millstream_running_tasks')).toBe(0)
  })

  it('tells workers apart, and one scrape from another that comes meanwhile', async () => {
    const two = watched(runningStatus({ applicationId: 'two', assignedTasks: 5 }))
    const registry = registryOf(watched(runningStatus()).worker, two.worker)
    for (const text of await Promise.all([registry.text(), registry.text()])) {
      const { value } = parseExposition(text)
      expect(value('millstream_assigned_tasks', { application: 'app' })).toBe(1)
      expect(value('millstream_assigned_tasks', { application: 'two' })).toBe(5)
    }
  })

  it('keeps durations by phase, until it is closed', async () => {
    const { worker, observers } = watched(runningStatus())
    const registry = registryOf(worker)
    for (const observer of observers) {
      observer.committed?.({ produceMs: 4, offsetsMs: 2, endMs: 30 })
      observer.committed?.({ produceMs: 6, offsetsMs: 2, endMs: 20_000 })
      observer.rebalanced?.(700)
    }
    const { value } = parseExposition(await registry.text())
    const commit = 'millstream_commit_duration_seconds'
    expect(value(`${commit}_sum`, { phase: 'produce' })).toBeCloseTo(0.01)
    expect(value(`${commit}_bucket`, { phase: 'produce', le: '0.005' })).toBe(1)
    expect(value(`${commit}_count`, { phase: 'offsets' })).toBe(2)
    expect(value(`${commit}_bucket`, { phase: 'end', le: '10' })).toBe(1)
    expect(value('millstream_rebalance_duration_seconds_sum')).toBeCloseTo(0.7)
    registry.close()
    expect(observers.size).toBe(0)
  })
})
