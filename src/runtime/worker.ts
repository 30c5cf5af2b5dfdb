// One worker: a group member with its producer and its tasks, and the loop that drives them: take what was fetched,
// process, punctuate, commit when it pays. The only place that acts on errors (see `#react`).
import { invariant } from '../base/assert.ts'
import { faultPoint } from '../base/fault-point.ts'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { createStateMachine, type StateMachine } from '../base/state-machine.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { asMillstreamError, MillstreamError } from '../errors.ts'
import { noRecords } from '../task/record-counts.ts'
import type { StreamTask } from '../task/stream-task.ts'
import type { Topology } from '../topology/contracts.ts'
import { Adoption } from './adoption.ts'
import { beforeRecovery } from './before-recovery.ts'
import { Closing } from './closing.ts'
import { collectStatus } from './collect-status.ts'
import { CommitPace } from './commit-pace.ts'
import { type Engine, openEngine } from './engine.ts'
import { FaultRow } from './fault-row.ts'
import type { Share } from './placement.ts'
import { shutDown } from './shut-down.ts'
import { Wakeup } from './wakeup.ts'
import { addCounts, sumOf, type WorkerCounts } from './worker-counts.ts'
import { reactionTo } from './worker-errors.ts'
import { type Arrival, fieldsOf } from './worker-membership.ts'
import { type WorkerState, workerTransitions } from './worker-state.ts'
import type { WorkerStatus } from './worker-status.ts'
import { WorkerWatch } from './worker-watch.ts'

export class StreamWorker {
  readonly #topology: Topology
  readonly #settings: WorkerSettings
  readonly #ports: Ports
  readonly #log: Logger
  readonly #watch: WorkerWatch
  readonly #wakeup: Wakeup
  readonly #state: StateMachine<WorkerState>
  readonly #started = Promise.withResolvers<void>()
  readonly #finished = Promise.withResolvers<void>()
  #engine: Engine | undefined
  #paused = false
  /** Tasks whose start positions are to be committed before their first record. */
  #fresh: ReadonlySet<StreamTask> = new Set()
  /** What the group assigned last, and whether the tasks follow it. */
  #share: Readonly<Share> = { tasks: [], revoking: [], standbys: [], warming: [] }
  #adopted = true
  /** An assignment that came while the worker worked, until it is followed. */
  #arrival: Arrival | undefined
  /** Tasks were given up for others: the group is to be joined again, so that it hands them over. */
  #handOver = false
  /** The loop waits for a join, which a close has to break off. */
  #joinsInForeground = false
  readonly #adoption: Adoption
  readonly #pace: CommitPace
  readonly #closing: Closing
  /**
   * What is in memory may not be what is committed: an outcome is unknown, the membership broke, a rewind failed halfway.
   * Nothing is processed and nothing committed until every task was read back from the broker.
   */
  #stale = false
  /** The next InitProducerId need not show the epoch held so far: right after a fresh join or an answered heartbeat. */
  #mayTakeId = true
  readonly #faults = new FaultRow()
  #counts = { aborted: 0, recovered: 0, rebalanced: 0, committed: 0 }
  /** Of tasks that were closed; those that run are added when asked. */
  readonly #closedCounts = noRecords()

