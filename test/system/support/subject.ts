// What a scenario needs to know of the processor under test: its topics, its input, and how it is judged.
import type { Judge, RecordToWrite } from '../../support/judge.ts'
import type { Random } from '../../support/random.ts'
import type { Finding, StoredTask } from './evidence.ts'
import type { ThrowPlace } from './faults.ts'

/** Which records a processor threw at and which therefore left no trace; answers undefined for all others. */
export type SkippedAt = (topic: string, partition: number, offset: number) => ThrowPlace | undefined

export interface Judgement {
  readonly judge: Judge
  readonly applicationId: string
  /** Stores as they lie on the disk at the end. */
  readonly stores: readonly StoredTask[]
  readonly skippedAt: SkippedAt
  /** Committed by the feeder. */
  readonly fed: number
}

export interface Subject {
  readonly name: string
  /** Path of the module. */
  readonly module: string
  readonly input: string
  readonly outputs: readonly string[]
  /** Plain names: `<application id>-<name>-repartition`. */
  readonly repartitions: readonly string[]
  readonly store: string
  readonly recordsPerChunk: number
  /** Fed before all others. */
  readonly first: (random: Random) => RecordToWrite[]
  readonly make: (random: Random, number: number, aborted: boolean) => RecordToWrite
  /** Counts again from what the Java consumer reads, with none of our code. */
  readonly findings: (judgement: Judgement) => Promise<Finding[]>
}
