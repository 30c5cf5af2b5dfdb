// Stores of tasks that other workers run, kept close behind their changelogs, so that a task that is given to this worker
// has only the last moments to restore.
//
// A standby reads read_committed, up to the last stable offset: what may still be aborted never enters it. It stops
// before the task begins here, and the task then catches up to the high watermark like any restore. The worker's own
// tasks come first: between two parts of a changelog the loop of the worker gets its turn. A read-only store follows the
// topic that fills it up to what the task has committed, which is asked for now and then.
import { partitionId } from '../base/topic-partition.ts'
import { Fetcher, type FetchedPartition } from '../client/fetcher.ts'
import { asMillstreamError, type MillstreamError } from '../errors.ts'
import type { TopicReplay } from '../task/topic-replay.ts'
import { keepsDigests, scannedAtOnce } from './digest-check.ts'
import { applyFetched, type RestoreJob } from './restorer.ts'
import {
  changelogLimits,
  closeTaskStores,
  type CommittedInputs,
  committedInputs,
  isBeyond,
  openTaskStores,
  positionOf,
  restoreJobs,
  type StoreParts,
  type TaskStores,
} from './task-stores.ts'
import type { TaskPlan } from './task-plan.ts'
import { Wakeup } from './wakeup.ts'

/** After a failure a standby is tried again. */
const retryAfterMs = 5000
/** A standby that is to take a task over says so again, where the group did not give it the task. */
const askAgainAfterMs = 5000
/** How often a standby without news is marked as caught up. */
const refreshIntervalMs = 60_000
const idleWaitMs = 500
/** How often it is asked what the tasks have committed whose topics fill read-only stores. */
const extendIntervalMs = 1000

export interface StandbyOptions extends StoreParts {
  readonly plans: ReadonlyMap<string, TaskPlan>
  /** Called when a standby that warms up is close. */
  readonly notify: () => void
}

export interface StandbyStatus {
  readonly id: string
  /** Offsets from the position of its stores to the high watermarks as of the last answers; undefined before these. */
  readonly lag: number | undefined
}

interface Standby extends TaskStores {
  /** By topic-partition; empty until it begins. */
  jobs: ReadonlyMap<string, RestoreJob>
  begun: boolean
  /** What is committed of the topics that fill its read-only stores, from when it is asked for until it begins. */
  committed: CommittedInputs | 'asked' | undefined
  retryAtMs: number
}

const standbyOf = ({ plan, stores }: TaskStores): Standby => ({
  plan,
  stores,
  jobs: new Map(),
  begun: false,
  committed: undefined,
  retryAtMs: 0,
})

const isFilled = ({ plan }: Standby): boolean => plan.inputs.some(({ source }) => source.fills)

