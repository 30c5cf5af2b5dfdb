// Compares what came out of the two sides, read as lines (Lines.java): byte by byte, with timestamps and partitions.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Operator } from './operators.ts'

/** Of each key in its partition its results in order, each as `timestamp value` in hex. */
type Results = ReadonlyMap<string, readonly string[]>

export interface Difference {
  readonly key: string
  readonly ours: string
  readonly theirs: string
}

export interface Comparison {
  /** Compared, on our side. */
  readonly results: number
  /** Keys (in their windows) that differ. */
  readonly differing: number
  /** Out of which the first are shown. */
  readonly differences: readonly Difference[]
}

const shownMax = 3

export const resultsOf = async (
  lines: AsyncIterable<string> | Iterable<string>,
  compared: Operator['compared'],
): Promise<Results> => {
  const results = new Map<string, string[]>()
  for await (const line of lines) {
    const [partition, timestamp, key, value] = line.split(' ')
    const place = `${partition} ${key}`
    const result = `${timestamp} ${value}`
    const known = results.get(place)
    if (known === undefined) results.set(place, [result])
    else if (compared === 'final') known[0] = result
    else known.push(result)
  }
  // A row that is taken out is no row, whether it was told or not.
  if (compared === 'final')
    for (const [place, [last]] of results) if (last?.endsWith(' -') === true) results.delete(place)
  return results
}

/** Of a file that was read by the other side. */
export const readResults = (file: string, compared: Operator['compared']): Promise<Results> =>
  resultsOf(createInterface({ input: createReadStream(file, 'latin1') }), compared)

const printable = /^[\x20-\x7e]*$/

/** Text where it is text, else a number of 8 bytes, else hex; the times of a window are 8 bytes each behind its key. */
const readable = (hex: string): string => {
  if (hex === '-') return 'null'
  const bytes = Buffer.from(hex, 'hex')
  const text = bytes.toString('latin1')
  if (printable.test(text)) return `"${text}"`
  const key = /^[\x20-\x7e]*/.exec(text)?.[0] ?? ''
  const times = bytes.length - key.length
  if (times !== 8 && times !== 16) return `0x${hex}`
  const numbers = Array.from({ length: times / 8 }, (_, index) =>
    bytes.readBigInt64BE(key.length + 8 * index).toString(),
  )
  return key === '' ? numbers.join(' ') : `"${key}" in ${numbers.reverse().join('-')}`
}

const described = (result: string | undefined): string => {
  if (result === undefined) return 'nothing'
  const [timestamp, value = ''] = result.split(' ')
  return `${readable(value)} at ${timestamp}`
}

const firstDifference = (
  place: string,
  ours: readonly string[] | undefined,
  theirs: readonly string[] | undefined,
): Difference => {
  const length = Math.max(ours?.length ?? 0, theirs?.length ?? 0)
  let at = 0
  while (at < length && ours?.[at] === theirs?.[at]) at++
  const [partition, key = ''] = place.split(' ')
  return {
    key: `${readable(key)} in partition ${partition}, result ${at + 1} of ${length}`,
    ours: described(ours?.[at]),
    theirs: described(theirs?.[at]),
  }
}

export const compareResults = (ours: Results, theirs: Results): Comparison => {
  const differences: Difference[] = []
  let results = 0
  let differing = 0
  const check = (place: string): void => {
    const [own, other] = [ours.get(place), theirs.get(place)]
    const isEqual = own?.length === other?.length && own?.every((result, index) => result === other?.[index])
    if (isEqual === true) return
    differing++
    if (differences.length < shownMax) differences.push(firstDifference(place, own, other))
  }
  for (const [place, { length }] of ours) {
    results += length
    check(place)
  }
  for (const place of theirs.keys()) if (!ours.has(place)) check(place)
  return { results, differing, differences }
}
