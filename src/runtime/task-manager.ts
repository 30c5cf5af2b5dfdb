// The tasks of a worker: opens and restores them when they are assigned, puts them back to what is committed after a
// fault, and closes them. One path prepares both a new task and one that recovers: read the committed offsets (stable),
// then the high watermark, replay what the stores lack, go to the committed positions.
import { invariant } from '../base/assert.ts'
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import { wrong } from '../base/wrong-builds.ts'
import type { LeftOpen } from '../client/left-open.ts'
import {
  type CommittedPosition,
  fetchCommitted,
  type ListedPosition,
  listOffsets,
} from '../client/offsets.ts'
import { MillstreamError } from '../errors.ts'
import { CallSlots } from '../task/async-calls.ts'
import type { RecordCollector } from '../task/record-collector.ts'
import { type QueueStart, RecordQueue } from '../task/record-queue.ts'
import type { GlobalStores } from '../task/store-access.ts'
import { StreamTask } from '../task/stream-task.ts'
import { checkDigests, keepsDigests } from './digest-check.ts'
import type { RestoreObserver } from './restore-progress.ts'
import { Restorer } from './restorer.ts'
import type { Standbys } from './standbys.ts'
import { internalPartitions, type TaskInput, type TaskPlan } from './task-plan.ts'
import {
  changelogEnds,
  changelogLimits,
  closeTaskStores,
  openTaskStores,
  positionOf,
  restoreJobs,
  type StoreParts,
  storedPosition,
  type TaskStores,
} from './task-stores.ts'
import { migrationsOf } from './store-layouts.ts'
import { decodeWitness } from './witness.ts'
import { restoreInterrupted } from './worker-errors.ts'

/** How often the stores of an idle worker are marked as caught up, ms. */
const refreshIntervalMs = 60_000
/** Offsets that a group seems not to have are asked for this often, with this pause, before that is believed. */
const missingOffsetsAsked = 3
const missingOffsetsPauseMs = 250

export interface TaskManagerOptions extends StoreParts {
  readonly plans: ReadonlyMap<string, TaskPlan>
  readonly collector: RecordCollector
  readonly standbys: Standbys
  readonly globals: GlobalStores
  readonly observer: RestoreObserver
  readonly leftOpen: LeftOpen
  /** Something happened that the loop is to look at. */
  readonly notify: () => void
  /** A worker that closes does not wait for a restore. */
  readonly interrupted: () => boolean
}

/** An assigned task, whether it runs or is still being restored. */
interface OpenTask extends TaskStores {
  task: StreamTask | undefined
}

/** Where a task begins: what the group committed, or the start of the input. */
interface Start {
  readonly positions: ReadonlyMap<string, QueueStart>
  readonly streamTime: number
  /** Some input has no committed offset: the start positions are committed before the first record. */
  readonly fresh: boolean
}

export class TaskManager {
  readonly #options: TaskManagerOptions
  readonly #restorer: Restorer
  readonly #slots: CallSlots
  readonly #open = new Map<string, OpenTask>()
  readonly #byPartition = new Map<string, StreamTask>()
  #running: readonly StreamTask[] = []
  /** Positions of the stores of closed tasks, once they were read. */
  readonly #dormant = new Map<string, number>()
  #refreshedAtMs: number

  constructor(options: TaskManagerOptions) {
    this.#options = options
    const { cluster, ports, settings, log, observer, leftOpen } = options
    this.#refreshedAtMs = ports.clock.now()
    this.#slots = new CallSlots(settings.asyncInFlightMax, options.notify)
    this.#restorer = new Restorer(cluster, ports, settings, log, observer, leftOpen)
  }

  /** The tasks that run, in the order of their ids. */
  get tasks(): readonly StreamTask[] {
    return this.#running
  }