export class Standbys {
  readonly #options: StandbyOptions
  readonly #wakeup: Wakeup
  readonly #kept = new Map<string, Standby>()
  #wanted: readonly string[] = []
  /** To be run here as soon as they are close. */
  #warming: ReadonlySet<string> = new Set()
  #askAgainAtMs = 0
  /** Opening failed: not before this. */
  readonly #openAtMs = new Map<string, number>()
  #refreshedAtMs = 0
  #extendedAtMs = Number.NEGATIVE_INFINITY
  #extending = false
  #fetcher: Fetcher | undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: StandbyOptions) {
    this.#options = options
    this.#wakeup = new Wakeup(options.ports)
  }

  /** What is kept, in the order of the ids. */
  get status(): readonly StandbyStatus[] {
    return [...this.#kept.values()].map((standby) => ({ id: standby.plan.id, lag: this.#lagOf(standby) }))
  }

  /** How far the standbys have followed their changelogs. */
  get positions(): ReadonlyMap<string, number> {
    return new Map([...this.#kept].map(([id, standby]) => [id, positionOf(standby)]))
  }

  /** A task that is to be run here has become close: the group is to be joined again. */
  get isReady(): boolean {
    if (this.#options.ports.clock.monotonic() < this.#askAgainAtMs) return false
    const { standbyLagMax } = this.#options.settings
    for (const id of this.#warming) {
      const standby = this.#kept.get(id)
      if (standby !== undefined && (this.#lagOf(standby) ?? Number.POSITIVE_INFINITY) <= standbyLagMax)
        return true
    }
    return false
  }

  /** `isReady` was acted on; where that does not bring the task it is said again after a while. */
  asked(): void {
    this.#askAgainAtMs = this.#options.ports.clock.monotonic() + askAgainAfterMs
  }

  /**
   * Keeps standbys of exactly these tasks.
   * @param warming those that are to be run here as soon as they are close
   */
  follow(tasks: readonly string[], warming: readonly string[]): void {
    this.#wanted = tasks
    // `#askAgainAtMs` stays: where the leader still finds it too far behind, it is not to be asked again at once, for ever.
    this.#warming = new Set(warming)
    for (const [id, standby] of this.#kept) {
      if (tasks.includes(id)) continue
      this.#forget(standby)
      closeTaskStores(this.#options.log, standby, true)
    }
    if (tasks.length > 0) this.#running ??= this.#run()
    this.#wakeup.notify()
  }

  /** A task that ran here becomes a standby. Its stores are at what is committed, and nobody else uses them. */
  keep(task: TaskStores): void {
    // What an aborted transaction left must not be there when the task comes back.
    for (const { store } of task.stores.values()) store.dropOverlay()
    this.#kept.set(task.plan.id, standbyOf(task))
  }

  /** Ends a standby whose task is to run here. @returns its open stores; undefined where there is none */
  take(id: string): TaskStores | undefined {
    const standby = this.#kept.get(id)
    if (standby !== undefined) this.#forget(standby)
    return standby
  }

  async close({ flush }: { readonly flush: boolean }): Promise<void> {
    this.#closed = true
    this.#wakeup.stop()
    // The loop may wait for a broker: it finds nothing to do when that has answered.
    for (const standby of this.#kept.values()) closeTaskStores(this.#options.log, standby, flush)
    this.#kept.clear()
    await this.#fetcher?.close()
  }

  #forget({ plan, jobs }: Standby): void {
    this.#kept.delete(plan.id)
    for (const { topic, partition } of jobs.values()) this.#fetcher?.remove(topic, partition)
  }

  #lagOf({ jobs, stores, begun }: Standby): number | undefined {
    if (!begun && stores.size > 0) return undefined
    let lag = 0
    for (const { store, topic, partition, replay } of jobs.values()) {
      const end = replay?.end ?? this.#fetcher?.progress(topic, partition)?.highWatermark ?? -1
      if (end < 0) return undefined
      lag += Math.max(0, end - (store.checkpoint()?.changelogOffset ?? 0))
    }
    return lag
  }

  // -- the loop

  /** Never rejects: whatever goes wrong with a standby, the worker's own tasks go on. */
  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        this.#open()
        await this.#begin()
        this.#extend()
        await this.#advance()
        await this.#scan()
        this.#refresh()
      } catch (error) {
        await this.#failed(asMillstreamError(error))
      }
      if (this.isReady) this.#options.notify()
      await this.#wakeup.wait(idleWaitMs)
    }
  }

  #open(): void {
    const { plans, ports } = this.#options
    const now = ports.clock.monotonic()
    for (const id of this.#wanted) {
      const plan = plans.get(id)
      if (plan === undefined || this.#kept.has(id) || (this.#openAtMs.get(id) ?? 0) > now) continue
      try {
        const stores = openTaskStores(this.#options, plan)
        this.#openAtMs.delete(id)
        this.#kept.set(id, standbyOf({ plan, stores }))
      } catch (error) {
        this.#openAtMs.set(id, now + retryAfterMs)
        this.#warn(id, asMillstreamError(error))
      }
    }
  }

  /** Finds out where the standbys that are new begin, and reads them from there. */
  async #begin(): Promise<void> {
    const { ports, settings, cluster, log } = this.#options
    const now = ports.clock.monotonic()
    const fresh = [...this.#kept.values()].filter(({ begun, retryAtMs }) => !begun && retryAtMs <= now)
    this.#ask(fresh.filter((standby) => isFilled(standby) && standby.committed === undefined))
    // In this order, as for a task: so the ends lie behind what is committed.
    const ready = fresh.filter((standby) => !isFilled(standby) || standby.committed instanceof Map)
    if (ready.length === 0) return
    for (const standby of ready) standby.retryAtMs = now + retryAfterMs
    const committed: CommittedInputs = new Map(
      ready.flatMap((standby) => (standby.committed instanceof Map ? [...standby.committed] : [])),
    )
    for (const standby of ready) standby.committed = undefined
    const limits = { ...(await changelogLimits(this.#options, ready)), committed }
    if (this.#closed) return
    this.#fetcher ??= new Fetcher(cluster, ports, {
      role: 'standby',
      isolation: 'read_committed',
      maxBytes: settings.fetchBytesMax,
      partitionMaxBytes: settings.partitionFetchBytesMax,
      maxWaitMs: settings.fetchWaitMs,
      bufferedBytesMax: settings.fetchBytesMax,
      log,
      onData: () => this.#wakeup.notify(),
    })
    for (const standby of ready) {
      // It was taken or given up meanwhile: its stores are somebody else's.
      if (this.#kept.get(standby.plan.id) !== standby) continue
      // One answer may be older than what was committed (KAFKA-20416): it is asked again, and nothing is emptied for it.
      if (isBeyond(standby, committed)) continue
      const jobs = restoreJobs(this.#options, standby, limits)
      standby.jobs = new Map(jobs.map((job) => [partitionId(job.topic, job.partition), job]))
      standby.begun = true
      for (const { topic, partition, from } of jobs) this.#fetcher.add(topic, partition, from)
      log.info('standby of a task', { task: standby.plan.id, lag: sumOf(jobs) })
    }
  }

  /** Nothing waits for the answer: while an owner that is gone has left it undecided, the other standbys go on. */
  #ask(standbys: readonly Standby[]): void {
    if (standbys.length === 0) return
    for (const standby of standbys) standby.committed = 'asked'
    void this.#committed(standbys).then((committed) => {
      const retryAtMs = this.#options.ports.clock.monotonic() + retryAfterMs
      for (const standby of standbys) {
        standby.committed = committed
        if (committed === undefined) standby.retryAtMs = retryAtMs
      }
      this.#wakeup.notify()
    })
  }

  /** Undefined where that is open: an owner that is gone may have left it undecided. */
  async #committed(standbys: readonly Standby[]): Promise<CommittedInputs | undefined> {
    try {
      return await committedInputs(this.#options, standbys)
    } catch (error) {
      this.#warn(undefined, asMillstreamError(error))
      return undefined
    }
  }

  async #advance(): Promise<void> {
    const { ports } = this.#options
    // What else was fetched of these lies behind what is fetched again.
    const ended = new Set<string>()
    for (const fetched of this.#fetcher?.take() ?? []) {
      const id = partitionId(fetched.topic, fetched.partition)
      if (ended.has(id)) continue
      // Looked up each time: while others had their turn it may have been taken.
      const standby = [...this.#kept.values()].find(({ jobs }) => jobs.has(id))
      if (standby === undefined) continue
      try {
        if (!this.#apply(standby.jobs.get(id) as RestoreJob, fetched)) ended.add(id)
      } catch (error) {
        this.#drop(standby, asMillstreamError(error))
      }
      await ports.timers.yield()
    }
  }

  /** The digest of a store that was restored from nothing takes a scan, which is not left to a take-over. */
  async #scan(): Promise<void> {
    const { settings, ports } = this.#options
    if (!keepsDigests(settings)) return
    for (const standby of this.#kept.values()) {
      if ((this.#lagOf(standby) ?? Number.POSITIVE_INFINITY) > settings.standbyLagMax) continue
      for (const { store } of standby.stores.values()) {
        if (store.digest !== undefined) continue
        store.flush()
        // What comes in meanwhile waits; a task that is taken over ends the scan.
        while (this.#kept.get(standby.plan.id) === standby && !store.scanDigest(scannedAtOnce))
          await ports.timers.yield()
      }
    }
  }

  /** @returns whether reading goes on behind it */
  #apply(job: RestoreJob, fetched: FetchedPartition): boolean {
    const { replay, topic, partition } = job
    const now = this.#options.ports.clock.now()
    const known = job.store.checkpoint()?.caughtUpAtMs ?? now
    const end = replay?.end ?? fetched.highWatermark
    applyFetched(job, fetched, fetched.nextOffset >= end ? now : known)
    if (replay === undefined || fetched.nextOffset <= replay.end) return true
    // What lies behind that has not had its turn yet, and is fetched when it has.
    this.#fetcher?.remove(topic, partition)
    return false
  }

  /** Lets the read-only stores follow what was committed since. */
  #extend(): void {
    const now = this.#options.ports.clock.monotonic()
    if (this.#extending || now - this.#extendedAtMs < extendIntervalMs) return
    const standbys = [...this.#kept.values()].filter(({ jobs }) => replaysOf(jobs).length > 0)
    if (standbys.length === 0) return
    this.#extending = true
    this.#extendedAtMs = now
    void this.#committed(standbys)
      .then((committed) => {
        if (committed === undefined) return
        for (const { plan, jobs } of standbys) {
          // It was taken meanwhile, or begins anew.
          if (this.#kept.get(plan.id)?.jobs !== jobs) continue
          for (const job of replaysOf(jobs)) this.#extendTo(job, committed)
        }
      })
      .finally(() => {
        this.#extending = false
      })
  }

  #extendTo({ taskId, topic, partition, replay }: ReplayJob, committed: CommittedInputs): void {
    const end = committed.get(partitionId(topic, partition))?.offset ?? -1
    if (end <= replay.end) return
    replay.extend(end)
    this.#options.log.debug('a standby follows what was committed', { task: taskId, topic, offset: end })
    if (this.#fetcher?.progress(topic, partition) === undefined)
      this.#fetcher?.add(topic, partition, replay.position)
  }

  /** A standby without news is as good as its changelog, too. */
  #refresh(): void {
    const now = this.#options.ports.clock.now()
    if (Math.abs(now - this.#refreshedAtMs) < refreshIntervalMs) return
    this.#refreshedAtMs = now
    for (const { jobs } of this.#kept.values()) {
      for (const { store, topic, partition, replay } of jobs.values()) {
        const known = store.checkpoint()
        const progress = this.#fetcher?.progress(topic, partition)
        if (known === undefined || progress === undefined) continue
        if (known.changelogOffset !== (replay?.end ?? progress.highWatermark)) continue
        const caughtUpAtMs = Math.max(known.caughtUpAtMs, progress.answeredAtMs)
        store.applyChangelog([], { ...known, caughtUpAtMs })
      }
    }
  }

  // -- failures

  /** Begins anew: the standby of whose changelog something is said, or all of them. */
  async #failed(error: MillstreamError): Promise<void> {
    if (this.#closed) return
    const { topic, partition } = error.where
    const id = partitionId(String(topic), Number(partition))
    const standby = [...this.#kept.values()].find(({ jobs }) => jobs.has(id))
    if (standby !== undefined) return this.#drop(standby, error)
    this.#warn(undefined, error)
    await this.#fetcher?.close()
    this.#fetcher = undefined
    const retryAtMs = this.#options.ports.clock.monotonic() + retryAfterMs
    for (const one of this.#kept.values()) Object.assign(one, { jobs: new Map(), begun: false, retryAtMs })
  }

  /** Closes a standby, to be opened again: where it has to begin is decided then. */
  #drop(standby: Standby, error: MillstreamError): void {
    const { log, ports, directory } = this.#options
    const { id } = standby.plan
    this.#warn(id, error)
    this.#forget(standby)
    const damaged = error.code === 'STORE_CORRUPT'
    closeTaskStores(log, standby, !damaged)
    if (damaged) directory.remove(id)
    this.#openAtMs.set(id, ports.clock.monotonic() + retryAfterMs)
  }

  #warn(task: string | undefined, error: MillstreamError): void {
    this.#options.log.warn('a standby failed, and is tried again', {
      task,
      code: error.code,
      cause: error.message,
    })
  }
}

type ReplayJob = RestoreJob & { readonly replay: TopicReplay }

const replaysOf = (jobs: Standby['jobs']): ReplayJob[] =>
  [...jobs.values()].filter((job): job is ReplayJob => job.replay !== undefined)

const sumOf = (jobs: readonly RestoreJob[]): number => jobs.reduce((sum, { from, to }) => sum + to - from, 0)
