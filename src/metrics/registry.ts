// The only file that knows prom-client. What a worker knows by itself is asked for at each scrape; only durations are
// handed over when they end.
import process from 'node:process'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Ports } from '../base/ports.ts'
import type { Worker } from '../runtime/create-worker.ts'
import { LoopStalls } from './loop-stalls.ts'
import { type MetricName, metricNames, metricRow } from './metrics-table.ts'
import { type Sample, samplesOf } from './samples.ts'

type Series = Counter | Gauge | Histogram

const createSeries = (name: MetricName, registry: Registry): Series => {
  const { type, labels, text, buckets } = metricRow(name)
  const common = { name, help: text, labelNames: [...labels], registers: [registry] }
  if (type === 'histogram') return new Histogram({ ...common, buckets: [...(buckets ?? [])] })
  return type === 'counter' ? new Counter(common) : new Gauge(common)
}

export class MetricsRegistry {
  readonly #registry = new Registry()
  readonly #series = new Map<MetricName, Series>()
  readonly #workers = new Set<Worker>()
  readonly #stalls: LoopStalls
  readonly #startSeconds: number
  readonly #unobserve: (() => void)[] = []

  constructor({ clock, timers }: Ports) {
    for (const name of metricNames) this.#series.set(name, createSeries(name, this.#registry))
    this.#stalls = new LoopStalls(clock, timers)
    this.#startSeconds = clock.now() / 1000 - process.uptime()
  }

  /** Of `text`. */
  get contentType(): string {
    return this.#registry.contentType
  }

  add(worker: Worker): void {
    const { applicationId: application } = worker.status()
    const committing = this.#series.get('millstream_commit_duration_seconds') as Histogram
    const rebalancing = this.#series.get('millstream_rebalance_duration_seconds') as Histogram
    this.#workers.add(worker)
    this.#unobserve.push(
      worker.observe({
        committed: ({ produceMs, offsetsMs, endMs }) => {
          committing.observe({ application, phase: 'produce' }, produceMs / 1000)
          committing.observe({ application, phase: 'offsets' }, offsetsMs / 1000)
          committing.observe({ application, phase: 'end' }, endMs / 1000)
        },
        rebalanced: (durationMs) => rebalancing.observe({ application }, durationMs / 1000),
      }),
    )
  }

  /** Everything in the text format of Prometheus. */
  text(): Promise<string> {
    const samples = [...this.#workers].flatMap((worker) => samplesOf(worker.status()))
    // A task that was given up has no series any more: what was set before is forgotten.
    for (const series of this.#series.values()) if (!(series instanceof Histogram)) series.reset()
    for (const sample of [...samples, ...this.#processSamples()]) this.#set(sample)
    return this.#registry.metrics()
  }

  close(): void {
    this.#stalls.stop()
    for (const unobserve of this.#unobserve) unobserve()
  }

  #set({ name, labels, value }: Sample): void {
    const series = this.#series.get(name)
    if (series instanceof Counter) series.inc(labels, value)
    else if (series instanceof Gauge) series.set(labels, value)
  }

  #processSamples(): Sample[] {
    const { user, system } = process.cpuUsage()
    const values: Partial<Record<MetricName, number>> = {
      millstream_event_loop_stalls_total: this.#stalls.count,
      millstream_event_loop_stalled_seconds_total: this.#stalls.stalledSeconds,
      process_cpu_seconds_total: (user + system) / 1_000_000,
      process_resident_memory_bytes: process.memoryUsage.rss(),
      process_start_time_seconds: this.#startSeconds,
    }
    return (Object.entries(values) as [MetricName, number][]).map(([name, value]) => ({
      name,
      labels: {},
      value,
    }))
  }
}
