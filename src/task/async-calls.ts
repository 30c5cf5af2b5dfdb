// The calls of one asynchronous processor in one task: which may begin, how long each is waited for, and in what order their
// answers are handed on.
//
//   waiting ──> open ──> answered ──> over         a call begins when no call of its key is before it and a slot is free
//                 └──> pausing ──> waiting         it failed, and is tried again: its key waits with it
//
// Answers are handed on in the order of the calls: a processor behind it that is asynchronous, too, sees the records of a key
// in their order. Nothing here waits: an answer that comes in is only noted, and looked at in the task's own turn.
import { isMillstreamError, MillstreamError } from '../errors.ts'
import type { AsyncWork } from '../topology/contracts.ts'
import type { StreamRecord } from '../topology/stream-record.ts'
import { laneOf } from './call-lane.ts'
import type { TakenRecord, TurnItem } from './taken-record.ts'

type AnyRecord = StreamRecord<unknown, unknown>

/** How many calls all tasks of a worker have open. */
export class CallSlots {
  readonly #max: number
  readonly #notify: () => void
  #open = 0
  #wanted = false

  /** @param notify called when a slot is free that was asked for */
  constructor(max: number, notify: () => void) {
    this.#max = max
    this.#notify = notify
  }

  get open(): number {
    return this.#open
  }

