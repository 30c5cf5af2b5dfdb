// Counting test results for the closing line of `npm test`, and naming those that failed.
import { stripVTControlCharacters } from 'node:util'

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const noCounts: Counts = { passed: 0, failed: 0, skipped: 0 }

export const addUp = (one: Counts, other: Counts): Counts => ({
  passed: one.passed + other.passed,
  failed: one.failed + other.failed,
  skipped: one.skipped + other.skipped,
})

/** `N passed, N failed`, and `, N skipped` where a test was. */
export const closingLine = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`

const numberAt = (result: unknown, name: string): number => {
  const value: unknown = (result as Record<string, unknown> | null)?.[name]
  if (typeof value !== 'number') throw new TypeError(`the result of vitest has no ${name}`)
  return value
}

const readCounts = (text: string): Counts => {
  const result: unknown = JSON.parse(text)
  return {
    passed: numberAt(result, 'numPassedTests'),
    failed: numberAt(result, 'numFailedTests'),
    skipped: numberAt(result, 'numPendingTests') + numberAt(result, 'numTodoTests'),
  }
}

/**
 * The counts of one run of vitest.
 *
 * @param exitCode a code other than 0 is at least one failure: a crash, a file that does not load, an unhandled error
 * @param readResult gives the text of vitest's JSON report; it may throw: a crash leaves none behind
 * @param refuseSkips in CI a skipped test is a failed one: a suite that could not run must not look green
 */
export const countsOf = (exitCode: number, readResult: () => string, refuseSkips: boolean): Counts => {
  let counts = noCounts
  let readable = true
  try {
    counts = readCounts(readResult())
  } catch {
    readable = false
  }
  if (refuseSkips) counts = { passed: counts.passed, failed: counts.failed + counts.skipped, skipped: 0 }
  const nothingRan = counts.passed + counts.failed === 0
  if (counts.failed === 0 && (exitCode !== 0 || !readable || nothingRan)) return { ...counts, failed: 1 }
  return counts
}

/** Lines of a failure's message that are shown: the error and the place, not the whole stack. */
const linesShown = 8

const listAt = (value: unknown, name: string): readonly unknown[] => {
  const list: unknown = (value as Record<string, unknown> | null)?.[name]
  return Array.isArray(list) ? list : []
}

const textAt = (value: unknown, name: string): string => {
  const text: unknown = (value as Record<string, unknown> | null)?.[name]
  return typeof text === 'string' ? text : ''
}

const paragraph = (title: string, message: string): string =>
  [
    title,
    ...stripVTControlCharacters(message)
      .split('\n')
      .slice(0, linesShown)
      .map((line) => `    ${line}`),
  ].join('\n')

/**
 * What failed in one run of vitest, a paragraph each: its file, its name and the head of its message. A file that failed
 * outside its tests (it did not load, a hook threw) is named by itself.
 *
 * @param readResult gives the text of vitest's JSON report; where it throws, or gives something else, nothing is named
 */
export const failuresOf = (readResult: () => string): readonly string[] => {
  let files: readonly unknown[]
  try {
    files = listAt(JSON.parse(readResult()), 'testResults')
  } catch {
    return []
  }
  return files.flatMap((file) => {
    const name = textAt(file, 'name')
    const failed = listAt(file, 'assertionResults').filter((test) => textAt(test, 'status') === 'failed')
    if (failed.length === 0 && textAt(file, 'status') === 'failed')
      return [paragraph(name, textAt(file, 'message'))]
    return failed.map((test) =>
      paragraph(`${name}: ${textAt(test, 'fullName')}`, listAt(test, 'failureMessages').join('\n')),
    )
  })
}
