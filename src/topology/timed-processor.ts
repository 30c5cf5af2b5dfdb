// The machine of a processor with timers. What is due fires between records, in portions: a timer, what its call forwards
// and what it writes are one transaction, so it fires once.
import type { TimerTable } from '../state/timer-table.ts'
import type { PortionedWork, ProcessorContext, PunctuationType } from './contracts.ts'
import type { GraphBuilder } from './graph-builder.ts'
import { type AnyProcessorSpec, type AnyStore, type LooseProcessor, UserProcessor } from './processor.ts'
import { functionProblem } from './synchronous.ts'
import type { AnyTimerStore, Timers } from './timers.ts'

/** Fewer than a portion may have: each is a call of the user. */
const timersPerPortion = 32
/** No id is above it. */
const aboveAll = '\u00ff'

/** The timers of one processor and task that go by the same time. */
class TimerQueue {
  readonly type: PunctuationType
  readonly table: TimerTable
  readonly #now: () => number
  readonly #alarm: (dueMs: number) => void
  /** No timer has an id below it: what fired is not passed over again. Only a hint, which an abort takes back. */
  #from = ''
  /** Of those that were set since the last walk. */
  #lowestSet = aboveAll
  #alarmMs = Number.POSITIVE_INFINITY

  constructor(type: PunctuationType, table: TimerTable, now: () => number, alarm: (dueMs: number) => void) {
    this.type = type
    this.table = table
    this.#now = now
    this.#alarm = alarm
  }

  rewound(): void {
    this.#from = ''
  }

  /** @returns whether it is due already */
  wasSet(id: string, at: number): boolean {
    if (id < this.#from) this.#from = id
    if (id < this.#lowestSet) this.#lowestSet = id
    if (at <= this.#now()) return true
    if (at < this.#alarmMs) this.#ringAt(at)
    return false
  }

  /** Takes out what is due, in the order of time. @returns how many */
  fire(entriesMax: number, fired: (key: unknown, at: number, name: string) => void): number {
    const { table } = this
    const due = []
    for (const entry of table.upTo(this.type, this.#from, this.#now())) {
      due.push(entry)
      if (due.length === entriesMax) break
    }
    this.#lowestSet = aboveAll
    let count = 0
    for (const entry of due) {
      // One before it set one that comes first.
      if (this.#lowestSet < entry.id) break
      // Cancelled, or set to another time, by one before it.
      if (!table.has(entry)) continue
      this.#from = entry.id
      table.remove(entry)
      count++
      fired(table.keyOf(entry), entry.at, table.nameOf(entry))
    }
    return count
  }

  /** Looks for the next timer. @returns whether it is due */
  look(): boolean {
    for (const { id, at } of this.table.upTo(this.type, this.#from, Number.MAX_SAFE_INTEGER)) {
      this.#from = id
      if (at <= this.#now()) return true
      this.#ringAt(at)
      return false
    }
    this.#ringAt(Number.POSITIVE_INFINITY)
    return false
  }

  #ringAt(dueMs: number): void {
    this.#alarmMs = dueMs
    this.#alarm(dueMs)
  }
}

/** The timers of a processor as it sees them. */
class TimerView implements Timers<unknown> {
  readonly #table: TimerTable
  readonly #queues: Readonly<Record<PunctuationType, TimerQueue>>
  readonly #wake: () => void
  readonly #context: ProcessorContext

  constructor(
    table: TimerTable,
    queues: Readonly<Record<PunctuationType, TimerQueue>>,
    wake: () => void,
    context: ProcessorContext,
  ) {
    this.#table = table
    this.#queues = queues
    this.#wake = wake
    this.#context = context
  }

  set(key: unknown, at: number, name = '', type: PunctuationType = 'stream-time'): void {
    if (!Number.isSafeInteger(at) || at < 0)
      throw new RangeError(`a timer is set to ${String(at)}, but takes whole milliseconds since the epoch`)
    const queue = this.#queues[type] as TimerQueue | undefined
    if (queue === undefined)
      throw new RangeError(`a timer goes by stream-time or wall-clock, not by ${String(type)}`)
    const id = this.#table.set(this.#table.keyBytes(key), name, type, at)
    this.#context.countTimer('timersSet')
    if (queue.wasSet(id, at)) this.#wake()
  }

  cancel(key: unknown, name = ''): boolean {
    return this.#table.cancel(this.#table.keyBytes(key), name)
  }

  at(key: unknown, name = ''): number | undefined {
    return this.#table.at(this.#table.keyBytes(key), name)
  }
}

export class TimedProcessor extends UserProcessor implements PortionedWork {
  readonly #store: string
  #queues: readonly TimerQueue[] = []
  #context!: ProcessorContext

  constructor(
    made: LooseProcessor,
    aliases: ReadonlyMap<string, AnyStore>,
    named: boolean,
    timers: AnyTimerStore | undefined,
  ) {
    super(made, aliases, named)
    this.#store = timers?.name ?? ''
  }

  protected override timersIn(context: ProcessorContext): Timers<unknown> {
    this.#context = context
    const table = context.timerTable(this.#store)
    const wake = context.inPortions(this)
    const queueOf = (type: PunctuationType, now: () => number): TimerQueue =>
      new TimerQueue(type, table, now, context.alarm(type, wake))
    const queues = {
      'stream-time': queueOf('stream-time', () => context.streamTime()),
      'wall-clock': queueOf('wall-clock', () => context.wallClockTime()),
    }
    this.#queues = Object.values(queues)
    return new TimerView(table, queues, wake, context)
  }

  portion(entriesMax: number, drop: boolean): boolean {
    let left = Math.min(entriesMax, timersPerPortion)
    try {
      for (const queue of this.#queues) {
        const { type } = queue
        left -= queue.fire(left, (key, at, name) => {
          this.#context.countTimer('timersFired')
          if (!drop) this.callTimer({ key, at, name, type })
        })
        if (left === 0) return true
      }
    } catch (error) {
      this.rewound()
      throw error
    }
    let more = false
    for (const queue of this.#queues) if (queue.look()) more = true
    return more
  }

  rewound(): void {
    for (const queue of this.#queues) queue.rewound()
  }
}

/** The store of timers that a processor declares, checked. */
export const timersOf = (
  builder: GraphBuilder,
  spec: AnyProcessorSpec,
  place: string,
): AnyTimerStore | undefined => {
  const { timers, onTimer } = spec as { readonly timers?: AnyTimerStore; readonly onTimer?: unknown }
  if (timers === undefined) {
    if (onTimer !== undefined) builder.problem(`${place} has onTimer, but no timers: declare a timerStore`)
    return undefined
  }
  if ((timers as { readonly timers?: unknown } | null)?.timers !== true) {
    builder.problem(`timers of ${place} is no timerStore`)
    return undefined
  }
  if (spec.create === undefined) builder.problem(functionProblem(onTimer, `onTimer of ${place}`))
  return timers
}