  /** Ids of the tasks that are open, those that are being restored included. */
  get ids(): string[] {
    return [...this.#open.keys()]
  }

  taskOf(topic: string, partition: number): StreamTask | undefined {
    return this.#byPartition.get(partitionId(topic, partition))
  }

  /**
   * Runs exactly these tasks: closes the others, keeps those that run, opens and restores the new ones, while those that
   * run may go on.
   * @param reload those that run are put to what is committed, too: their memory may be wrong. Between transactions
   * only, with an initialised producer, and nothing may run meanwhile
   * @returns the tasks whose start positions are to be committed.
   */
  async adopt(
    taskIds: readonly string[],
    { reload }: { readonly reload: boolean },
  ): Promise<Set<StreamTask>> {
    this.release(taskIds)
    const { plans, leftOpen, settings } = this.#options
    if (reload) leftOpen.sweep(internalPartitions(plans.values(), settings.applicationId))
    const added: OpenTask[] = []
    for (const id of taskIds) {
      const plan = plans.get(id)
      invariant(plan !== undefined, 'an assigned task is one of the topology', { task: id })
      const known = this.#open.get(id)
      if (known?.task !== undefined && !reload) continue
      const open = known ?? { plan, stores: this.#stores(plan), task: undefined }
      this.#open.set(id, open)
      added.push(open)
    }
    return await this.#prepare(added)
  }

  /** Those of its standby, or opened. */
  #stores(plan: TaskPlan): TaskStores['stores'] {
    this.#dormant.delete(plan.id)
    return this.#options.standbys.take(plan.id)?.stores ?? openTaskStores(this.#options, plan)
  }

  /** How far the state that this worker has of each task has followed its changelogs: open, as a standby, or on disk. */
  positions(): Record<string, number> {
    const { plans, directory, standbys } = this.#options
    const result: Record<string, number> = {}
    for (const id of directory.tasks()) {
      const plan = plans.get(id)
      if (plan !== undefined) result[id] = this.#dormantPosition(plan)
    }
    for (const [id, position] of standbys.positions) result[id] = position
    for (const [id, open] of this.#open) if (open.stores.size > 0) result[id] = positionOf(open)
    return result
  }

  #dormantPosition(plan: TaskPlan): number {
    const known = this.#dormant.get(plan.id)
    if (known !== undefined) return known
    const isOpen = this.#open.has(plan.id) || this.#options.standbys.positions.has(plan.id)
    const position = isOpen ? 0 : storedPosition(this.#options, plan)
    if (!isOpen) this.#dormant.set(plan.id, position)
    return position
  }

  /** After an abort: every task goes back to its last commit, which this worker knows. */
  rewind(): void {
    const all = this.#running
    for (const task of wrong('rewind-first-task-only') ? all.slice(0, 1) : all) task.rewind(new Map())
  }

  /** A store cannot be read: its task is closed and the store removed, so that the next `adopt` rebuilds it. */
  discard(error: MillstreamError): void {
    const { directory, log, ports } = this.#options
    for (const [id, open] of this.#open) {
      for (const { store, definition } of open.stores.values()) {
        if (directory.storeDirectory(id, definition.name) !== error.where['directory']) continue
        log.warn('a store cannot be read and is rebuilt from its changelog', {
          task: id,
          store: store.name,
          cause: error.message,
        })
        this.#close(id, open, false)
        ports.disk.remove(directory.storeDirectory(id, definition.name))
        break
      }
    }
    this.#refresh()
  }

  /**
   * Every minute without commits: the stores are marked as caught up, and what waits for a flush is flushed.
   * @param confirmedAtMs when the group last confirmed this worker, and so that it is the only writer
   */
  refreshCheckpoints(confirmedAtMs: number): void {
    const now = this.#options.ports.clock.now()
    if (Math.abs(now - this.#refreshedAtMs) < refreshIntervalMs) return
    this.#refreshedAtMs = now
    for (const task of this.#running) if (!task.dirty) task.refreshCheckpoints(confirmedAtMs)
  }

  /**
   * Closes the tasks that are not among these.
   * @param standbys those of them whose stores stay open, as standbys
   * @returns what was closed
   */
  release(taskIds: readonly string[], standbys: readonly string[] = []): StreamTask[] {
    const released: StreamTask[] = []
    for (const [id, open] of this.#open) {
      if (taskIds.includes(id) && !this.#isOutdated(open)) continue
      if (open.task !== undefined) released.push(open.task)
      if (standbys.includes(id)) this.#demote(id, open)
      else this.#close(id, open, true)
    }
    return released
  }

  /** Whether all that is open runs on as it is, with these tasks to run. */
  runsOn(taskIds: readonly string[]): boolean {
    return [...this.#open].every(([id, open]) => taskIds.includes(id) && !this.#isOutdated(open))
  }

  /** It is to read other topics by now. */
  #isOutdated({ plan }: OpenTask): boolean {
    return this.#options.plans.get(plan.id) !== plan
  }

  #demote(id: string, open: OpenTask): void {
    open.task?.close()
    this.#open.delete(id)
    this.#refresh()
    this.#options.standbys.keep(open)
    this.#options.log.info('task closed, kept as a standby', { task: id })
  }

  /** Closes everything; what is committed is flushed to the disk. */
  close({ flush }: { readonly flush: boolean }): void {
    for (const [id, open] of this.#open) this.#close(id, open, flush)
  }

  #close(id: string, open: OpenTask, flush: boolean): void {
    const { log } = this.#options
    open.task?.close()
    closeTaskStores(log, open, flush)
    this.#open.delete(id)
    this.#refresh()
    log.info('task closed', { task: id })
  }

  #refresh(): void {
    this.#running = [...this.#open.values()].flatMap(({ task }) => (task === undefined ? [] : [task]))
    this.#byPartition.clear()
    for (const task of this.#running) {
      for (const queue of task.group.queues)
        this.#byPartition.set(partitionId(queue.topic, queue.partition), task)
    }
  }

  async #prepare(opens: readonly OpenTask[]): Promise<Set<StreamTask>> {
    if (opens.length === 0) return new Set()
    for (const { stores } of opens) for (const { store } of stores.values()) store.dropOverlay()
    const inputs = opens.flatMap(({ plan }) => plan.inputs)
    // In this order: a high watermark asked before the offsets are stable could lie before a commit that is under way.
    const early = wrong('offsets-before-last-produce') ? await changelogEnds(this.#options, opens) : undefined
    const committed = await this.#committed(inputs)
    for (const open of opens) refuseOlder(open, committed)
    await this.#restore(opens, committed, early)
    // The offsets are judged first: older ones than those that were committed would come with an older digest.
    const starts = await this.#starts(opens, committed)
    await checkDigests(opens, committed, {
      ...this.#options,
      rebuild: (some) => this.#restore(some, committed),
    })
    const fresh = new Set<StreamTask>()
    for (const open of opens) {
      const start = starts.get(open) as Start
      const migrations = migrationsOf(open, committed, this.#options.settings)
      const task = open.task === undefined ? this.#create(open, start, migrations) : open.task
      open.task?.migrations.expect(migrations)
      open.task?.rewind(start.positions, start.streamTime)
      open.task = task
      if (start.fresh) fresh.add(task)
    }
    this.#refresh()
    return fresh
  }

  #create({ plan, stores }: OpenTask, start: Start, migrations: ReadonlyMap<string, number>): StreamTask {
    const { settings, catalog, ports, log, collector, globals, notify } = this.#options
    const task = new StreamTask({
      applicationId: settings.applicationId,
      id: plan.id,
      partition: plan.partition,
      subtopology: plan.subtopology,
      queues: plan.inputs.map(
        ({ topic, partition, source }) =>
          new RecordQueue(
            topic,
            partition,
            source,
            start.positions.get(partitionId(topic, partition)) as QueueStart,
            () => ports.clock.now(),
          ),
      ),
      stores,
      globals,
      collector,
      outputOf: (node, name) => catalog.output(node, name),
      policy: { ...settings, action: settings.onFailure },
      clock: ports.clock,
      log,
      slots: this.#slots,
      notify,
      streamTime: start.streamTime,
      migrations,
      maxTaskIdleMs: settings.maxTaskIdleMs,
    })
    task.init()
    log.info('task running', {
      task: plan.id,
      positions: [...start.positions].map(([id, { offset }]) => `${id}@${offset}`).join(' '),
    })
    return task
  }

  async #committed(inputs: readonly TopicPartition[]): Promise<ReadonlyMap<string, CommittedPosition>> {
    const { cluster, ports, settings, leftOpen } = this.#options
    // A dead owner's transaction keeps its offsets unstable until the coordinator aborts it: its timeout and a round
    // of the clean-up (10 s by default).
    const deadline = ports.clock.monotonic() + settings.transactionTimeoutMs + 30_000
    const result = new Map<string, CommittedPosition>()
    let missing = inputs
    for (let asked = 0; missing.length > 0 && asked < missingOffsetsAsked; asked++) {
      // A coordinator that has just moved may answer "none" for a moment (KAFKA-20416): once is no proof.
      if (asked > 0) {
        cluster.forgetCoordinator('group', settings.applicationId)
        await ports.timers.sleep(missingOffsetsPauseMs)
      }
      const found = await fetchCommitted(cluster, ports, settings.applicationId, missing, deadline, leftOpen)
      for (const one of found) result.set(partitionId(one.topic, one.partition), one)
      missing = found.filter(({ offset }) => offset < 0)
    }
    return result
  }

  async #restore(
    opens: readonly OpenTask[],
    committed: ReadonlyMap<string, CommittedPosition>,
    ends?: readonly ListedPosition[],
  ): Promise<void> {
    const stateful = opens.filter(({ stores }) => stores.size > 0)
    if (stateful.length === 0) return
    const limits = { ...(await changelogLimits(this.#options, stateful, ends)), committed }
    const jobs = stateful.flatMap((open) => restoreJobs(this.#options, open, limits))
    if ((await this.#restorer.restore(jobs, this.#options.interrupted)) === 'restored') return
    throw restoreInterrupted()
  }

  async #starts(
    opens: readonly OpenTask[],
    committed: ReadonlyMap<string, CommittedPosition>,
  ): Promise<Map<OpenTask, Start>> {
    const missing = opens
      .flatMap(({ plan }) => plan.inputs)
      .filter(({ topic, partition }) => (committed.get(partitionId(topic, partition))?.offset ?? -1) < 0)
    const beginnings = await this.#beginnings(missing)
    const starts = new Map<OpenTask, Start>()
    for (const open of opens) {
      const found = open.plan.inputs.map(({ topic, partition }) =>
        committed.get(partitionId(topic, partition)),
      )
      const known = open.task?.committedPositions
      this.#checkOffsets(open, found)
      const positions = new Map<string, QueueStart>()
      let streamTime = -1
      let fresh = false
      for (const [index, { topic, partition }] of open.plan.inputs.entries()) {
        const id = partitionId(topic, partition)
        const offset = found[index]?.offset ?? -1
        const own = known?.get(id)
        const witness = decodeWitness(found[index]?.metadata ?? '')
        // Nor may a digest stay behind that is no longer kept up: it would be held against the store one day.
        fresh ||= offset < 0 || (!keepsDigests(this.#options.settings) && (witness?.stores.length ?? 0) > 0)
        // A start that was chosen before is kept: asked anew, `latest` would pass over what came in meanwhile.
        const begin = offset < 0 ? (own?.offset ?? (beginnings.get(id) as number)) : offset
        positions.set(id, { offset: begin, partitionTime: witness?.partitionTime ?? -1 })
        streamTime = Math.max(streamTime, witness?.streamTime ?? -1)
      }
      starts.set(open, { positions, streamTime, fresh })
    }
    return starts
  }

  async #beginnings(inputs: readonly TaskInput[]): Promise<Map<string, number>> {
    const { cluster, ports, settings } = this.#options
    const deadline = ports.clock.monotonic() + 2 * settings.requestTimeoutMs
    const result = new Map<string, number>()
    for (const from of ['earliest', 'latest'] as const) {
      // What lies in a repartition topic was put there by this application, and what fills a store is all of its rows: none
      // of it may be passed over.
      const chosen = inputs.filter(
        ({ source }) => (source.repartition || source.fills ? 'earliest' : settings.startFrom) === from,
      )
      if (chosen.length === 0) continue
      const list = await listOffsets(cluster, ports, chosen, from, 'read_committed', deadline)
      for (const { topic, partition, offset } of list) result.set(partitionId(topic, partition), offset)
    }
    return result
  }

  /**
   * State without offsets, or beside offsets that were set by hand, would be counted twice or skipped. The first commit
   * of a task carries its start positions, so committed state without any committed offset cannot come about by itself.
   */
  #checkOffsets({ plan, stores }: OpenTask, found: readonly (CommittedPosition | undefined)[]): void {
    // A read-only store is what its topic says below any offset.
    const withState = [...stores.values()].find(
      ({ definition, store }) => definition.filling === undefined && !store.isEmpty(),
    )
    if (withState === undefined || plan.inputs.length === 0) return
    const place = {
      task: plan.id,
      store: withState.definition.name,
      group: this.#options.settings.applicationId,
    }
    const fix =
      'Restore the offsets of the group, or delete the changelog topics and the state directory to begin anew.'
    if (found.every((one) => one === undefined || one.offset < 0)) {
      throw new MillstreamError('OFFSETS_MISSING', {
        what: 'the store holds committed state, but the group has no offsets for the inputs',
        where: place,
        fix,
      })
    }
    const bare = found.find(
      (one) => one !== undefined && one.offset >= 0 && decodeWitness(one.metadata) === undefined,
    )
    if (bare === undefined) return
    throw new MillstreamError('OFFSETS_MISSING', {
      what: 'an offset was not committed by millstream (a tool has reset it?), but the store holds state that belongs to other offsets',
      where: { ...place, topic: bare.topic, partition: bare.partition, offset: bare.offset },
      fix,
    })
  }
}

/**
 * What this task has committed itself cannot be missing, only not be told yet. Before anything is restored by the offsets: a
 * read-only store that holds more than they say would be emptied.
 * @throws OFFSETS_UNSETTLED
 */
const refuseOlder = ({ plan, task }: OpenTask, committed: ReadonlyMap<string, CommittedPosition>): void => {
  const known = task?.committedPositions
  for (const { topic, partition } of plan.inputs) {
    const own = known?.get(partitionId(topic, partition))
    const offset = committed.get(partitionId(topic, partition))?.offset ?? -1
    if (own?.committed && offset < own.offset) throw unsettled(topic, partition, own.offset, offset)
  }
}

const unsettled = (topic: string, partition: number, ours: number, answered: number): MillstreamError =>
  new MillstreamError('OFFSETS_UNSETTLED', {
    what: `the group's offset was answered as ${answered}, but this worker has committed ${ours}`,
    where: { topic, partition },
    fix: 'It is asked for again. If that repeats, somebody has reset the offsets while the worker ran: restart it.',
  })
