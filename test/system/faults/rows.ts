// All rows of the fault matrix that can be run, in the order of docs/faults.md.
import type { Row } from './row.ts'
import { networkRows } from './rows-network.ts'
import { processRows } from './rows-processes.ts'
import { stateRows } from './rows-state.ts'
import { testedRows } from './rows-tested.ts'

const numberOf = ({ id }: Row): number => Number(id.slice(1))

export const rows: readonly Row[] = [...processRows, ...networkRows, ...stateRows, ...testedRows].sort(
  (one, other) => numberOf(one) - numberOf(other),
)
