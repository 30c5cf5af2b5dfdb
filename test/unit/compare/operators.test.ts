// The two sides of the comparison name the same operators, and ours can be built.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseCommandLine, UsageError } from '../../compare/command-line.ts'
import { graceMs, within } from '../../compare/input.ts'
import { operators, topologyOf, unlimitedFromMs } from '../../compare/operators.ts'

const java = readFileSync(
  path.resolve(import.meta.dirname, '../../../bench/java/src/main/java/millstream/compare/Operators.java'),
  'utf8',
)

describe('the operators of npm run compare', () => {
  it('are those of the Java side', () => {
    const names = [...java.matchAll(/\bentry\("([^"]+)"/g)].map(([, name]) => name)
    expect(Object.keys(operators)).toEqual(names)
    expect(java).toContain(`Duration.ofMillis(${graceMs})`)
    const partners = `ofTimeDifferenceAndGrace(Duration.ofMillis(${within.afterMs}), GRACE).before(Duration.ofMillis(${within.beforeMs}))`
    expect(java).toContain(partners)
    expect(java.replaceAll('_', '')).toContain(`Instant.ofEpochMilli(${unlimitedFromMs}L)`)
  })

  it.each(Object.entries(operators))('%s is a topology', (name, operator) => {
    const topology = topologyOf(operator, name, { input: 'in', rows: 'rows', output: 'out' }, graceMs)
    expect(topology.graph.subtopologies.length).toBeGreaterThan(0)
  })
})

describe('the arguments of npm run compare', () => {
  it('are read', () => {
    expect(parseCommandLine([])).toEqual({
      operators: Object.keys(operators),
      seeds: 20,
      from: 1,
      records: 10_000,
      graceOffByOne: false,
    })
    expect(parseCommandLine(['--operators', 'count,table', '--seeds', '3', '--from', '9'])).toMatchObject({
      operators: ['count', 'table'],
      seeds: 3,
      from: 9,
    })
    expect(parseCommandLine(['--operators', 'count,tumbling-count', '--grace-off-by-one'])).toMatchObject({
      operators: ['tumbling-count'],
      graceOffByOne: true,
    })
    expect(parseCommandLine(['--help'])).toBe('help')
  })

  it.each([
    [['--operators', 'sum'], 'there is no operator "sum"'],
    [['--seeds', '0'], '--seeds is a whole number of at least 1, not "0"'],
    [['--records', 'many'], '--records is a whole number of at least 1, not "many"'],
    [['--operators', 'count', '--grace-off-by-one'], 'none of these operators has a grace'],
    [['--fast'], "Unknown option '--fast'"],
  ])('%j is refused', (args, why) => {
    expect(() => parseCommandLine(args)).toThrow(UsageError)
    expect(() => parseCommandLine(args)).toThrow(why)
  })
})
