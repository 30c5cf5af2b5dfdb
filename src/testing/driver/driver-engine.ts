// What a worker's loop and its transaction do, without waiting for anybody: feed the tasks from the topics, let them
// process, commit, and again until nothing is left. The order of a commit is that of runtime/transaction.ts; the broker's
// part of it (offsets, markers, what readers see) happens in the topics of the driver.
import { type Logger, silentLogger } from '../../base/log.ts'
import { partitionId } from '../../base/topic-partition.ts'
import { resolveSettings } from '../../config/settings.ts'
import type { WorkerSettings } from '../../config/worker-settings.ts'
import { asMillstreamError, MillstreamError } from '../../errors.ts'
import { encodeWitness } from '../../runtime/witness.ts'
import { addCounts, sumOf } from '../../runtime/worker-counts.ts'
import { RecordCollector } from '../../task/record-collector.ts'
import { CallSlots } from '../../task/async-calls.ts'
import type { AnyStore } from '../../task/contracts.ts'
import { noRecords } from '../../task/record-counts.ts'
import type { StreamTask } from '../../task/stream-task.ts'
import type { Topology } from '../../topology/contracts.ts'
import { prepareAlone } from '../../topology/remote-serdes.ts'
import type { TestDriverCounts, TestDriverOptions } from './contracts.ts'
import { DriverClock } from './driver-clock.ts'
import { DriverGlobals } from './driver-globals.ts'
import { type CommittedOffset, DriverTasks } from './driver-tasks.ts'
import { DriverTopics } from './driver-topics.ts'
import { driverClosed, misused } from './misused.ts'
import { asFetched } from './topic-log.ts'

const defaultRecordsMax = 100_000
/** One task in one turn. */
const recordsPerTurn = 256

export class DriverEngine {
  readonly settings: WorkerSettings
  readonly topics: DriverTopics
  readonly clock: DriverClock
  readonly globals: DriverGlobals
  readonly tasks: DriverTasks
  readonly #collector: RecordCollector
  readonly #recordsMax: number
  readonly #slots: CallSlots
  /** A call of another task may have waited for it. */
  #slotIsFree = false
  #answered: () => void = () => {}
  readonly #committed = new Map<string, CommittedOffset>()
  /** Where the queue of an input partition was fed up to; none after a rewind. */
  readonly #fed = new Map<string, number>()
  /** Tasks that the next commit has to carry although they need not have moved: fresh ones, and those that were seeded. */
  readonly #also = new Set<StreamTask>()
  /** Of tasks that were closed. */
  readonly #closedCounts = noRecords()
  #transactions = 0
  #begun = false
  #closed = false

