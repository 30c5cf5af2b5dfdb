// What a row of the fault matrix is: a scenario of this bench, or tests that prove it elsewhere.
import type { Bench, BenchSettings } from './bench.ts'

interface RowBase {
  /** As in docs/faults.md. */
  readonly id: string
  readonly title: string
}

export interface BenchRow extends RowBase {
  /** Part of the short form, which is a stage of `npm test`. */
  readonly short: boolean
  /** Three: replicated three times, at least two in sync. Default 1. */
  readonly brokers?: 1 | 3
  /** Settings of brokers that no other row uses. */
  readonly brokerSettings?: Readonly<Record<string, string>>
  /** Brokers that no other row uses, with proxies between them. */
  readonly proxied?: true
  readonly settings?: BenchSettings
  /** Settings of the changelogs. */
  readonly changelog?: Readonly<Record<string, string>>
  /** Between two chunks of input, ms. */
  readonly pauseMs?: number
  readonly recordsPerChunk?: number
  /** @returns what happened, for the line of progress. */
  readonly run: (bench: Bench) => Promise<string>
}

/** Proved by tests of the other suites, which `npm test` runs anyway. */
export interface TestedRow extends RowBase {
  /** Arguments of vitest. */
  readonly tests: readonly string[]
}

export type Row = BenchRow | TestedRow
