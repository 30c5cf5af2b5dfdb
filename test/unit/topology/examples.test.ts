// The example modules under the plain meaning of their graphs.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import accountBalances, { bank } from '../../../processors/account-balances/index.ts'
import wordCount from '../../../processors/word-count/index.ts'
import { GraphRunner } from './graph-runner.ts'

describe('word-count', () => {
  it('counts the words of all lines, whatever their keys', () => {
    const runner = new GraphRunner(wordCount)
    runner.send('lines', null, 'To be, or not to be!').send('lines', 'k', 'É é')
    const latest = new Map(runner.output('counts'))
    expect(latest).toEqual(
      new Map<unknown, unknown>([
        ['to', 2],
        ['be', 2],
        ['or', 1],
        ['not', 1],
        ['é', 2],
      ]),
    )
  })
})

describe('account-balances', () => {
  const transfer = (runner: GraphRunner, id: string, from: string, to: string, amount: number): GraphRunner =>
    runner.send('transfers', id, { id, from, to, amount })

  it('moves money, and rejects what is not covered', () => {
    const runner = new GraphRunner(accountBalances)
    transfer(runner, '1', bank, 'ann', 100)
    transfer(runner, '2', 'ann', 'bob', 70)
    transfer(runner, '3', 'ann', 'bob', 70)
    expect(runner.output('balances')).toEqual([
      [bank, -100],
      ['ann', 100],
      ['ann', 30],
      ['bob', 70],
    ])
    expect(runner.output('rejections')).toEqual([
      ['ann', { id: '3', from: 'ann', to: 'bob', amount: 70, balance: 30 }],
    ])
  })

  it('keeps the total at zero and nobody but the bank below it', () => {
    const account = fc.constantFrom(bank, 'ann', 'bob', 'cy')
    const step = fc.record({ from: account, to: account, amount: fc.integer({ min: 1, max: 50 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const runner = new GraphRunner(accountBalances)
        for (const [index, { from, to, amount }] of steps.entries())
          transfer(runner, `${index}`, from, to, amount)
        const held = [...(runner.stores.get('accounts')?.all() ?? [])]
        expect(held.reduce((sum, { value }) => sum + (value as number), 0)).toBe(0)
        for (const { key, value } of held) if (key !== bank) expect(value).toBeGreaterThanOrEqual(0)
        expect(new Map(runner.output('balances'))).toEqual(
          new Map(held.map(({ key, value }) => [key, value])),
        )
        expect(runner.output('rejections').length + held.length).toBeLessThanOrEqual(steps.length * 2)
      }),
    )
  })

  it('refuses an amount that is no whole positive number of cents', () => {
    const runner = new GraphRunner(accountBalances)
    for (const amount of [0, -5, 0.5])
      expect(() => transfer(runner, '1', bank, 'ann', amount)).toThrow(/amount/)
  })
})
