// A task: one sub-topology over one partition number. It takes batches and time, runs the processors record by record,
// and says what is to be committed. It decides and never waits: sockets are the worker's.
//
// A record is atomic. If anything it does throws, its outputs, its store writes and its stream time are taken back, and
// the policy acts. A punctuator call counts as such a record.
import { invariant } from '../base/assert.ts'
import { faultPoint } from '../base/fault-point.ts'
import type { Logger } from '../base/log.ts'
import type { Clock } from '../base/ports.ts'
import { wrong } from '../base/wrong-builds.ts'
import { ensureError, type MillstreamError } from '../errors.ts'
import type { RecordHeader } from '../record/record-cursor.ts'
import type { TimerTable } from '../state/timer-table.ts'
import type {
  Cancellable,
  PortionedWork,
  ProcessorContext,
  Punctuator,
  PunctuationType,
  RecordMetadata,
  ScheduleOptions,
  TableStore,
  TimerCount,
} from '../topology/contracts.ts'
import type { HeldBack } from '../topology/held-back.ts'
import { aheadOf } from './ahead.ts'
import type { OpenCalls } from './async-calls.ts'
import { AsyncTurns, type TurnHost } from './async-turns.ts'
import { CommitHolds } from './commit-holds.ts'
import { type CommittedOffset, CommittedPositions } from './committed-positions.ts'
import type { AnyStore, StreamTaskOptions, TaskStore } from './contracts.ts'
import { type FailurePolicy, judgeFailure } from './failure-policy.ts'
import { located, portionFailed, punctuatorFailed, schemaLookMs, scheduledTooLate } from './failures.ts'
import { PartitionGroup } from './partition-group.ts'
import { PortionList } from './portions.ts'
import { ProcessorGraph, type TaskView } from './processor-graph.ts'
import { PunctuationSchedule } from './punctuation.ts'
import type { RecordCollector } from './record-collector.ts'
import { noRecords, type RecordCounts } from './record-counts.ts'
import type { FetchedRecords, QueueStart, RecordQueue } from './record-queue.ts'
import { RetryPause } from './retry-pause.ts'
import { StoreMigrations } from './store-migrations.ts'
import { tableStoreOf, timerTableOf, viewOf, windowTableOf } from './store-access.ts'
import { commitOverlays, drainStores, refreshStores, storeStatesOf } from './store-states.ts'
import { metadataOf, type RecordPlace } from './taken-record.ts'
import type { StoreState, TaskPosition } from './task-state.ts'

export class StreamTask implements TaskView {
  readonly applicationId: string
  readonly id: string
  readonly partition: number
  readonly group: PartitionGroup
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly migrations: StoreMigrations
  /** Counted since the start. */
  readonly counts: RecordCounts & { punctuated: number } = { ...noRecords(), punctuated: 0 }
  readonly #collector: RecordCollector
  readonly #policy: FailurePolicy
  readonly #clock: Clock
  readonly #log: Logger
  readonly #graph: ProcessorGraph
  readonly #storeList: readonly AnyStore[]
  readonly #streamTimers = new PunctuationSchedule()
  readonly #wallTimers = new PunctuationSchedule()
  readonly #portions = new PortionList()
  readonly #holds = new CommitHolds()
  readonly #committed: CommittedPositions
  #committedStreamTime = -1
  /** Begins as a number: in a field that began undefined V8 makes an object of each timestamp. */
  #streamTime = -1
  #inHand = false
  #inInit = false
  #queueInHand: RecordPlace | undefined
  /** Undefined where no processor is asynchronous. */
  readonly #turns: AsyncTurns | undefined
  #lateAtMark = 0
  readonly #pause: RetryPause
  /** Something happened since the last commit beside positions that moved: a punctuator, a portion or a migration ran. */
  #punctuated = false

  constructor(options: StreamTaskOptions) {
    this.applicationId = options.applicationId
    this.id = options.id
    this.partition = options.partition
    this.stores = options.stores
    this.migrations = new StoreMigrations(options.stores, options.migrations)
    const { clock, maxTaskIdleMs } = options
    this.group = new PartitionGroup(options.queues, { maxTaskIdleMs, now: () => clock.now() })
    this.#collector = options.collector
    this.#policy = options.policy
    this.#clock = clock
    this.#pause = new RetryPause(clock)
    this.#log = options.log
    this.#streamTime = options.streamTime
    this.#committedStreamTime = options.streamTime
    this.#storeList = [...options.stores.values()].map(({ store }) => store)
    this.#committed = new CommittedPositions(options.queues)
    this.#sealStores()
    this.#turns = this.#asyncTurns(options)
    const { subtopology, collector, outputOf, globals } = options
    this.#graph = new ProcessorGraph(subtopology, this, collector, outputOf, globals, this.#turns)
    for (const queue of this.group.queues) queue.letsMemoryGo = this.#graph.keepsNoRecord
  }

