// I6: all parts of a transaction or none, told from the markers in the logs. With transaction version 2 a producer has
// another epoch for each transaction, so producer id and epoch are the name of a transaction wherever a part of it lies.
import type { LogBatch } from '../support/log-batches.ts'

export interface TornTransaction {
  /** `<producer id>:<epoch>` */
  readonly transaction: string
  readonly what: string
}

interface Outcomes {
  /** Where its parts ended how. */
  readonly commit: Set<string>
  readonly abort: Set<string>
  readonly open: Set<string>
}

const nameOf = ({ producerId, epoch }: LogBatch): string => `${producerId}:${epoch}`

const outcomesOf = (batches: readonly LogBatch[]): Map<string, Outcomes> => {
  const outcomes = new Map<string, Outcomes>()
  /** By producer: the transactions that have data in this partition and no marker yet. */
  const waiting = new Map<string, Set<string>>()
  for (const batch of batches) {
    const place = `${batch.partition} of ${batch.producerId}`
    const names = waiting.get(place) ?? new Set<string>()
    waiting.set(place, names)
    if (batch.marker === undefined) {
      const name = nameOf(batch)
      names.add(name)
      const known = outcomes.get(name) ?? { commit: new Set(), abort: new Set(), open: new Set() }
      outcomes.set(name, known)
      known.open.add(batch.partition)
      continue
    }
    for (const name of names) {
      const known = outcomes.get(name)
      known?.open.delete(batch.partition)
      known?.[batch.marker].add(batch.partition)
    }
    names.clear()
  }
  return outcomes
}

const list = (places: ReadonlySet<string>): string => [...places].slice(0, 4).join(', ')

/**
 * @param batches of the outputs, the changelogs and the offsets, ordered by offset within a partition
 * @param offsetsTopic where the offsets lie: a committed transaction without a part there has no witness; undefined
 * where they are not among these batches
 */
export const tornTransactions = (
  batches: readonly LogBatch[],
  offsetsTopic: string | undefined,
): TornTransaction[] => {
  const torn: TornTransaction[] = []
  for (const [transaction, { commit, abort, open }] of outcomesOf(batches)) {
    if (commit.size > 0 && abort.size > 0)
      torn.push({ transaction, what: `committed in ${list(commit)}, aborted in ${list(abort)}` })
    else if (commit.size > 0 && open.size > 0)
      torn.push({ transaction, what: `committed in ${list(commit)}, open in ${list(open)}` })
    else if (
      offsetsTopic !== undefined &&
      commit.size > 0 &&
      ![...commit].some((place) => place.startsWith(`${offsetsTopic}-`))
    )
      torn.push({ transaction, what: `committed in ${list(commit)}, without offsets` })
  }
  return torn
}
