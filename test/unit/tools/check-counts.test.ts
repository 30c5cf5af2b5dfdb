import { describe, expect, it } from 'vitest'
import { addUp, closingLine, countsOf, failuresOf } from '../../../tools/check-counts.ts'

const report =
  (passed: number, failed: number, pending = 0, todo = 0) =>
  (): string =>
    JSON.stringify({
      numPassedTests: passed,
      numFailedTests: failed,
      numPendingTests: pending,
      numTodoTests: todo,
    })

describe('counts of one run', () => {
  it('are those of the report', () => {
    expect(countsOf(1, report(7, 2, 1, 1), false)).toEqual({ passed: 7, failed: 2, skipped: 2 })
  })

  it('have one failure when the run was red without a failed test', () => {
    expect(countsOf(1, report(7, 0), false)).toEqual({ passed: 7, failed: 1, skipped: 0 })
  })

  it('have one failure when no test ran, whatever the exit code', () => {
    expect(countsOf(0, report(0, 0), false).failed).toBe(1)
    expect(countsOf(0, report(0, 0, 3), false)).toEqual({ passed: 0, failed: 1, skipped: 3 })
  })

  it('have one failure when the report is missing, cut off or of another shape', () => {
    const missing = (): string => {
      throw new Error('ENOENT')
    }
    for (const read of [missing, () => '{"numPassed', () => '{}', () => 'null'])
      expect(countsOf(0, read, false)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })

  it('take a skipped test for a failed one in CI', () => {
    expect(countsOf(0, report(5, 0, 2), true)).toEqual({ passed: 5, failed: 2, skipped: 0 })
    expect(countsOf(0, report(5, 0), true)).toEqual({ passed: 5, failed: 0, skipped: 0 })
  })
})

describe('the failures of one run', () => {
  const test = (fullName: string, status: string, ...failureMessages: readonly string[]): unknown => ({
    fullName,
    status,
    failureMessages,
  })
  const read =
    (...testResults: readonly unknown[]) =>
    (): string =>
      JSON.stringify({ testResults })

  it('are named with their file and the head of their message, without colours', () => {
    const message = [
      '\u001b[31mError: 7 is not 8\u001b[39m',
      ...Array.from({ length: 30 }, () => 'at a line'),
    ].join('\n')
    const file = {
      name: 'a.test.ts',
      status: 'failed',
      assertionResults: [test('counts seven', 'failed', message), test('counts eight', 'passed')],
    }
    const [failure = '', ...others] = failuresOf(read(file))
    expect(others).toEqual([])
    expect(failure.split('\n').slice(0, 2)).toEqual(['a.test.ts: counts seven', '    Error: 7 is not 8'])
    expect(failure.split('\n')).toHaveLength(9)
  })

  it('are a file where none of its tests failed', () => {
    const broken = { name: 'b.test.ts', status: 'failed', message: 'it does not load', assertionResults: [] }
    const good = { name: 'c.test.ts', status: 'passed', message: '', assertionResults: [test('x', 'passed')] }
    expect(failuresOf(read(broken, good))).toEqual(['b.test.ts\n    it does not load'])
  })

  it('are not known where the report is missing or of another shape', () => {
    const missing = (): string => {
      throw new Error('ENOENT')
    }
    for (const result of [missing, () => '{"test', () => 'null', () => '{"testResults":7}'])
      expect(failuresOf(result)).toEqual([])
  })
})

describe('the closing line', () => {
  it('adds up, and names skipped tests only where there are some', () => {
    const one = { passed: 3, failed: 0, skipped: 0 }
    expect(closingLine(addUp(one, { passed: 4, failed: 1, skipped: 0 }))).toBe('7 passed, 1 failed')
    expect(closingLine(addUp(one, { passed: 4, failed: 1, skipped: 2 }))).toBe(
      '7 passed, 1 failed, 2 skipped',
    )
  })
})