  /** @returns whether there is one */
  take(): boolean {
    this.#wanted = this.#open >= this.#max
    if (this.#wanted) return false
    this.#open++
    return true
  }

  free(): void {
    this.#open--
    if (!this.#wanted) return
    this.#wanted = false
    this.#notify()
  }
}

/** How many calls of a task there are. */
export interface OpenCalls {
  /** An answer is waited for. */
  readonly open: number
  /** They wait for a slot, for one of their key, or for their next try. */
  readonly waiting: number
}

type CallState = 'waiting' | 'open' | 'pausing' | 'answered' | 'over'

export class Call {
  readonly queue: CallQueue
  readonly taken: TakenRecord
  readonly record: AnyRecord
  /** Undefined: no other call has to wait for it. */
  readonly lane: string | undefined
  /** What follows from its answer, once that was handed on. */
  readonly items: TurnItem[] = []
  state: CallState = 'waiting'
  answer: unknown
  /** What it failed with, as long as nobody has looked at that. */
  failure: { readonly error: unknown } | undefined
  /** When something is to be done about it: the time limit of an open call, the next try of one that failed. */
  dueMs: number = Number.POSITIVE_INFINITY
  /** What follows from its answer failed, and is not tried again before then. */
  retryAtMs = 0
  /** As long as an answer is waited for. */
  abort: AbortController | undefined
  /** It is the first one of its lane. */
  leads = false

  constructor(queue: CallQueue, taken: TakenRecord, record: AnyRecord) {
    this.queue = queue
    this.taken = taken
    this.record = record
    this.lane = laneOf(record.key)
  }
}

const timedOut = (timeoutMs: number): MillstreamError =>
  new MillstreamError('CALL_TIMED_OUT', {
    what: `an asynchronous processor had no answer after ${timeoutMs} ms`,
    fix: 'Raise its timeoutMs, or see what it waits for. The call was aborted by its signal.',
  })

export const isTimeOut = (error: unknown): boolean =>
  isMillstreamError(error) && error.code === 'CALL_TIMED_OUT'

export class CallQueue {
  readonly work: AsyncWork
  readonly #slots: CallSlots
  /** Told of each call that was answered or failed, when that comes in. */
  readonly #settled: (call: Call) => void
  /** All that are not over, in the order of the records. */
  readonly #calls: Call[] = []
  readonly #startable: Call[] = []
  /** By key, those behind the one that leads. */
  readonly #lanes = new Map<string, Call[]>()
  #open = 0
  /** Nothing is due before then, in monotonic ms. */
  #soonestMs = Number.POSITIVE_INFINITY

  constructor(work: AsyncWork, slots: CallSlots, settled: (call: Call) => void) {
    this.work = work
    this.#slots = slots
    this.#settled = settled
  }

  get openCalls(): OpenCalls {
    let waiting = 0
    for (const { state } of this.#calls) if (state === 'waiting' || state === 'pausing') waiting++
    return { open: this.#open, waiting }
  }

  /** Calls that could begin wait for a slot: more records would only wait, too. */
  get isFull(): boolean {
    return this.#startable.length > 0
  }

  /** When something is to be done without an answer, in monotonic ms; infinite: never. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY
    for (const call of this.#calls) dueMs = Math.min(dueMs, call.dueMs)
    const waiting = this.next?.retryAtMs ?? 0
    if (waiting > 0) dueMs = Math.min(dueMs, waiting)
    return dueMs
  }

  add(call: Call): void {
    this.#calls.push(call)
    const behind = call.lane === undefined ? undefined : this.#lanes.get(call.lane)
    if (behind !== undefined) {
      behind.push(call)
      return
    }
    if (call.lane !== undefined) this.#lanes.set(call.lane, [])
    call.leads = true
    this.#startable.push(call)
  }

  /** Begins what may begin. */
  start(nowMs: number): void {
    while (this.#startable.length > 0 && this.#open < this.work.inFlightMax && this.#slots.take()) {
      this.#open++
      this.#begin(this.#startable.shift() as Call, nowMs)
    }
  }

  /** Ends the calls whose time is over, and lets those be tried again that waited for it. */
  due(nowMs: number): void {
    if (nowMs < this.#soonestMs) return
    for (const call of this.#calls) {
      if (call.dueMs > nowMs) continue
      const { abort } = call
      if (abort !== undefined) {
        const error = timedOut(this.work.timeoutMs)
        this.#failed(call, error)
        abort.abort(error)
      } else if (call.state === 'pausing') {
        call.state = 'waiting'
        call.dueMs = Number.POSITIVE_INFINITY
        // Before others: whatever came after its record waits for it.
        this.#startable.unshift(call)
      }
    }
    this.#soonestMs = Number.POSITIVE_INFINITY
    for (const { dueMs } of this.#calls) this.#soonestMs = Math.min(this.#soonestMs, dueMs)
  }

  /** An answer that came in is taken. The next call of its key may begin. */
  taken(call: Call): void {
    call.state = 'answered'
    this.#leave(call)
  }

  /** A call that failed is made again then. */
  again(call: Call, atMs: number): void {
    call.state = 'pausing'
    this.#isDue(call, atMs)
  }

  /** The next call whose answer may be handed on. */
  get next(): Call | undefined {
    while (this.#calls[0]?.state === 'over') this.#calls.shift()
    const call = this.#calls[0]
    return call?.state === 'answered' ? call : undefined
  }

  /** What follows from the answer is known. */
  handedOn(call: Call): void {
    call.state = 'over'
  }

  /** Nobody waits for the call any more. */
  end(call: Call, reason: Error): void {
    const { abort } = call
    call.state = 'over'
    call.dueMs = Number.POSITIVE_INFINITY
    if (abort !== undefined) this.#close(call)
    const waiting = this.#startable.indexOf(call)
    if (waiting >= 0) this.#startable.splice(waiting, 1)
    const behind = call.lane === undefined ? undefined : this.#lanes.get(call.lane)
    const place = behind?.indexOf(call) ?? -1
    if (place >= 0) behind?.splice(place, 1)
    this.#leave(call)
    abort?.abort(reason)
  }

  /** Nobody waits for any of them. */
  clear(reason: Error): void {
    // The last first, so that none begins to lead on the way.
    for (const call of [...this.#calls].reverse()) this.end(call, reason)
    this.#calls.length = 0
  }

  #begin(call: Call, nowMs: number): void {
    const abort = new AbortController()
    call.abort = abort
    call.state = 'open'
    this.#isDue(call, nowMs + this.work.timeoutMs)
    const isWaitedFor = (): boolean => call.abort === abort
    const answered = (answer: unknown): void => {
      if (!isWaitedFor()) return
      this.#close(call)
      call.answer = answer
      this.#settled(call)
    }
    const failed = (error: unknown): void => {
      if (isWaitedFor()) this.#failed(call, error)
    }
    try {
      const given = this.work.call(call.record, abort.signal) as { then?: unknown } | null | undefined
      if (typeof given?.then === 'function') Promise.resolve(given).then(answered, failed)
      else answered(given)
    } catch (error) {
      failed(error)
    }
  }

  #isDue(call: Call, atMs: number): void {
    call.dueMs = atMs
    if (atMs < this.#soonestMs) this.#soonestMs = atMs
  }

  #failed(call: Call, error: unknown): void {
    this.#close(call)
    call.failure = { error }
    this.#settled(call)
  }

  /** It is no longer open: its slot is free. */
  #close(call: Call): void {
    call.abort = undefined
    call.dueMs = Number.POSITIVE_INFINITY
    this.#open--
    this.#slots.free()
  }

  /** The next call of the same key leads. */
  #leave(call: Call): void {
    if (!call.leads) return
    call.leads = false
    if (call.lane === undefined) return
    const next = this.#lanes.get(call.lane)?.shift()
    if (next === undefined) {
      this.#lanes.delete(call.lane)
      return
    }
    next.leads = true
    this.#startable.push(next)
  }
}
