import { joinStore, string, topic, topology, within } from 'millstream'
import { expect, it } from 'vitest'
import { resolveSettings } from '../../../src/config/settings.ts'
import { committedCode, migrationsOf } from '../../../src/runtime/store-layouts.ts'
import { encodeWitness, type Witness } from '../../../src/runtime/witness.ts'

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

/** A task whose store holds something, with the definition that a join of this kind has of it. */
const restored = (kind: 'join' | 'leftJoin' | 'outerJoin') => {
  const joiner = (): string => ''
  const options = { key: string, value: string }
  const joined = joinStore('kept', { key: string, left: string, right: string })
  const { graph } = topology('app', (t) => {
    const right = t.stream(topic('right', options))
    const window = within({ beforeMs: 1, afterMs: 1, graceMs: 0 })
    const left = t.stream(topic('in', options))
    const out = {
      join: () => left.join(right, joiner, window, joined),
      leftJoin: () => left.leftJoin(right, joiner, window, joined),
      outerJoin: () => left.outerJoin(right, joiner, window, joined),
    }[kind]()
    out.to(topic('out', options))
  })
  const definition = graph.subtopologies[0]?.stores[0]
  const plan = { id: '0_0', partition: 0, inputs: [{ topic: 'in', partition: 0 }] }
  return {
    plan,
    stores: new Map([['kept', { definition, store: { isEmpty: () => false } }]]),
    task: undefined,
  }
}

const settings = resolveSettings({ given: {} }, 'app', { withoutBrokers: true })

it.each([
  ['outerJoin', 'join', 'an outer join keeps .*an inner join keeps'],
  ['leftJoin', 'join', 'a left join keeps .*an inner join keeps'],
  ['join', 'outerJoin', 'an inner join keeps .*an outer join keeps'],
] as const)('the store of an %s is refused to a %s', (before, after, text) => {
  const layout = restored(before).stores.get('kept')?.definition?.layout as string
  const metadata = encodeWitness(witness({ kept: [1, layout] }))
  const position = { topic: 'in', partition: 0, offset: 1, leaderEpoch: 0, metadata }
  const committed = new Map([['in-0', position]])
  const check = (given: object) => migrationsOf(given as never, committed as never, settings)
  expect(() => check(restored(after))).toThrow(new RegExp(`STORE_LAYOUT.*${text}`))
  expect(check(restored(before)).size).toBe(0)
})
