// What a task is made of.
import type { Logger } from '../base/log.ts'
import type { Clock } from '../base/ports.ts'
import type { SinkNode, Subtopology } from '../topology/contracts.ts'
import type { FailurePolicy } from './failure-policy.ts'
import type { OutputTopic, RecordCollector } from './record-collector.ts'
import type { RecordQueue } from './record-queue.ts'
import type { GlobalStores } from './store-access.ts'
import type { TaskStore } from './stream-task.ts'

export interface StreamTaskOptions {
  readonly applicationId: string
  readonly id: string
  readonly partition: number
  readonly subtopology: Subtopology
  readonly queues: readonly RecordQueue[]
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly globals?: GlobalStores
  readonly collector: RecordCollector
  readonly outputOf: (node: SinkNode, name: string) => OutputTopic
  readonly policy: FailurePolicy
  readonly clock: Clock
  readonly log: Logger
  /** Stream time as it was committed, ms; -1 where there is none. */
  readonly streamTime: number
  /** Stores that have to be migrated, and from which version. */
  readonly migrations?: ReadonlyMap<string, number>
  /** See PartitionGroup. */
  readonly maxTaskIdleMs: number
}
