// Puts the status of a worker together from its parts, at the moment it is asked for: nothing is counted for it while
// records are processed.
import type { WorkerSettings } from '../config/worker-settings.ts'
import type { TaskStore } from '../task/contracts.ts'
import type { RecordQueue } from '../task/record-queue.ts'
import type { StreamTask } from '../task/stream-task.ts'
import { heldIn } from '../topology/held-changes.ts'
import { entriesIn } from './digest-check.ts'
import type { Engine } from './engine.ts'
import type { WorkerState } from './worker-state.ts'
import type { StoreStatus, TaskInputStatus, TaskStatus, WorkerStatus } from './worker-status.ts'
import type { WorkerWatch } from './worker-watch.ts'

const looping: ReadonlySet<WorkerState> = new Set<WorkerState>([
  'starting',
  'running',
  'rebalancing',
  'recovering',
  'closing',
])

/**
 * How long one turn of the loop may take while everything that it may wait for answers at its last moment: a join, the
 * producer, the offsets, the ends of changelogs. A broker that is away ends a turn sooner, with an error; a restore
 * counts each of its rounds as a turn.
 */
const turnMaxMs = (settings: WorkerSettings): number =>
  2 * settings.rebalanceTimeoutMs + 2 * settings.transactionTimeoutMs + 8 * settings.requestTimeoutMs + 30_000

const inputStatus = (
  queue: RecordQueue,
  awaited: readonly RecordQueue[],
  { fetcher }: Engine,
): TaskInputStatus => {
  const { topic, partition, position, bufferedBytes } = queue
  const highWatermark = fetcher.progress(topic, partition)?.highWatermark ?? -1
  const lag = highWatermark < 0 ? undefined : Math.max(0, highWatermark - position)
  return { topic, partition, position, lag, bufferedBytes, awaited: awaited.includes(queue) }
}

/** Each timer is two entries. */
const entriesPerTimer = 2

/** A look-up at most. */
const storeStatus = ({ definition, store }: TaskStore): StoreStatus[] => {
  const { name, holdsChanges, timers } = definition
  if (holdsChanges !== undefined) {
    try {
      const { changes, bytes } = heldIn(store as never)
      return [{ store: name, held: { changes, bytes } }]
    } catch {
      // It is closed, or cannot be read: the task meets that itself.
      return []
    }
  }
  if (timers !== true || store.digest === undefined) return []
  return [{ store: name, timers: Number(entriesIn(store.digest)) / entriesPerTimer }]
}

const taskStatus = (task: StreamTask, engine: Engine): TaskStatus => {
  const { awaited, queues } = task.group
  return {
    id: task.id,
    streamTimeMs: task.streamTime,
    uncommittedBytes: task.uncommittedBytes,
    inputs: queues.map((queue) => inputStatus(queue, awaited, engine)),
    calls: task.calls,
    stores: [...task.stores.values()].flatMap(storeStatus),
  }
}

export const collectStatus = (
  settings: WorkerSettings,
  watch: WorkerWatch,
  engine: Engine | undefined,
  known: Pick<WorkerStatus, 'state' | 'counts' | 'assignedTasks'>,
): WorkerStatus => {
  const { fenced, takenOver, membershipsLost, stateSinceMs, idleMs } = watch
  const { restore, restored, diverged, failure } = watch
  return {
    applicationId: settings.applicationId,
    ...known,
    stateSinceMs,
    faults: { ...watch.faults },
    fenced,
    takenOver,
    membershipsLost,
    loop: looping.has(known.state) ? { idleMs, idleMaxMs: turnMaxMs(settings) } : undefined,
    tasks: (engine?.manager.tasks ?? []).map((task) => taskStatus(task, engine as Engine)),
    standbys: engine?.standbys.status ?? [],
    globals: engine?.globals.status ?? [],
    collectedBytes: engine?.transaction.collector.collectedBytes ?? 0,
    unacknowledgedBytes: engine?.producer.unacknowledgedBytes ?? 0,
    restore,
    restored,
    diverged,
    awaitedSchemas: watch.schemas?.awaited,
    schemaRequestFailures: watch.schemas?.failures ?? 0,
    failure,
  }
}
