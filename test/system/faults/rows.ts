// All rows of the fault matrix that can be run, in the order of docs/faults.md.
import type { Row } from './row.ts'
import { brokerRows } from './rows-brokers.ts'
import { networkRows } from './rows-network.ts'
import { processRows } from './rows-processes.ts'
import { measuredRows } from './rows-measured.ts'
import { stateRows } from './rows-state.ts'
import { testedRows } from './rows-tested.ts'

/** Those that are no row of the matrix come last. */
const numberOf = ({ id }: Row): number => Number(/^F(\d+)$/.exec(id)?.[1] ?? Number.MAX_SAFE_INTEGER)

export const rows: readonly Row[] = [
  ...processRows,
  ...networkRows,
  ...stateRows,
  ...brokerRows,
  ...measuredRows,
  ...testedRows,
].sort((one, other) => numberOf(one) - numberOf(other))
