// Ten kills, in an order of their own each time: before, at and after TxnOffsetCommit and EndTxn, on a disk that stays
// or is lost.
import type { FaultPoint } from '../../../src/base/fault-point.ts'
import { below, type Random, shuffled } from '../../support/random.ts'
import type { Fault } from './faults.ts'

export interface PlannedKill {
  readonly fault: Fault
  /** What the next life finds. */
  readonly disk: 'same' | 'empty'
}

/** At most so many hits before the kill; a transaction passes most points once, some once per request or record. */
const hitsMax: Partial<Record<FaultPoint, number>> = {
  'mid-batch': 400,
  'after-produce': 12,
  'restore-batch': 1,
}

const points: readonly FaultPoint[] = [
  // Inside an open transaction: before, at and after TxnOffsetCommit, before EndTxn.
  'mid-batch',
  'after-produce',
  'before-offset-commit',
  'offset-commit-sent',
  'after-offset-commit',
  'before-end-txn',
  'before-end-txn',
  // EndTxn is on its way: the outcome is the broker's.
  'end-txn-sent',
  // Committed, and the store does not know of it, or does.
  'end-txn-acked',
]

export const killPlan = (random: Random): PlannedKill[] => {
  const last: FaultPoint = random() < 0.5 ? 'before-local-commit' : 'after-local-commit'
  const kills = shuffled(random, [...points, last]).map((point, index): PlannedKill => {
    const fault: Fault = {
      point,
      hit: 1 + below(random, hitsMax[point] ?? 6),
      action: 'kill',
      // Some lives are long enough for a flush by time, which comes once a second.
      ...(index % 3 === 0 ? { afterMs: 1100 } : {}),
      // Not arrived yet, under way, or applied and answered to nobody.
      ...(point.endsWith('-sent') ? { delayMs: below(random, 12) } : {}),
    }
    return { fault, disk: 'same' }
  })
  const empty = new Set(shuffled(random, [...kills.keys()]).slice(0, 4))
  return kills.map((kill, index) => (empty.has(index) ? { ...kill, disk: 'empty' } : kill))
}
