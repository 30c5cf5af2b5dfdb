// Randomness that a failing test can repeat: a generator from a printed seed.

/** Between 0 (inclusive) and 1 (exclusive). */
export type Random = () => number

/** The seed of this run: MILLSTREAM_SEED, or another one each time; the test prints it. */
export const runSeed = (): number =>
  Number(process.env['MILLSTREAM_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** A generator of 32 bits of state (an odd increment, and a mix after it): good enough to choose faults. */
export const seededRandom = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}

export const below = (random: Random, limit: number): number => Math.floor(random() * limit)

/** A copy in random order. */
export const shuffled = <T>(random: Random, list: readonly T[]): T[] => {
  const copy = [...list]
  for (let index = copy.length - 1; index > 0; index--) {
    const other = below(random, index + 1)
    const moved = copy[index] as T
    copy[index] = copy[other] as T
    copy[other] = moved
  }
  return copy
}
