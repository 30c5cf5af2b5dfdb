// Early results against a naive model. What changes with each record comes from the same windows told on update, which have
// models of their own; what is to be told of it, and when, is worked out here in maps. Aborted transactions and restarts must
// not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  hopping,
  int64,
  nullable,
  sessions,
  sliding,
  string,
  topic,
  topology,
  type Windowed,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

const input = topic('in', { key: string, value: int64 })
const value = nullable(int64)
const graceMs = 6
const hops = hopping({ sizeMs: 10, advanceMs: 4, graceMs })
const slides = sliding({ sizeMs: 8, graceMs })
const visits = sessions({ gapMs: 4, graceMs })

interface Kind {
  readonly results: ReturnType<typeof resultsOf>
  readonly everyMs: number
  /** What stands first in the order in which windows are told. */
  readonly first: 'start' | 'end'
  /** From the end of a window to the time at which it has closed. */
  readonly closesAfterMs: number
}

const resultsOf = (name: string, windows: Parameters<typeof windowed>[1]) =>
  topic(name, { key: windowed(string, windows), value })

const kinds: readonly Kind[] = [
  { results: resultsOf('hops', hops), everyMs: 5, first: 'start', closesAfterMs: graceMs },
  { results: resultsOf('slides', slides), everyMs: 7, first: 'start', closesAfterMs: graceMs + 1 },
  { results: resultsOf('visits', visits), everyMs: 3, first: 'end', closesAfterMs: 4 + graceMs + 1 },
]

/** Now and then there is nothing left of a window. */
const combine = (one: number | null, other: number | null): number | null => {
  const sum = (one ?? 0) + (other ?? 0)
  return sum % 5 === 0 ? null : sum
}

const described = (early: boolean) =>
  topology('early', (t) => {
    const grouped = t.stream(topic('in', { key: string, value })).groupByKey()
    const emit = early ? 'on-close' : 'on-update'
    const storeOf = (name: string) => windowStore(name, { key: string, value })
    const tables = [
      grouped.windowedBy(hops).reduce(storeOf('hops'), combine, { emit }),
      grouped.windowedBy(slides).reduce(storeOf('slides'), combine, { emit }),
      grouped.windowedBy(visits).reduce(storeOf('visits'), combine, { emit }),
    ]
    for (const [index, table] of tables.entries()) {
      const { results, everyMs } = kinds[index] as Kind
      ;(early ? table.early({ everyMs }) : table.toStream()).to(results)
    }
  })

const [subject, reference] = [described(true), described(false)]

interface Sent {
  readonly key: string
  readonly value: number
  readonly timestamp: number
}

interface Told {
  readonly key: Windowed<string>
  readonly value: number | null
  readonly timestamp: number
}

const show = ({ key: { key, start, end }, value: told, timestamp }: Told): string =>
  `${key}@${start}-${end}=${told}/${timestamp}`

/** What is told early of one kind. @param changesOf what each record changed */
const modelOf = (
  sent: readonly Sent[],
  changesOf: readonly (readonly Told[])[],
  { everyMs, first, closesAfterMs }: Kind,
): string[] => {
  const present = new Map<string, Told>()
  /** Windows that have changed, and whether they were told before. */
  const changed = new Map<string, { readonly window: Windowed<string>; readonly wasTold: boolean }>()
  const told: string[] = []
  let time = -1
  for (const [index, { timestamp }] of sent.entries()) {
    for (const change of changesOf[index] ?? []) {
      const id = JSON.stringify(change.key)
      if (!changed.has(id)) changed.set(id, { window: change.key, wasTold: present.has(id) })
      if (change.value === null) present.delete(id)
      else present.set(id, change)
    }
    const before = time
    time = Math.max(time, timestamp)
    if (Math.floor(before / everyMs) === Math.floor(time / everyMs)) continue
    const ordered = [...changed].toSorted(
      ([, { window: one }], [, { window: other }]) =>
        one[first] - other[first] || one.start - other.start || (one.key < other.key ? -1 : 1),
    )
    for (const [id, { window, wasTold }] of ordered) {
      const now = present.get(id)
      if (now === undefined && wasTold) told.push(show({ key: window, value: null, timestamp: time }))
      else if (now !== undefined && window.end + closesAfterMs > time) told.push(show(now))
    }
    changed.clear()
  }
  return told
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('a', 'b', 'ab'),
      value: fc.integer({ min: -9, max: 9 }),
      forwardMs: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: -6, max: 5 }) },
        { weight: 1, arbitrary: fc.integer({ min: -30, max: 40 }) },
      ),
    }),
  },
  turns,
  restarts,
)

describe('early results under aborts and restarts', () => {
  it('are those of a naive model', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        using driver = testDriver(subject)
        const sent: Sent[] = []
        let timestamp = 0
        play(driver, steps, (one) => {
          timestamp = Math.max(0, timestamp + one.forwardMs)
          driver.input(input).send(one.key, one.value, { timestamp })
          sent.push({ key: one.key, value: one.value, timestamp })
        })

        using other = testDriver(reference)
        const changes: Told[][][] = kinds.map(() => [])
        for (const one of sent) {
          other.input(input).send(one.key, one.value, { timestamp: one.timestamp })
          for (const [index, { results }] of kinds.entries())
            changes[index]?.push(other.output(results).readAll())
        }
        for (const [index, kind] of kinds.entries()) {
          const told = driver.output(kind.results).readAll().map(show)
          expect(told, kind.results.name).toEqual(modelOf(sent, changes[index] ?? [], kind))
        }
      }),
      { numRuns: 60 },
    )
  })
})