  get inHand(): boolean {
    return this.#inHand
  }

  /** Highest timestamp seen, ms; -1 before the first record. */
  get streamTime(): number {
    return this.#turns?.isAhead ? this.#turns.streamTime : this.#streamTime
  }

  /** When the next wall-clock punctuator, retry or time limit is due, or an input no longer waited for: ms since the epoch, or infinity. */
  get wakeAtMs(): number {
    const retryAtMs = this.#pause.wakeAtMs
    const callsAtMs = this.#turns?.wakeAtMs ?? retryAtMs
    return Math.min(retryAtMs, callsAtMs, this.#wallTimers.dueMs, this.group.idleUntilMs)
  }

  /** Whether a commit has to carry this task: it moved (also past markers), wrote, or fired a timer. */
  get dirty(): boolean {
    return this.#punctuated || this.#committed.areBehind
  }

  /** Bytes written to stores and not committed. */
  get uncommittedBytes(): number {
    let bytes = 0
    for (const store of this.#storeList) bytes += store.uncommittedBytes
    return bytes
  }

  /** Runs the init of every processor: after the stores are restored, before the first record. */
  init(): void {
    this.#inInit = true
    try {
      this.#punctuated = this.migrations.run()
      this.#graph.init()
    } catch (error) {
      throw located(error, this.id, undefined)
    } finally {
      this.#inInit = false
    }
  }

  addRecords(topic: string, fetched: FetchedRecords): void {
    this.queue(topic).add(fetched)
  }

  queue(topic: string): RecordQueue {
    const queue = this.group.queues.find((one) => one.topic === topic)
    invariant(queue !== undefined, 'fetched records belong to an input of the task', { task: this.id, topic })
    return queue
  }

  /**
   * Processes up to `limit` records. @returns how many; fewer when nothing is at hand or a retry waits.
   * @throws MillstreamError when the policy says fail: what came before the record is whole and can be committed.
   */
  process(limit: number): number {
    let done = 0
    while (done < limit) {
      if (this.#portions.waiting) {
        this.#runPortion()
        done++
        continue
      }
      if (this.#pause.lasts) break
      if (this.#turns === undefined) {
        const queue = this.group.next() ?? this.group.nextBehindGate()
        if (queue === undefined || !this.#processHead(queue)) break
      } else if (!this.#turns.step(this.#streamTime)) break
      done++
      faultPoint('mid-batch')
    }
    return done
  }

  /** Calls the wall-clock punctuators that are due. @returns whether one was. */
  punctuateWallClock(nowMs: number): boolean {
    if (nowMs < this.#wallTimers.dueMs) return false
    this.#punctuate(this.#wallTimers, nowMs)
    return true
  }

  /** Puts the changes of the stores into the changelog batches. Nothing is processed between this and postCommit. */
  prepareCommit(): void {
    this.#holds.tellAll(
      (work) => this.#betweenRecords(work),
      (failure) => this.#skipped('a change that waited for the commit', failure),
    )
    // A broker refuses timestamps that run ahead (message.timestamp.after.max.ms), and a change must never be refused.
    const timestamp = Math.max(0, Math.min(this.#streamTime, this.#clock.now()))
    drainStores(this.stores.values(), this.#collector, this.partition, timestamp)
  }

  /** What is to be committed for this task. */
  positions(): TaskPosition[] {
    return this.group.positions
  }

  /** The stores as this transaction leaves them: after prepareCommit, when every change is acknowledged. */
  storeStates(): StoreState[] {
    return storeStatesOf(this.stores.values(), this.#collector, this.partition)
  }

  /** The transaction is committed: the stores take it over, and here is what a rewind goes back to. */
  postCommit(nowMs: number): void {
    this.commitStores(nowMs)
    this.migrations.done()
    this.#punctuated = false
    this.#committedStreamTime = this.#streamTime
    this.#streamTimers.settle()
    this.#wallTimers.settle()
    this.#committed.settle(this.id)
  }

  /** Overlays become the committed base, each with the changelog offset behind it. */
  commitStores(nowMs: number): void {
    commitOverlays(this, this.#collector, nowMs)
  }

  /** The last committed position of each input by `partitionId`, or the start that was chosen. */
  get committedPositions(): ReadonlyMap<string, CommittedOffset> {
    return this.#committed.all()
  }

  /** The transaction is aborted: drops what was written, and goes back to these positions (by `partitionId`). */
  rewind(positions: ReadonlyMap<string, QueueStart>, streamTime: number = this.#committedStreamTime): void {
    for (const store of this.#storeList) store.dropOverlay()
    this.#committed.rewind(positions, wrong('no-rewind-after-abort'))
    if (streamTime === this.#committedStreamTime) this.#streamTimers.rewind()
    else this.#streamTimers.moveTo(streamTime)
    this.#wallTimers.rewind()
    this.#portions.wakeAll()
    this.#holds.forget()
    this.#streamTime = streamTime
    this.#committedStreamTime = streamTime
    this.#turns?.reset(streamTime)
    this.#punctuated = this.migrations.run()
    this.#pause.end()
  }

  /**
   * Between transactions, when nothing moved for long: this task is the only writer of its changelogs, so its stores are
   * at their end. Without this an idle store would look old after a restart and be rebuilt.
   */
  refreshCheckpoints(confirmedAtMs: number): void {
    refreshStores(this.#storeList, confirmedAtMs)
  }

  /** Closes the processors; the stores are closed by who opened them. */
  close(): void {
    this.#turns?.reset(-1)
    const error = this.#graph.close()
    this.#streamTimers.clear()
    this.#wallTimers.clear()
    if (error !== undefined)
      this.#log.warn('a processor failed to close', { task: this.id, cause: ensureError(error).message })
  }

  wallClockTime(): number {
    return this.#clock.now()
  }

  recordMetadata(): RecordMetadata | undefined {
    return this.#queueInHand && metadataOf(this.#queueInHand)
  }

  store(name: string): ReturnType<ProcessorContext['store']> | undefined {
    const timestamp = (): number => this.#queueInHand?.headTimestamp ?? Math.max(0, this.#streamTime)
    const headers = (): readonly RecordHeader[] => this.#queueInHand?.head().headers ?? []
    return viewOf(this.stores.get(name), this, { timestamp, headers })
  }

  tableStore(name: string): TableStore | undefined {
    return tableStoreOf(this.stores.get(name), this)
  }

  windowTable(name: string): ReturnType<ProcessorContext['windowTable']> | undefined {
    return windowTableOf(this.stores.get(name))
  }

  timerTable(name: string): TimerTable | undefined {
    const found = this.stores.get(name)
    return found && timerTableOf(found)
  }

  alarm(type: PunctuationType, ring: () => void): (dueMs: number) => void {
    invariant(this.#inInit, 'an alarm is announced in init', { task: this.id })
    return (type === 'stream-time' ? this.#streamTimers : this.#wallTimers).addAlarm(ring)
  }

  inPortions(work: PortionedWork): () => void {
    invariant(this.#inInit, 'work in portions is announced in init', { task: this.id })
    return this.#portions.add(work)
  }

  heldBack(store: string): HeldBack {
    return this.#holds.of(store)
  }

  countLate(): void {
    this.counts.late++
  }

  countTimer(what: TimerCount): void {
    this.counts[what]++
  }

  /** Calls of asynchronous processors; undefined where there is none. */
  get calls(): OpenCalls | undefined {
    return this.#turns?.calls
  }

  schedule(
    intervalMs: number,
    type: PunctuationType,
    punctuator: Punctuator,
    options?: ScheduleOptions,
  ): Cancellable {
    if (!this.#inInit) throw scheduledTooLate(this.id)
    return type === 'stream-time'
      ? this.#streamTimers.add(intervalMs, punctuator, this.#streamTime, options)
      : this.#wallTimers.add(intervalMs, punctuator, this.#clock.now(), options)
  }

  /** The record that failed for good is passed over, uncommitted as it is. */
  passOver(): void {
    if (this.#turns === undefined) this.group.next()?.pop()
    else this.#turns.passOver()
  }

  #asyncTurns(options: StreamTaskOptions): AsyncTurns | undefined {
    if (aheadOf(options.subtopology.nodes).size === 0) return undefined
    const host: TurnHost = {
      ahead: (place, act) => this.#ahead(place, act),
      atomic: (place, act) => this.#atomic(place, act),
      finished: () => this.#timePassed(),
      next: () => this.group.next() ?? this.group.nextBehindGate(),
      located: (error, place) => located(error, this.id, place),
      process: (source, record) => this.#graph.process(source, record),
    }
    return new AsyncTurns({ ...options, host, counts: this.counts })
  }

  #ahead(place: RecordPlace, act: () => void): void {
    this.#queueInHand = place
    this.#inHand = true
    try {
      act()
    } finally {
      this.#inHand = false
      this.#queueInHand = undefined
    }
  }

  #atomic(place: RecordPlace, act: () => void): { readonly error: unknown } | undefined {
    const before = this.#streamTime
    this.#queueInHand = place
    try {
      this.#begin()
      if (place.headTimestamp > before) this.#streamTime = place.headTimestamp
      act()
    } catch (error) {
      this.#undo()
      this.#streamTime = before
      return { error }
    }
    this.#finish()
    this.counts.processed++
    return undefined
  }

  #timePassed(): void {
    if (this.#streamTime >= this.#streamTimers.dueMs) this.#punctuate(this.#streamTimers, this.#streamTime)
  }

  /** @returns false when the record stays at hand for a retry. */
  #processHead(queue: RecordQueue): boolean {
    const before = this.#streamTime
    this.#queueInHand = queue
    try {
      this.#begin()
      const record = queue.head()
      if (queue.headTimestamp > before) this.#streamTime = queue.headTimestamp
      this.#graph.process(queue.source, record)
    } catch (error) {
      this.#undo()
      this.#streamTime = before
      return this.#failed(queue, error)
    }
    this.#finish()
    queue.pop()
    this.counts.processed++
    this.#timePassed()
    return true
  }

  #punctuate(timers: PunctuationSchedule, timeMs: number): void {
    for (const punctuator of timers.takeDue(timeMs)) {
      this.#punctuated = true
      this.counts.punctuated++
      const failure = this.#betweenRecords(() => punctuator(timeMs), punctuatorFailed)
      if (failure !== undefined) this.#skipped('a punctuator', failure)
    }
  }

  #runPortion(): void {
    const before = this.uncommittedBytes
    const failure = this.#betweenRecords(() => this.#portions.run())
    if (failure === undefined) {
      if (this.uncommittedBytes !== before) this.#punctuated = true
    } else if (this.#portions.skipFailed()) this.#skipped('a result told between records', failure)
  }

  /** Work that is atomic like a record. @returns why it failed, where that is to be skipped */
  #betweenRecords(
    work: () => void,
    failed: (cause: MillstreamError) => MillstreamError = portionFailed,
  ): MillstreamError | undefined {
    try {
      this.#begin()
      work()
    } catch (error) {
      this.#undo()
      const failure = located(error, this.id, undefined)
      if (failure.reaction !== 'policy') throw failure
      // Not like a record: it cannot stay at hand, so that committing what came before would drop it.
      if (this.#policy.action !== 'skip') throw failed(failure)
      return failure
    }
    this.#finish()
    return undefined
  }

  #skipped(what: string, failure: MillstreamError): void {
    this.counts.skipped++
    this.#log.warn(`${what} failed and is skipped`, { task: this.id, cause: failure.message })
  }

  #begin(): void {
    this.#inHand = true
    this.#lateAtMark = this.counts.late
    this.#collector.beginRecord()
    const stores = this.#storeList
    for (let index = 0; index < stores.length; index++) (stores[index] as AnyStore).mark()
    this.#holds.mark()
  }

  #finish(): void {
    this.#sealStores()
    this.#queueInHand = undefined
    this.#collector.finishRecord()
  }

  #undo(): void {
    this.#collector.undoRecord()
    for (const store of this.#storeList) store.undo()
    this.#holds.undo()
    this.counts.late = this.#lateAtMark
    this.#sealStores()
    this.#queueInHand = undefined
  }

  #sealStores(): void {
    this.#inHand = false
    const stores = this.#storeList
    for (let index = 0; index < stores.length; index++) (stores[index] as AnyStore).seal()
  }

  #failed(queue: RecordQueue, error: unknown): boolean {
    const failure = located(error, this.id, queue)
    if (failure.code === 'SCHEMA_PENDING') {
      this.#pause.begin(schemaLookMs)
      return false
    }
    if (failure.reaction !== 'policy') throw failure
    // Counted with the record: others may have their turn while it waits.
    const attempt = queue.countFailure()
    const action = queue.headVerdict ?? this.#policy.action
    const verdict = judgeFailure({ ...this.#policy, action }, attempt)
    if (verdict.action === 'fail') throw failure
    if (verdict.action === 'retry') {
      this.counts.retried++
      this.#pause.begin(verdict.delayMs)
      this.#log.warn('a record failed and is tried again', {
        attempt,
        delayMs: verdict.delayMs,
        cause: failure.message,
      })
      return false
    }
    this.counts.skipped++
    this.#log.warn('a record failed and is skipped', { cause: failure.message })
    queue.pop()
    return true
  }
}
