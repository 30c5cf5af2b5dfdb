import { randomInt } from 'node:crypto'

/**
 * A factor for hashes, chosen by chance in each process. Where a key begins to look for its slot in a table is no business of
 * whoever chooses keys: with one rule for all processes he could choose many that begin at one slot.
 */
export const oddSalt = (): number => randomInt(1 << 30) * 2 + 1
