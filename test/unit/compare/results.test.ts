import { describe, expect, it } from 'vitest'
import { type Compared, compareResults, type Comparison, resultsOf } from '../../compare/results.ts'

const hex = (text: string): string => Buffer.from(text).toString('hex')

/** `partition timestamp key value`; null is none. */
const line = (text: string): string => {
  const [partition, timestamp, key = '', value = ''] = text.split(' ')
  const word = (given: string): string => (given === 'null' ? '-' : hex(given))
  return `${partition} ${timestamp} ${word(key)} ${word(value)}`
}

const compare = async (
  ours: readonly string[],
  theirs: readonly string[],
  compared: Compared,
): Promise<Comparison> =>
  compareResults(await resultsOf(ours.map(line), compared), await resultsOf(theirs.map(line), compared))

const differing = async (...given: Parameters<typeof compare>): Promise<number> =>
  (await compare(...given)).differing

describe('the results of npm run compare', () => {
  it.each<[string, string[], string[]]>([
    ['another value', ['0 1 a x'], ['0 1 a y']],
    ['another timestamp', ['0 1 a x'], ['0 2 a x']],
    ['another partition', ['0 1 a x'], ['1 1 a x']],
    ['one more', ['0 1 a x', '0 2 a y'], ['0 1 a x']],
    ['one less', ['0 1 a x'], ['0 1 a x', '0 2 a y']],
    ['a key that is missing', ['0 1 a x'], ['0 1 a x', '0 1 b x']],
    ['another order', ['0 1 a x', '0 1 a y'], ['0 1 a y', '0 1 a x']],
    ['one told twice', ['0 1 a x'], ['0 1 a x', '0 1 a x']],
    ['a null of nothing', [], ['0 1 a null']],
  ])('differ as sequences by %s', async (_, ours, theirs) => {
    expect(await differing(ours, theirs, 'sequences')).toBeGreaterThan(0)
  })

  it('are equal whatever the order of two keys, and wherever records without a key are', async () => {
    const ours = ['0 1 a x', '0 1 b x', '0 1 null x', '0 2 null y']
    const theirs = ['0 1 b x', '1 2 null y', '0 1 a x', '0 1 null x']
    expect(await compare(ours, theirs, 'sequences')).toEqual({ results: 4, differing: 0, differences: [] })
    expect(await differing(ours, theirs.slice(1), 'sequences')).toBe(1)
    expect(await differing(ours, [...theirs, '0 2 null y'], 'sequences')).toBe(1)
  })

  it('leave out what changes nothing, as changes', async () => {
    const ours = ['0 1 a x', '0 5 a y', '0 6 a null']
    const theirs = ['0 0 a null', '0 1 a x', '0 2 a x', '0 5 a y', '0 6 a null', '0 7 a null', '0 1 b null']
    expect(await differing(ours, theirs, 'changes')).toBe(0)
    expect(await differing(ours, [...theirs, '0 8 a y'], 'changes')).toBe(1)
    expect(await differing(['0 1 a x'], ['0 2 a x'], 'changes')).toBe(1)
    expect(await differing(['0 1 a x'], ['0 2 a x'], 'values')).toBe(0)
    expect(await differing(['0 1 a x', '0 1 a y'], ['0 1 a y'], 'values')).toBe(1)
  })

  it('are in any order, as sets', async () => {
    expect(await differing(['0 1 a x', '0 1 a y'], ['0 1 a y', '0 1 a x'], 'sets')).toBe(0)
    expect(await differing(['0 1 a x', '0 1 a x'], ['0 1 a x'], 'sets')).toBe(1)
    expect(await differing(['0 1 a x'], ['0 2 a x'], 'sets')).toBe(1)
    expect(await differing(['0 1 a null'], [], 'sets')).toBe(1)
  })

  it('are the last value, as final', async () => {
    expect(await differing(['0 1 a x', '0 1 a y'], ['0 2 a y'], 'final')).toBe(0)
    expect(await differing(['0 1 a y', '0 1 a x'], ['0 2 a y'], 'final')).toBe(1)
    expect(await differing(['0 1 a x', '0 1 a null'], [], 'final')).toBe(0)
    expect(await differing(['0 1 a x', '0 1 a null'], ['0 1 a x'], 'final')).toBe(1)
  })

  it('show the first difference, with the window', async () => {
    const int64 = (value: number): string => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(BigInt(value))
      return bytes.toString('hex')
    }
    const ours = await resultsOf([`3 40 ${hex('k')}${int64(20)} ${int64(2)}`], 'sequences')
    const theirs = await resultsOf([`3 41 ${hex('k')}${int64(20)} ${int64(2)}`], 'sequences')
    expect(compareResults(ours, theirs).differences).toEqual([
      { key: '"k" in 20 in partition 3: result 1 of 1', ours: '2 at 40', theirs: '2 at 41' },
    ])
    const session = await resultsOf([`3 40 ${hex('k')}${int64(30)}${int64(20)} -`], 'sequences')
    expect(compareResults(session, new Map()).differences).toEqual([
      { key: '"k" in 20-30 in partition 3: result 1 of 1', ours: 'null at 40', theirs: 'nothing' },
    ])
  })
})
