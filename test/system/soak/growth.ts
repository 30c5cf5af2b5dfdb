// Whether something grows over a run. What a process needs at first (code that gets compiled, caches that fill) is not
// growth: the first half does not count. Of the second half the medians of both its halves are compared; a median does
// not move with a garbage collection, and a leak moves it by what leaks in a quarter of the run.

export interface Growth {
  /** Medians of the third and of the last quarter of the run. */
  readonly before: number
  readonly after: number
  readonly isFlat: boolean
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Fewer samples say nothing. */
const samplesMin = 5

/**
 * @param samples in the order of time
 * @param allowance growth between the quarters that is still called flat
 * @returns undefined where there are too few samples
 */
export const growthOf = <S extends { readonly atMs: number }>(
  samples: readonly S[],
  of: (sample: S) => number,
  allowance: number,
): Growth | undefined => {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined) return undefined
  const quarterMs = (last.atMs - first.atMs) / 4
  const between = (from: number, to: number): number[] =>
    samples
      .filter(({ atMs }) => atMs > first.atMs + from * quarterMs && atMs <= first.atMs + to * quarterMs)
      .map(of)
  const third = between(2, 3)
  const fourth = between(3, 4)
  if (Math.min(third.length, fourth.length) < samplesMin) return undefined
  const [before, after] = [median(third), median(fourth)]
  return { before, after, isFlat: after - before <= allowance }
}
