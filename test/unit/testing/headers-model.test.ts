// Stores that keep headers, against a naive model of rows: value, timestamp and headers of the record that wrote each.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nullable, type RecordHeader, store, string, topic, topology } from '../../../src/index.ts'
import { type TestDriver, testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

const rows = topic('rows', { key: string, value: nullable(string) })
const lines = topic('lines', { key: string, value: string })
const changes = topic('changes', { key: string, value: nullable(string) })
const texts = { key: string, value: string }
const ttlMs = 20
const table = store('table', { ...texts, headers: true })
const own = store('own', { ...texts, headers: true })
const recent = store('recent', { ...texts, headers: true, ttlMs })

const bytes = (text: string): Uint8Array => Buffer.from(text)
const show = ({ key, value }: RecordHeader): string =>
  `${key}=${value === null ? '-' : Buffer.from(value).toString()}`
const shown = (headers: readonly RecordHeader[]): string => headers.map(show).join(' ')

// A line `delete` removes; `own…` writes headers of its own.
const kept = topology('kept', (t) => {
  t.table(rows, table).toStream().to(changes)
  t.stream(lines).process({
    stores: { own, recent },
    process({ key, value }, { stores }) {
      if (value === 'delete') {
        stores.own.delete(key)
        stores.recent.delete(key)
      } else if (value.startsWith('own')) {
        stores.own.putEntry(key, { value, timestamp: 7, headers: [{ key: 'own', value: bytes(value) }] })
        stores.recent.putEntry(key, { value, headers: [] })
      } else {
        stores.own.put(key, value)
        stores.recent.put(key, value)
      }
    },
  })
})

const header = fc.record({
  key: fc.constantFrom('a', 'b', 'ü', ''),
  value: fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 3, arbitrary: fc.constantFrom('', 'x', 'yz').map(bytes) },
  ),
})
const headers = fc.array(header, { maxLength: 3 })
const key = fc.constantFrom('a', 'b', 'c')
const timestamp = fc.integer({ min: 0, max: 60 })
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('row' as const),
      key,
      value: fc.constantFrom(null, 'one', 'one', 'two'),
      timestamp,
      headers,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('line' as const),
      key,
      value: fc.constantFrom('one', 'two', 'own1', 'own2', 'delete'),
      timestamp,
      headers,
    }),
  },
  turns,
  restarts,
)

interface Row {
  readonly value: string
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}
type Rows = Map<string, Row>

/** Of what a store has, and of what the model has. */
const text = (entries: Iterable<readonly [string, Row]>): string[] =>
  [...entries].map(([of, row]) => `${of} ${row.value} ${row.timestamp} ${shown(row.headers)}`).sort()

const entriesOf = (driver: TestDriver, of: typeof table): string[] =>
  text([...driver.store(of as never as typeof own).all()].map((entry) => [entry.key, entry]))

describe('stores that keep headers, under aborts and restarts', () => {
  it('end as a naive model does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        using driver = testDriver(kept)
        const model = { table: new Map() as Rows, own: new Map() as Rows, recent: new Map() as Rows }
        const told: string[] = []
        let time = -1
        play(driver, steps, (one) => {
          if (one.kind === 'row') {
            const { key: of, value, ...row } = one
            driver.input(rows).send(of, value, { timestamp: row.timestamp, headers: row.headers })
            const old = model.table.get(of)
            const isSame =
              old !== undefined &&
              old.value === value &&
              row.timestamp >= old.timestamp &&
              shown(old.headers) === shown(row.headers)
            if (value === null) model.table.delete(of)
            else if (!isSame) model.table.set(of, { ...row, value })
            if (!isSame && (old !== undefined || value !== null))
              told.push(`${of} ${value} ${shown(row.headers)}`)
          } else {
            const { key: of, value, ...row } = one
            time = Math.max(time, row.timestamp)
            driver.input(lines).send(of, value, { timestamp: row.timestamp, headers: row.headers })
            for (const [id, entry] of model.recent)
              if (entry.timestamp + ttlMs <= time) model.recent.delete(id)
            const isOwn = value.startsWith('own')
            if (value === 'delete') model.own.delete(of)
            else
              model.own.set(
                of,
                isOwn
                  ? { value, timestamp: 7, headers: [{ key: 'own', value: bytes(value) }] }
                  : { ...row, value },
              )
            if (value === 'delete' || row.timestamp + ttlMs <= time) model.recent.delete(of)
            else model.recent.set(of, { ...row, value, headers: isOwn ? [] : row.headers })
          }
        })
        expect(entriesOf(driver, table)).toEqual(text(model.table))
        expect(entriesOf(driver, own as never)).toEqual(text(model.own))
        expect(entriesOf(driver, recent as never)).toEqual(text(model.recent))
        const records = driver.output(changes).readAll()
        expect(records.map((one) => `${one.key} ${one.value} ${shown(one.headers)}`)).toEqual(told)
        // And from the changelogs alone.
        driver.restart({ keepState: false })
        expect(entriesOf(driver, table)).toEqual(text(model.table))
        expect(entriesOf(driver, own as never)).toEqual(text(model.own))
        expect(entriesOf(driver, recent as never)).toEqual(text(model.recent))
      }),
      { numRuns: 150 },
    )
  })
})
