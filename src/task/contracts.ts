// What a task is made of, and what it tells of itself.
import type { Logger } from '../base/log.ts'
import type { Clock } from '../base/ports.ts'
import type { TransactionalStore } from '../state/transactional-store.ts'
import type { SinkNode, StoreDefinition, Subtopology } from '../topology/contracts.ts'
import type { CallSlots } from './async-calls.ts'
import type { FailurePolicy } from './failure-policy.ts'
import type { OutputTopic, RecordCollector } from './record-collector.ts'
import type { RecordQueue } from './record-queue.ts'
import type { GlobalStores } from './store-access.ts'

export type AnyStore = TransactionalStore<unknown, unknown>

/** A store of the task and the changelog topic behind it: of a read-only store, the topic that fills it. */
export interface TaskStore {
  readonly definition: StoreDefinition
  readonly store: AnyStore
  readonly changelog: OutputTopic
}

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
  /** Of the worker. */
  readonly slots: CallSlots
  /** Called when an asynchronous processor has an answer. */
  readonly notify: () => void
}
