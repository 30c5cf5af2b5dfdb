// Tables against a naive model: rows in maps, everything worked out anew at the end. What happens in between (order,
// removals, aborted transactions, restarts with and without the disk) must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { int64, nullable, store, string, topic, topology } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

const left = topic('left', { key: string, value: nullable(int64) })
const right = topic('right', { key: string, value: nullable(int64) })
const text = { key: string, value: nullable(string) }
const number = { key: string, value: nullable(int64) }
const results = {
  inner: topic('inner', text),
  left: topic('left-joined', text),
  outer: topic('outer', text),
  even: topic('even', number),
  sizes: topic('sizes', number),
  sums: topic('sums', number),
}
const rows = { key: string, value: int64 }
const lefts = store('lefts', rows)
const rights = store('rights', rows)
const outers = store('outers', { key: string, value: string })
const sizes = store('sizes', rows)
const sums = store('sums', rows)

const show = (one: number | undefined, other: number | undefined): string => `${one ?? '-'}|${other ?? '-'}`
const groupOf = (value: number): string => `g${((value % 3) + 3) % 3}`

const tables = topology('tables', (t) => {
  const one = t.table(left, lefts)
  const other = t.table(right, rights)
  one.join(other, show).toStream().to(results.inner)
  one.leftJoin(other, show).toStream().to(results.left)
  one.outerJoin(other, show, outers).toStream().to(results.outer)
  const even = one.filter((value) => value % 2 === 0)
  even.toStream().to(results.even)
  const grouped = (name: string) =>
    even.groupBy((value) => ({ key: groupOf(value), value }), { name, ...rows })
  grouped('by-size').count(sizes).toStream().to(results.sizes)
  grouped('by-sum')
    .reduce(sums, { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value })
    .toStream()
    .to(results.sums)
})

const key = fc.constantFrom('a', 'b', 'c', 'd')
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom('left' as const, 'right' as const),
      key,
      value: fc.oneof(
        { weight: 1, arbitrary: fc.constant(null) },
        { weight: 4, arbitrary: fc.integer({ min: -9, max: 9 }) },
      ),
      timestamp: fc.integer({ min: 0, max: 40 }),
    }),
  },
  turns,
  restarts,
)

/** The rows that a model has in the end. */
const withRows = (entries: Iterable<readonly [string, unknown]>): Record<string, unknown> =>
  Object.fromEntries([...entries].sort(([one], [other]) => (one < other ? -1 : 1)))

const joined = (
  keys: Iterable<string>,
  one: ReadonlyMap<string, number>,
  other: ReadonlyMap<string, number>,
): Record<string, unknown> => withRows([...keys].map((id) => [id, show(one.get(id), other.get(id))] as const))

describe('tables under aborts and restarts', () => {
  it('end as a naive model does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), (steps, partitions) => {
        using driver = testDriver(tables, { partitions })
        const model = { left: new Map<string, number>(), right: new Map<string, number>() }
        play(driver, steps, (one) => {
          driver
            .input(one.kind === 'left' ? left : right)
            .send(one.key, one.value, { timestamp: one.timestamp })
          if (one.value === null) model[one.kind].delete(one.key)
          else model[one.kind].set(one.key, one.value)
        })

        const last = (of: (typeof results)[keyof typeof results]): Record<string, unknown> =>
          withRows(
            [...driver.output(of as never).toMap()].filter(([, value]) => value !== null) as [
              string,
              unknown,
            ][],
          )
        const inner = [...model.left.keys()].filter((id) => model.right.has(id))
        expect(last(results.inner)).toEqual(joined(inner, model.left, model.right))
        expect(last(results.left)).toEqual(joined(model.left.keys(), model.left, model.right))
        const either = new Set([...model.left.keys(), ...model.right.keys()])
        const outer = joined(either, model.left, model.right)
        expect(last(results.outer)).toEqual(outer)
        expect(withRows([...driver.store(outers).all()].map((entry) => [entry.key, entry.value]))).toEqual(
          outer,
        )

        const even = [...model.left].filter(([, value]) => value % 2 === 0)
        expect(last(results.even)).toEqual(withRows(even))
        const groups = new Map<string, number[]>()
        for (const [, value] of even)
          groups.set(groupOf(value), [...(groups.get(groupOf(value)) ?? []), value])
        const positive = ([, size]: [string, unknown]): boolean => size !== 0
        const counted = Object.entries(last(results.sizes)).filter(positive)
        expect(withRows(counted)).toEqual(withRows([...groups].map(([id, values]) => [id, values.length])))
        const summed = [...groups].map(
          ([id, values]) => [id, values.reduce((sum, value) => sum + value, 0)] as const,
        )
        expect(withRows(Object.entries(last(results.sums)).filter(positive))).toEqual(
          withRows(summed.filter(([, sum]) => sum !== 0)),
        )
      }),
      { numRuns: 150 },
    )
  })
})
