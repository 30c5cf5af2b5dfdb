import { expect, it } from 'vitest'
import { committedCode } from '../../../src/runtime/store-layouts.ts'
import type { Witness } from '../../../src/runtime/witness.ts'

const witness = (
  stores: Readonly<Record<string, readonly [changelogEnd: number, layout: string]>>,
): Witness => ({
  transactionalId: 'app.one.0',
  incarnation: 'i',
  transaction: 1,
  streamTime: 0,
  partitionTime: 0,
  stores: Object.entries(stores).map(([store, [changelogEnd, layout]]) => ({
    store,
    changelogEnd,
    digest: '1.0000000000000000',
    layout,
  })),
})

it('what a store was committed with is the word of the newest commit that knows it', () => {
  const old = witness({ kept: [3, '1psl'] })
  const newest = witness({ kept: [9, '2psl'] })
  expect(committedCode([old, newest], 'kept')).toBe('2psl')
})

it('an input that was committed without the store takes no version away from it', () => {
  // Two parts of a topology became one: each input was committed with the stores of its own part.
  expect(committedCode([witness({ kept: [3, '2psl'] }), witness({ other: [1, '1psl'] })], 'kept')).toBe(
    '2psl',
  )
  expect(committedCode([undefined, witness({ kept: [3, '2psl'] })], 'kept')).toBe('2psl')
})

it('a store of an earlier build has no code', () => {
  expect(committedCode([witness({ kept: [3, ''] }), witness({})], 'kept')).toBe(undefined)
})