  constructor(
    topology: Topology,
    settings: WorkerSettings,
    ports: Ports,
    log: Logger,
    watch: WorkerWatch = new WorkerWatch(ports.clock, log),
  ) {
    this.#topology = topology
    this.#settings = settings
    this.#ports = ports
    this.#log = log
    this.#watch = watch
    this.#wakeup = new Wakeup(ports)
    this.#pace = new CommitPace(settings, ports.clock)
    this.#closing = new Closing(settings.closeTimeoutMs, ports, log)
    this.#adoption = new Adoption(ports, log, () => this.#wakeup.notify())
    this.#state = createStateMachine<WorkerState>(
      'worker',
      'created',
      workerTransitions,
      (next, previous) => {
        log.info('worker state', { from: previous, to: next })
        watch.moved(next, previous)
      },
    )
    // Who does not look at `finished` learns of a failure from `start`, `close` and the state.
    this.#finished.promise.catch(() => {})
    this.#started.promise.catch(() => {})
  }

  get state(): WorkerState {
    return this.#state.current
  }

  /** Resolves when the worker is closed; rejects with the error that stopped it. */
  get finished(): Promise<void> {
    return this.#finished.promise
  }

  get counts(): WorkerCounts {
    const sums = sumOf(this.#closedCounts, this.#engine?.manager.tasks ?? [])
    const { times = 0, ms = 0 } = this.#engine?.pulse.blocked ?? {}
    return { ...sums, ...this.#counts, blocked: times, blockedMs: ms }
  }

  /** What the worker is doing, as plain data. */
  status(): WorkerStatus {
    const { state, counts } = this
    const assignedTasks = this.#share.tasks.length
    return collectStatus(this.#settings, this.#watch, this.#engine, { state, counts, assignedTasks })
  }

  /**
   * Connects, joins the group, restores and runs. Resolves when the worker runs.
   * @throws MillstreamError BROKER_UNREACHABLE, AUTHENTICATION_FAILED, TOPIC_MISSING and whatever else stops the start.
   */
  async start(): Promise<void> {
    if (this.state === 'created') {
      this.#state.transitionTo('starting')
      void this.#run()
    }
    await this.#started.promise
  }

  /** Stops taking records; state and membership stay. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#wakeup.notify()
  }

  /**
   * Commits what is processed and closes. `leave`: whether to leave the group, so that others take over at once; by
   * default a dynamic member leaves and a static one stays, since a restart is to find its tasks again.
   */
  async close(options: { readonly leave?: boolean } = {}): Promise<void> {
    this.#closing.request(options.leave)
    if (this.state === 'created') {
      this.#state.transitionTo('closing')
      this.#end(undefined)
    }
    // A join may wait for the other members for as long as the rebalance timeout. One in the background does not keep
    // the last commit, and is given up after it.
    if (this.#joinsInForeground) this.#engine?.member.giveUpJoin()
    this.#wakeup.stop()
    await this.#finished.promise
  }

  async #run(): Promise<void> {
    let failure: MillstreamError | undefined
    try {
      this.#engine = await openEngine(this.#topology, this.#settings, this.#ports, this.#log, {
        notify: () => this.#wakeup.notify(),
        closing: () => this.#closing.requested,
        connected: (cluster) => this.#closing.connected(cluster),
        interrupted: () => this.#restoreIsInterrupted(),
        watch: this.#watch,
      })
      this.#closing.producer = this.#engine.producer
      while (!this.#closing.requested) await this.#turn()
      await this.#finishWork()
    } catch (error) {
      const thrown = asMillstreamError(error)
      const brokenOff = thrown.code === 'CLOSED' || thrown.code === 'RESTORE_INTERRUPTED'
      failure = this.#closing.requested && brokenOff ? undefined : thrown
    }
    await this.#shutDown(failure)
    this.#end(failure)
  }

  /** One turn of the loop with whatever it threw dealt with. @throws what stops the worker. */
  async #turn(): Promise<void> {
    try {
      this.#watch.turned()
      const engine = this.#running()
      if (this.#isSettled(engine)) await this.#followGroup(engine)
      // What the group said may end it.
      if (this.#isSettled(engine)) await this.#work(engine)
      else await this.#settle(engine)
    } catch (error) {
      await this.#react(asMillstreamError(error))
    }
  }

  async #work(engine: Engine): Promise<void> {
    const { manager, producer, transaction, flow } = engine
    if (this.#fresh.size > 0) await this.#commit(engine)
    flow.take()
    faultPoint('after-poll')
    const processed = this.#paused ? 0 : this.#process(engine)
    flow.balance()
    const failure = producer.failure ?? engine.globals.failure
    if (failure !== undefined) throw failure
    if (this.#pace.isDue(manager.tasks, transaction)) {
      await this.#commit(engine)
      await engine.purge.purgeIfDue(manager.tasks)
    } else if (transaction.isCongested) await producer.progress()
    else if (processed > 0) await this.#ports.timers.yield()
    else {
      manager.refreshCheckpoints(engine.member.confirmedAtMs)
      await this.#wakeup.wait(this.#pace.idleMs(manager.tasks, transaction, this.#paused))
    }
  }

  /** Lets the tasks process in turn, for a slice of time. @returns how many records. */
  #process({ manager, transaction, slicer }: Engine): number {
    transaction.bind()
    return slicer.run(manager.tasks)
  }

  async #commit(engine: Engine): Promise<void> {
    if (!(await engine.transaction.commit(engine.manager.tasks, this.#fresh))) return
    this.#fresh = new Set()
    this.#counts.committed = engine.transaction.committed
    this.#faults.end()
  }

  // -- membership

  /** What is in memory is what is committed plus an open transaction, under a membership that lasts. */
  #isSettled({ producer, membership }: Engine): boolean {
    return !this.#stale && this.#adopted && !producer.lost && !membership.isOver
  }

  /** What the group wants of a worker that works: nothing here waits for other members. */
  async #followGroup(engine: Engine): Promise<void> {
    const { membership, member } = engine
    this.#arrival ??= membership.arrived()
    if (this.#arrival !== undefined) await this.#follow(engine, this.#arrival)
    if (!this.#isSettled(engine)) return
    const wanted = member.state === 'rebalance-needed' || this.#handOver || engine.hasNews()
    if (wanted && !membership.joining) {
      this.#handOver = false
      engine.told()
      this.#watch.rebalanceBegan()
      membership.joinInBackground()
    }
    const fresh = this.#adoption.ended()
    if (fresh === undefined) return
    engine.flow.follow(engine.manager.tasks)
    this.#addFresh(engine, fresh)
    this.#watch.rebalanceEnded()
  }

  /** Follows an assignment while the tasks that stay go on. */
  async #follow(engine: Engine, arrival: Arrival): Promise<void> {
    const { manager, membership, flow } = engine
    this.#take(engine, arrival)
    if (arrival.broken) {
      this.#arrival = undefined
      return
    }
    // What is given up is committed first, and its stores are flushed: whoever gets it begins there. A failure leaves
    // the arrival to the next turn, or to `#settle`; where the time is over, all go back to the commit before.
    if (!manager.runsOn(arrival.tasks))
      await (engine.handOver.isLate ? this.#drop(engine) : this.#commit(engine))
    if (engine.producer.lost) return
    const ready = await this.#adoption.stop()
    this.#release(engine, arrival)
    this.#arrival = undefined
    membership.hold(arrival.tasks)
    flow.follow(manager.tasks)
    this.#addFresh(engine, ready)
    this.#adoption.begin(manager, arrival.tasks)
    // Not sooner: a standby whose task is to run here is taken over with its stores open.
    engine.standbys.follow(arrival.standbys, arrival.warming)
  }

  #release({ manager }: Engine, { tasks, standbys }: Readonly<Share>): void {
    for (const task of manager.release(tasks, standbys)) addCounts(this.#closedCounts, task)
  }

  /** Their start positions are committed before their first record, as long as they run. */
  #addFresh({ manager }: Engine, tasks: ReadonlySet<StreamTask>): void {
    this.#fresh = new Set([...this.#fresh, ...tasks].filter((task) => manager.tasks.includes(task)))
  }

  /** Takes note of an assignment. @throws TOPOLOGY_INVALID */
  #take(engine: Engine, arrival: Arrival): void {
    const { revoking, broken } = arrival
    engine.plan(arrival)
    this.#share = arrival
    this.#handOver = revoking.length > 0
    this.#counts.rebalanced++
    // Somebody else may have run our tasks meanwhile, also those that we have again, so that their positions and stores
    // are no longer what is committed.
    if (broken) {
      this.#stale = true
      this.#mayTakeId = true
    }
    this.#log.info('tasks assigned', fieldsOf(arrival))
  }

  /** Brings a worker that must not work to where it may: a member again, with its tasks at what is committed. */
  async #settle(engine: Engine): Promise<void> {
    const { member, membership } = engine
    this.#addFresh(engine, await this.#adoption.stop())
    const rejoins = membership.isOver || membership.joining || member.state !== 'stable'
    if (rejoins || this.#handOver) await this.#rejoin(engine)
    else await this.#prepare(engine)
  }

  async #rejoin(engine: Engine): Promise<void> {
    const { member, membership } = engine
    if (member.state === 'lost' && member.generationId >= 0) this.#watch.membershipLost()
    // Whatever this member may have to give up is decided before JoinGroup.
    await this.#drop(engine)
    // Nobody waits for the outcome of a commit that was not answered: whoever gets its tasks asks for stable offsets.
    if (this.#handOver && !membership.joining) {
      this.#release(engine, this.#share)
      membership.hold(this.#share.tasks)
    }
    if (this.#state.current !== 'rebalancing') this.#state.transitionTo('rebalancing')
    this.#joinsInForeground = true
    try {
      if (this.#closing.requested) member.giveUpJoin()
      const arrival = await membership.joinUntilHandedOver(engine.topology, (given) =>
        this.#release(engine, given),
      )
      this.#arrival = undefined
      this.#adopted = false
      this.#take(engine, arrival)
      membership.hold(arrival.tasks)
    } finally {
      this.#joinsInForeground = false
    }
  }

  /**
   * Follows the assignment and makes what is in memory what is committed; after a fault it is crash recovery without the
   * crash, right for both outcomes of an unanswered commit and for partitions that moved: InitProducerId (nothing of ours
   * is open any more), OffsetFetch (stable), drop the overlays, replay the changelog tails, go to the committed positions.
   */
  async #prepare(engine: Engine): Promise<void> {
    const { producer, manager, membership, transaction, flow } = engine
    // InitProducerId aborts whatever its transactional id has open: only the rightful owner may do so, so it follows
    // JoinGroup; and it precedes OffsetFetch, so that no offset of ours is pending.
    if (producer.lost || this.#stale) {
      await producer.init(this.#mayTakeId)
      this.#mayTakeId = false
    }
    // Not sooner: an acknowledgement of the lost transaction may come in until its producer is initialised.
    transaction.forget()
    const { tasks, standbys, warming } = this.#share
    membership.hold(tasks)
    this.#release(engine, this.#share)
    // Tasks that are still to be restored do not keep those waiting that can work.
    const running = manager.tasks.map(({ id }) => id)
    const first = running.length > 0 ? running : tasks
    const fresh = await manager.adopt(first, { reload: this.#stale })
    if (this.#stale) flow.seek(manager.tasks)
    else flow.follow(manager.tasks)
    this.#addFresh(engine, fresh)
    this.#adopted = true
    this.#stale = false
    this.#arrival = undefined
    this.#becomeRunning()
    if (first !== tasks) this.#adoption.begin(manager, tasks)
    engine.standbys.follow(standbys, warming)
  }

  /** A restore that others do not wait for ends when it is stopped; one before which nothing works, when the group calls. */
  #restoreIsInterrupted(): boolean {
    if (this.#adoption.active) return this.#adoption.stopped
    return this.#running().member.state !== 'stable'
  }

  /** Aborts and goes back to the last commit. A failure halfway, or a lost producer, leaves the worker stale. */
  async #drop({ producer, transaction, manager, flow }: Engine): Promise<void> {
    const wasStale = this.#stale
    this.#stale = true
    if (producer.inTransaction) this.#counts.aborted++
    await transaction.abort()
    manager.rewind()
    flow.seek(manager.tasks)
    this.#stale = wasStale || producer.lost
  }

  #becomeRunning(): void {
    if (this.state !== 'running') this.#state.transitionTo('running')
    this.#started.resolve()
  }

  // -- faults

  /** The one switch on errors: what each of them makes the worker do. @throws the error when it stops the worker. */
  async #react(error: MillstreamError): Promise<void> {
    // Not a fault: the group wants something else, or the worker is to close. What was restored stays.
    if (error.code === 'RESTORE_INTERRUPTED') return this.#log.info('the restore is interrupted')
    this.#watch.fault(error)
    const engine = this.#running()
    switch (await reactionTo(error, engine.member)) {
      case 'policy':
        return await this.#stopAtRecord(engine, error)
      case 'abort':
        this.#warn('the transaction is aborted', error)
        return await this.#afterFault(error, () => this.#drop(engine))
      case 'retry':
      case 'recover':
      case 'rejoin':
        this.#stale = true
        this.#counts.recovered++
        this.#warn(error.reaction === 'rejoin' ? 'the membership is over' : 'the worker recovers', error)
        if (this.#closing.requested) return
        return await this.#afterFault(error, async () => {
          this.#mayTakeId = (await beforeRecovery(engine, error)) ?? this.#mayTakeId
        })
      default:
        throw error
    }
  }

  /** Acts on a fault; when that fails in its turn, pauses and leaves the next attempt to the loop. */
  async #afterFault(fault: MillstreamError, act: () => Promise<void>): Promise<void> {
    // A registry that is down is waited for, however long (decision 0025).
    if (!this.#faults.add(this.#ports.clock.monotonic()) && fault.code !== 'SCHEMA_PENDING') throw fault
    if (this.state === 'running') this.#state.transitionTo('recovering')
    try {
      await act()
    } catch (thrown) {
      const error = asMillstreamError(thrown)
      if (error.reaction === 'stop' || error.reaction === 'refuse' || error.reaction === 'policy') throw error
      this.#stale = true
      this.#warn('the recovery failed and is repeated', error)
    }
    if (this.#faults.pauseMs > 0) await this.#wakeup.pause(this.#faults.pauseMs)
    if (!this.#stale && this.#adopted && this.state === 'recovering') this.#becomeRunning()
  }

  /** A record failed for good: what came before it is whole and is committed; then the worker stops there. */
  async #stopAtRecord(engine: Engine, error: MillstreamError): Promise<never> {
    try {
      if (this.#isSettled(engine)) await this.#commit(engine)
    } catch (thrown) {
      this.#warn(
        'what came before the failed record could not be committed; it is processed again',
        asMillstreamError(thrown),
      )
    }
    throw error
  }

  #warn(text: string, error: MillstreamError): void {
    this.#log.warn(text, { code: error.code, cause: error.message })
  }

  // -- start and end

  #running(): Engine {
    invariant(this.#engine !== undefined, 'the worker is open')
    return this.#engine
  }

  /** The last commit of a clean close. */
  async #finishWork(): Promise<void> {
    const engine = this.#running()
    this.#state.transitionTo('closing')
    try {
      if (this.#isSettled(engine)) await this.#commit(engine)
      this.#addFresh(engine, await this.#adoption.stop())
      if (this.#fresh.size > 0 && this.#isSettled(engine)) await this.#commit(engine)
    } catch (error) {
      this.#warn(
        'the last commit failed; its records are processed again after the restart',
        asMillstreamError(error),
      )
    }
  }

  async #shutDown(failure: MillstreamError | undefined): Promise<void> {
    if (this.state !== 'closing') this.#state.transitionTo('closing')
    const engine = this.#engine
    if (engine === undefined) return
    await this.#adoption.stop().catch((error: unknown) => this.#warn('closing', asMillstreamError(error)))
    for (const task of engine.manager.tasks) addCounts(this.#closedCounts, task)
    const leave = this.#closing.leave ?? this.#settings.instanceId === undefined
    await shutDown(engine, leave, failure, this.#log)
  }

  #end(failure: MillstreamError | undefined): void {
    this.#closing.end()
    if (failure !== undefined) this.#watch.failed(failure)
    this.#state.transitionTo(failure === undefined ? 'closed' : 'failed')
    this.#started.reject(
      failure ?? new MillstreamError('CLOSED', { what: 'the worker was closed before it ran' }),
    )
    if (failure === undefined) this.#finished.resolve()
    else this.#finished.reject(failure)
  }
}