  constructor(topology: Topology, options: TestDriverOptions) {
    this.settings = resolveSettings({ given: options.settings ?? {} }, topology.name, {
      withoutBrokers: true,
    })
    prepareAlone(topology.graph, this.settings.applicationId)
    this.#recordsMax = options.recordsMax ?? defaultRecordsMax
    this.clock = new DriverClock(options.wallClock)
    const { partitions = 1, topics: others = [] } = options
    this.topics = new DriverTopics(topology.graph, this.settings.applicationId, partitions, others)
    this.#collector = new RecordCollector(
      (topic, partition, builder, acknowledged) =>
        acknowledged(this.topics.log(topic).append(partition, builder, true)),
      this.settings,
    )
    this.#slots = new CallSlots(this.settings.asyncInFlightMax, () => {
      this.#slotIsFree = true
    })
    const log: Logger = options.log ?? silentLogger
    const { settings, topics, clock } = this
    this.globals = new DriverGlobals({ tables: topology.graph.globals, settings, topics, clock, log })
    this.tasks = new DriverTasks({
      graph: topology.graph,
      settings,
      topics,
      globals: this.globals.stores,
      collector: this.#collector,
      committed: this.#committed,
      clock,
      log,
      slots: this.#slots,
      notify: () => this.#answered(),
    })
    this.#open()
  }

  get counts(): TestDriverCounts {
    const { processed, skipped, retried, late } = sumOf(this.#closedCounts, this.tasks.all)
    return { processed, skipped, retried, late }
  }

  /** @throws CLOSED */
  assertOpen(): void {
    if (this.#closed) throw driverClosed()
  }

  /** Processes what waits; without an open transaction it is committed, too. @throws see `TestDriver.run` */
  run(): void {
    this.assertOpen()
    for (let records = 0; ; ) {
      this.#feed()
      const processed = this.#process()
      records += processed ?? 0
      if (records > this.#recordsMax) this.#refuseEndless(records)
      const committed = !this.#begun && this.#commit()
      if (processed === undefined && !committed) return
    }
  }

  /** Processes until no call is open. @throws see `TestDriver.run` */
  async settled(): Promise<void> {
    for (;;) {
      const answered = new Promise<void>((resolve) => {
        this.#answered = resolve
      })
      this.run()
      if (this.#slots.open === 0) return
      await answered
      if (this.#closed) return
    }
  }

  advance(ms: number, jump: boolean): void {
    this.assertOpen()
    if (!(ms >= 0) || !Number.isSafeInteger(ms))
      throw misused(`the wall clock cannot be advanced by ${ms} ms: it moves forwards, in whole milliseconds`)
    const target = this.clock.now() + ms
    for (let steps = 0; !jump; steps++) {
      const dueMs = Math.min(...this.tasks.all.map(({ wakeAtMs }) => wakeAtMs))
      if (dueMs > target) break
      if (steps > this.#recordsMax) this.#refuseEndless(steps)
      this.clock.moveTo(Math.max(dueMs, this.clock.now()))
      this.run()
    }
    this.clock.moveTo(target)
    this.run()
  }

  begin(): void {
    this.assertOpen()
    if (this.#begun) throw misused('a transaction is open already')
    this.#begun = true
  }

  commit(): void {
    this.#end()
    this.#commit()
    this.run()
  }

  abort(): void {
    this.#end()
    this.#abort()
  }

  /** Writes to a store as a processor would, between records. */
  seed(task: StreamTask, store: AnyStore, write: () => void): void {
    this.assertOpen()
    store.mark()
    try {
      write()
    } catch (error) {
      store.undo()
      throw error
    } finally {
      store.seal()
    }
    this.#also.add(task)
    if (!this.#begun) this.#commit()
  }

  restart(keepState: boolean): void {
    this.assertOpen()
    this.#begun = false
    this.#abort()
    for (const task of this.tasks.all) addCounts(this.#closedCounts, task)
    this.tasks.close({ keepState })
    this.globals.close({ keepState })
    this.#open()
  }

  close(): void {
    if (this.#closed) return
    for (const task of this.tasks.all) addCounts(this.#closedCounts, task)
    this.#closed = true
    this.#answered()
    this.tasks.close({ keepState: false })
    this.globals.close({ keepState: false })
  }

  /** The start positions of the tasks are committed before their first record, as a worker does. */
  #open(): void {
    try {
      this.globals.open()
      this.tasks.open()
    } catch (error) {
      this.close()
      throw error
    }
    this.#fed.clear()
    for (const task of this.tasks.all) this.#also.add(task)
    this.#commit()
  }

  /** Gives the queues what is new in their topics. Each is told at least once that it has seen everything. */
  #feed(): void {
    this.globals.feed()
    for (const task of this.tasks.all) {
      for (const { topic, partition, position } of task.group.queues) {
        const id = partitionId(topic, partition)
        const fed = this.#fed.get(id)
        const fetched = this.topics.log(topic).partitions[partition]?.fetch(fed ?? position)
        if (fetched === undefined || fetched.nextOffset === fed) continue
        task.addRecords(topic, { ...fetched, batches: fetched.batches.map(asFetched) })
        this.#fed.set(id, fetched.nextOffset)
      }
    }
  }

  /** Lets the tasks work in turn. @returns how many records, or undefined when nothing happened */
  #process(): number | undefined {
    let records: number | undefined
    for (let busy = true; busy; ) {
      busy = false
      for (const task of this.tasks.all) {
        const done = this.#turn(task)
        if (done === undefined) continue
        records = (records ?? 0) + done
        busy = true
      }
      busy ||= this.#slotIsFree
      this.#slotIsFree = false
    }
    return records
  }

  #turn(task: StreamTask): number | undefined {
    try {
      const ticked = task.punctuateWallClock(this.clock.now())
      const done = task.process(recordsPerTurn)
      return ticked || done > 0 ? done : undefined
    } catch (thrown) {
      const error = asMillstreamError(thrown)
      if (error.reaction === 'policy') this.#passOver(task)
      else this.#abort()
      throw error
    }
  }

  /**
   * What a worker does with a record that failed for good, up to where it stops: what came before is committed. A test is
   * to go on, so the position behind the record is committed, too.
   */
  #passOver(task: StreamTask): void {
    task.passOver()
    this.#commit()
    this.#rewind([task])
  }

  /** @returns whether there was anything to commit */
  #commit(): boolean {
    this.#begun = false
    const contributors = this.tasks.all.filter((task) => task.dirty || this.#also.has(task))
    if (contributors.length === 0) return false
    try {
      for (const task of contributors) task.prepareCommit()
      this.#collector.flush()
    } catch (error) {
      this.#abort()
      throw error
    }
    this.#transactions++
    for (const task of contributors) this.#commitOffsets(task)
    this.topics.settle('committed')
    for (const task of contributors) task.postCommit(this.clock.now())
    this.#collector.forgetOffsets()
    this.#also.clear()
    return true
  }

  #commitOffsets(task: StreamTask): void {
    const witness = {
      transactionalId: 'test-driver',
      incarnation: 'test-driver',
      transaction: this.#transactions,
      streamTime: task.streamTime,
      stores: task.storeStates(),
    }
    for (const { topic, partition, offset, partitionTime } of task.positions()) {
      const metadata = encodeWitness({ ...witness, partitionTime })
      this.#committed.set(partitionId(topic, partition), { offset, metadata })
    }
  }

  #abort(): void {
    this.#begun = false
    this.#collector.reset()
    this.topics.settle('aborted')
    this.#also.clear()
    this.#rewind(this.tasks.all)
  }

  /** Puts tasks back to their last commit. */
  #rewind(tasks: readonly StreamTask[]): void {
    for (const task of tasks) {
      task.rewind(new Map())
      for (const { topic, partition } of task.group.queues) this.#fed.delete(partitionId(topic, partition))
    }
  }

  /** The transaction that was begun ends. @throws DRIVER_MISUSED where none was */
  #end(): void {
    this.assertOpen()
    if (!this.#begun) throw misused('no transaction is open')
  }

  #refuseEndless(count: number): never {
    this.#abort()
    throw new MillstreamError('TOPOLOGY_ENDLESS', {
      what: `one call processed ${count} records or ticks, and there are more`,
      where: { recordsMax: this.#recordsMax },
      fix: 'If the topology does not feed itself without an end, raise recordsMax, or advance the clock with jump.',
    })
  }
}
