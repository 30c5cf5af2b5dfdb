// The records of a task with asynchronous processors. Each is taken from its queue before its turn: the processors between
// its source and the calls, which have no stores, run at once; the calls are made; and whatever else they forward is kept. Its
// turn comes when all its calls are answered and every record before it has had its turn. Only then it has effects.
//
//   queue ──> taken: calls are open, nothing has happened ──> its turn: one atomic record, in the order of the queues
//
// So the position of a queue is the lowest record without a turn, a commit may come at any time without waiting for a call,
// and what comes out is what a synchronous processor would have given, whatever call is the slowest (decision 0024).
import type { Logger } from '../base/log.ts'
import type { Clock } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'
import type { AsyncWork, SourceNode } from '../topology/contracts.ts'
import type { StreamRecord } from '../topology/stream-record.ts'
import { Call, CallQueue, type CallSlots, isTimeOut, type OpenCalls } from './async-calls.ts'
import { type FailurePolicy, judgeFailure } from './failure-policy.ts'
import { schemaLookMs } from './failures.ts'
import type { RecordQueue } from './record-queue.ts'
import { type Receiver, type RecordPlace, TakenRecord, type TurnItem } from './taken-record.ts'

type AnyRecord = StreamRecord<unknown, unknown>

/** Records that were taken and wait for their turn, per call that may be open: a slow one holds up those behind it. */
const takenPerCall = 64

/** What the task does for its records. */
export interface TurnHost {
  /** Runs what comes before a record's turn: it may forward, and has no effects. @throws what it threw */
  ahead(place: RecordPlace, act: () => void): void
  /**
   * Runs a record's turn. What the end of one throws is no failure of the record: nothing can be undone then.
   * @returns what the turn threw, when all it did is undone
   */
  atomic(place: RecordPlace, act: () => void): { readonly error: unknown } | undefined
  /** The record had its turn: time goes on. */
  finished(): void
  /** The error with its place. */
  located(error: unknown, place: RecordPlace): MillstreamError
  process(source: SourceNode, record: AnyRecord): void
  /** The queue with the next record. */
  next(): RecordQueue | undefined
}

export interface AsyncTurnsOptions {
  readonly host: TurnHost
  readonly policy: FailurePolicy
  readonly clock: Clock
  readonly log: Logger
  readonly counts: { skipped: number; retried: number; callsTimedOut: number }
  readonly slots: CallSlots
  /** Called when an answer comes in. */
  readonly notify: () => void
}

/** Where what is forwarded ahead of a record's turn is kept. */
interface Keeping {
  readonly taken: TakenRecord
  readonly items: TurnItem[]
  readonly calls: Call[]
}

const goneBack = (): MillstreamError =>
  new MillstreamError('CLOSED', {
    what: 'nobody waits for this call any more: its task was closed, or went back to its last commit',
  })

export class AsyncTurns {
  readonly #options: AsyncTurnsOptions
  readonly #queues = new Map<AsyncWork, CallQueue>()
  /** Taken, in the order of their turns. */
  readonly #taken: TakenRecord[] = []
  #takenMax = takenPerCall
  #settled: Call[] = []
  #keeping: Keeping | undefined
  /** What came before its turn failed for the record that was taken last: it is done again before another one is taken. */
  #unready = false
  /** A record is to end the work: nothing is begun any more. */
  #ends = false
  #streamTime = -1

  constructor(options: AsyncTurnsOptions) {
    this.#options = options
  }

  /** Highest timestamp of what was taken, ms. */
  get streamTime(): number {
    return this.#streamTime
  }

  /** What is forwarded now belongs to a record that waits for its turn. */
  get isAhead(): boolean {
    return this.#keeping !== undefined
  }

  get calls(): OpenCalls {
    let [open, waiting] = [0, 0]
    for (const { openCalls } of this.#queues.values()) {
      open += openCalls.open
      waiting += openCalls.waiting
    }
    return { open, waiting }
  }

