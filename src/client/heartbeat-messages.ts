// What the main thread of a worker and the thread of its heartbeats say to each other. All of it can be copied.
import type { DirectLines, LogFields, LogLevel } from '../base/log.ts'
import type { ClusterSettings } from './cluster.ts'
import type { BeatOrder } from './heartbeat-loop.ts'

/** A task as log lines name it. */
export interface TaskName {
  readonly id: string
  readonly processors: readonly string[]
}

/** What the thread begins with. */
export interface HeartbeatThreadData {
  readonly cluster: ClusterSettings
  /** Of the `Pulse` of the main thread. */
  readonly pulse: SharedArrayBuffer
  /** By their index in the pulse. */
  readonly tasks: readonly TaskName[]
  readonly maxPollIntervalMs: number
  readonly direct: DirectLines | undefined
}

export type ToHeartbeatThread =
  | { readonly kind: 'beat'; readonly order: BeatOrder }
  | { readonly kind: 'stop' }

export type FromHeartbeatThread =
  | { readonly kind: 'answered'; readonly id: number; readonly errorCode: number; readonly sentAtMs: number }
  | { readonly kind: 'unanswered'; readonly id: number; readonly cause: string }
  | { readonly kind: 'gave-up'; readonly id: number }
  /** Whether events are dealt with: the answer is a count in the pulse. */
  | { readonly kind: 'question' }
  | {
      readonly kind: 'line'
      readonly level: LogLevel
      readonly text: string
      readonly fields: LogFields | undefined
    }
