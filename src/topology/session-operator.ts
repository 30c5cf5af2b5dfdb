// The machine of sessions.
import type { SessionTable } from '../state/session-table.ts'
import type { WindowEntry } from '../state/window-table.ts'
import type { StoreDefinition } from './contracts.ts'
import type { AnyRecord } from './operators.ts'
import { UnalignedAggregation, type WindowEmission } from './window-operators.ts'
import type { Sessions } from './windows.ts'

/** How the records of sessions, and sessions that become one, are put together. */
export interface SessionFold {
  /** Undefined: there is nothing to begin with. */
  initial(): unknown
  add(record: AnyRecord, aggregate: unknown): unknown
  merge(aggregate: unknown, other: unknown): unknown
}

/**
 * Aggregates a stream in sessions. A record that joins sessions takes them out and puts the one in that they become; it is
 * late where that one has closed. Records without a key are left out. A session is as late as its end.
 */
export class SessionAggregation extends UnalignedAggregation<SessionTable> {
  readonly #windows: Sessions
  readonly #fold: SessionFold

  constructor(definition: StoreDefinition, windows: Sessions, emission: WindowEmission, fold: SessionFold) {
    super(definition, emission)
    this.#windows = windows
    this.#fold = fold
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const { timestamp } = record
    const { gapMs } = this.#windows
    const { table } = this
    const key = table.keyOf(record)
    const time = this.advance(timestamp)
    const visibleFrom = table.visibleFrom(this.before)
    const found = table.find(key, Math.max(timestamp - gapMs, visibleFrom), timestamp + gapMs)
    let start = timestamp
    let end = timestamp
    for (const session of found) {
      if (session.start < start) start = session.start
      if (session.end > end) end = session.end
    }
    if (end <= this.lastClosed(time) || end < this.passed) this.late(record)
    else {
      this.#join(record, key, found, start, end)
      this.opened(end)
    }
    this.moved(time)
  }

  protected lastClosed(time: number): number {
    return time - this.#windows.graceMs - this.#windows.gapMs - 1
  }

  #join(record: AnyRecord, key: string, found: readonly WindowEntry[], start: number, end: number): void {
    const { table } = this
    const fold = this.#fold
    let aggregate = fold.initial()
    for (const { value } of found) aggregate = fold.merge(aggregate, value)
    // Of one moment and no longer now: it can only be the session of just this moment that was there.
    const before = start === end ? found[0] : undefined
    if (before === undefined) {
      for (const session of found) {
        table.remove(session)
        this.update(record, session.start, session.end, session.value, undefined, session.end)
      }
    }
    const after = fold.add(record, aggregate)
    const isNull = this.isNull(after)
    if (!isNull) table.put(key, start, end, after)
    else if (before !== undefined) table.remove(before)
    this.update(record, start, end, before?.value, isNull ? undefined : after, end)
  }
}