  /** When something is to be done without an answer, ms since the epoch; infinite: never. */
  get wakeAtMs(): number {
    const { clock } = this.#options
    let dueMs =
      this.#unready && !this.#ends ? (this.#taken.at(-1) as TakenRecord).retryAtMs : Number.POSITIVE_INFINITY
    for (const queue of this.#queues.values()) dueMs = Math.min(dueMs, queue.dueMs)
    const [first] = this.#taken
    if (first?.waiting === 0 && first.retryAtMs > 0) dueMs = Math.min(dueMs, first.retryAtMs)
    return dueMs === Number.POSITIVE_INFINITY ? dueMs : clock.now() + Math.max(0, dueMs - clock.monotonic())
  }

  /** A receiver outside of the way to a call: it gets what it is forwarded in the record's turn. */
  deferring(receiver: Receiver): Receiver {
    return {
      process: (record) => {
        // Else a punctuator forwards, and is in hand.
        if (this.#keeping === undefined) receiver.process(record)
        else this.#keeping.items.push({ receiver, record })
      },
    }
  }

  /** @throws PROCESSING_FAILED where no record is in hand */
  awaitCall(work: AsyncWork, record: AnyRecord): void {
    const keeping = this.#keeping
    if (keeping === undefined) {
      throw new MillstreamError('PROCESSING_FAILED', {
        what: 'a punctuator forwarded to an asynchronous processor, but only a record can wait for a call: a tick has no offset',
        fix: 'Forward to a topic from the punctuator, and read that topic for the call.',
      })
    }
    const call = new Call(this.#queueOf(work), keeping.taken, record)
    keeping.items.push(call)
    keeping.calls.push(call)
  }

  /** Gives the first record its turn, or takes another one. @returns whether there was something to do */
  step(streamTime: number): boolean {
    this.#streamTime = Math.max(this.#streamTime, streamTime)
    const nowMs = this.#options.clock.monotonic()
    this.#look(nowMs)
    const [first] = this.#taken
    if (first !== undefined && this.#isReady(first, nowMs)) {
      this.#turn(first, nowMs)
      return true
    }
    if (this.#ends) return false
    if (this.#unready) {
      const last = this.#taken.at(-1) as TakenRecord
      if (nowMs < last.retryAtMs) return false
      this.#prepare(last, nowMs)
      return true
    }
    return this.#take(nowMs)
  }

  /** The record that ended the work is passed over. */
  passOver(): void {
    const first = this.#taken.shift()
    if (first !== undefined) first.queue.finishTaken()
  }

  /** Forgets everything: the queues go back, or are closed. */
  reset(streamTime: number): void {
    const reason = goneBack()
    for (const queue of this.#queues.values()) queue.clear(reason)
    this.#taken.length = 0
    this.#settled = []
    this.#unready = false
    this.#ends = false
    this.#streamTime = streamTime
  }

  #queueOf(work: AsyncWork): CallQueue {
    let queue = this.#queues.get(work)
    if (queue === undefined) {
      const { slots, notify } = this.#options
      queue = new CallQueue(work, slots, (call) => {
        this.#settled.push(call)
        notify()
      })
      this.#queues.set(work, queue)
      this.#takenMax += work.inFlightMax * takenPerCall
    }
    return queue
  }

  /** Looks at what came in, and begins what may begin; an answer that is there at once is looked at, too. */
  #look(nowMs: number): void {
    for (const queue of this.#queues.values()) queue.due(nowMs)
    do {
      const settled = this.#settled
      this.#settled = []
      for (const call of settled) this.#settle(call, nowMs)
      for (const queue of this.#queues.values()) this.#handOn(queue, nowMs)
      for (const queue of this.#queues.values()) queue.start(nowMs)
    } while (this.#settled.length > 0)
  }

  #settle(call: Call, nowMs: number): void {
    const { failure } = call
    call.failure = undefined
    if (isTimeOut(failure?.error)) this.#options.counts.callsTimedOut++
    // Its record was left out meanwhile.
    if (call.state === 'over') return
    if (failure === undefined) call.queue.taken(call)
    else if (this.#failed(call.taken, failure.error, nowMs)) call.queue.again(call, call.taken.retryAtMs)
  }

  /** What follows from the answers of a processor, in the order of the records. */
  #handOn(queue: CallQueue, nowMs: number): void {
    for (let call = queue.next; call !== undefined; call = queue.next) {
      const { taken, record, answer, items } = call
      if (nowMs < call.retryAtMs) return
      if (this.#ahead(taken, items, nowMs, () => queue.work.answered(record, answer))) {
        queue.handedOn(call)
        taken.waiting--
      } else if (taken.verdict === undefined) {
        call.retryAtMs = taken.retryAtMs
        return
      }
    }
  }

  #take(nowMs: number): boolean {
    if (this.#taken.length >= this.#takenMax) return false
    for (const queue of this.#queues.values()) if (queue.isFull) return false
    const queue = this.#options.host.next()
    if (queue === undefined) return false
    this.#streamTime = Math.max(this.#streamTime, queue.headTimestamp)
    const taken = new TakenRecord(queue)
    this.#taken.push(taken)
    this.#prepare(taken, nowMs)
    return true
  }

  /** Runs the processors before the calls. */
  #prepare(taken: TakenRecord, nowMs: number): void {
    const { host } = this.#options
    const ready = this.#ahead(taken, taken.items, nowMs, () => host.process(taken.queue.source, taken.head()))
    this.#unready = !ready && taken.verdict === undefined
  }

  /** Runs something before the turn of its record, and makes the calls that it asks for. @returns whether it did not fail */
  #ahead(taken: TakenRecord, items: TurnItem[], nowMs: number, act: () => void): boolean {
    const keeping: Keeping = { taken, items, calls: [] }
    items.length = 0
    this.#keeping = keeping
    try {
      this.#options.host.ahead(taken, act)
    } catch (error) {
      items.length = 0
      this.#keeping = undefined
      this.#failed(taken, error, nowMs)
      return false
    }
    this.#keeping = undefined
    taken.retryAtMs = 0
    taken.waiting += keeping.calls.length
    for (const call of keeping.calls) call.queue.add(call)
    return true
  }

  #isReady({ verdict, waiting, retryAtMs }: TakenRecord, nowMs: number): boolean {
    if (verdict !== undefined) return true
    return waiting === 0 && nowMs >= retryAtMs && !(this.#unready && this.#taken.length === 1)
  }

  /** @throws MillstreamError what ends the work; the record is still there */
  #turn(taken: TakenRecord, nowMs: number): void {
    const { host, log, counts } = this.#options
    const { verdict } = taken
    if (verdict !== undefined && 'fail' in verdict) throw verdict.fail
    if (verdict !== undefined) {
      counts.skipped++
      log.warn('a record failed and is skipped', { cause: verdict.skip.message })
    } else {
      const failure = host.atomic(taken, () => runItems(taken.items))
      if (failure !== undefined) {
        this.#failed(taken, failure.error, nowMs)
        return
      }
    }
    this.#taken.shift()
    taken.queue.finishTaken()
    if (verdict === undefined) host.finished()
  }

  /** Acts by the policy on a record that failed, whatever part of it. @returns whether that part is to be done again */
  #failed(taken: TakenRecord, error: unknown, nowMs: number): boolean {
    const { host, policy, counts, log } = this.#options
    const located = host.located(error, taken)
    if (located.code === 'SCHEMA_PENDING') {
      taken.retryAtMs = nowMs + schemaLookMs
      return true
    }
    taken.attempts++
    const judged = judgeFailure({ ...policy, action: taken.policy ?? policy.action }, taken.attempts)
    if (located.reaction === 'policy' && judged.action === 'retry') {
      counts.retried++
      taken.retryAtMs = nowMs + judged.delayMs
      const { attempts: attempt } = taken
      log.warn('a record failed and is tried again', {
        attempt,
        delayMs: judged.delayMs,
        cause: located.message,
      })
      return true
    }
    const skips = located.reaction === 'policy' && judged.action === 'skip'
    taken.verdict = skips ? { skip: located } : { fail: located }
    this.#ends ||= !skips
    // Where it ends the work nothing that comes after it is called for; else that goes on without it.
    const ended = skips ? [taken] : this.#taken.slice(this.#taken.indexOf(taken)).reverse()
    for (const { items } of ended) endCalls(items, located)
    return false
  }
}

const runItems = (items: readonly TurnItem[]): void => {
  for (const item of items) {
    if (item instanceof Call) runItems(item.items)
    else item.receiver.process(item.record)
  }
}

const endCalls = (items: readonly TurnItem[], reason: Error): void => {
  for (const item of items) {
    if (!(item instanceof Call)) continue
    endCalls(item.items, reason)
    if (item.state !== 'over') item.queue.end(item, reason)
  }
}
