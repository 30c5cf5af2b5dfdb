// Compares what came out of the two sides, read as lines (Lines.java): byte by byte, with timestamps and partitions.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

/**
 * sequences: all results of a key in their order. changes: the same, where a result that says again what was said before
 * counts once, and a null says nothing where nothing is. values: changes without their timestamps. final: the last of
 * these. sets: sequences in any order.
 */
export type Compared = 'sequences' | 'changes' | 'values' | 'final' | 'sets'

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

const valueIn = (result: string | undefined): string =>
  result === undefined ? '-' : result.slice(result.indexOf(' ') + 1)

const add = (known: string[], timestamp: string, value: string, compared: Compared): void => {
  if (compared === 'final') known[0] = `? ${value}`
  else if (compared === 'sequences' || compared === 'sets' || valueIn(known.at(-1)) !== value)
    known.push(`${compared === 'values' ? '?' : timestamp} ${value}`)
}

/** @param lines records as the other side reads them (Lines.java) */
export const resultsOf = async (
  lines: AsyncIterable<string> | Iterable<string>,
  compared: Compared,
): Promise<Results> => {
  const results = new Map<string, string[]>()
  for await (const line of lines) {
    const [partition, timestamp = '', key, value = ''] = line.split(' ')
    // Where a record without a key goes to is the free choice of a producer.
    const place = key === '-' ? `any ${key}` : `${partition} ${key}`
    let known = results.get(place)
    if (known === undefined) {
      known = []
      results.set(place, known)
    }
    add(known, timestamp, value, compared)
  }
  results.get('any -')?.sort()
  if (compared === 'sets') for (const list of results.values()) list.sort()
  const tellsNulls = compared === 'sequences' || compared === 'sets'
  for (const [place, list] of results)
    if (!tellsNulls && list.every((result) => valueIn(result) === '-')) results.delete(place)
  return results
}

/** Of a file that was read by the other side. */
export const readResults = (file: string, compared: Compared): Promise<Results> =>
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
  return timestamp === '?' ? readable(value) : `${readable(value)} at ${timestamp}`
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
    key: `${readable(key)} in partition ${partition}: result ${at + 1} of ${length}`,
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
