// Stores that keep headers on a real broker: what anybody reads in the changelog, an empty disk, a savepoint, and a store
// that was written without them.
import path from 'node:path'
import {
  type KeyValueStoreWithHeaders,
  openView,
  output,
  store,
  string,
  topic,
  topology,
  type Topology,
} from 'millstream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SettingsInput } from '../../src/config/settings.ts'
import { exportSavepoint } from '../../src/savepoint/export.ts'
import { importSavepoint } from '../../src/savepoint/import.ts'
import { type Judge, type RecordToWrite, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { outputOf, quickly } from '../support/numbered.ts'
import { savepointOptions } from '../support/savepoint.ts'
import { startWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge
beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})
afterAll(() => judge?.stop())

const texts = { key: string, value: string }

type Reading = Pick<KeyValueStoreWithHeaders<string, string>, 'get'> &
  Partial<Pick<KeyValueStoreWithHeaders<string, string>, 'getEntry'>>

const textOf = (one: Reading, key: string): string => {
  const { headers = [] } = one.getEntry?.(key) ?? {}
  const shown = headers.map((header) => `${header.key}=${header.value && Buffer.from(header.value)}`)
  return [one.get(key), ...shown].join(' ')
}

/** A table, and a store whose entries live for long; each record tells what it finds in both. */
const app = (id: string, headers = true): Topology => {
  const table = store('table', { ...texts, headers })
  const seen = store('seen', { ...texts, headers, ttlMs: 1_000_000_000 })
  return topology(id, (t) => {
    const stream = t.stream(topic(`${id}-in`, texts))
    stream
      .process({
        stores: { table, seen },
        outputs: output<string, string>(),
        process(record, { stores, forward }) {
          const { key, value } = record
          forward(record.withValue(`${value}: ${textOf(stores.table, key)}, ${textOf(stores.seen, key)}`))
          stores.seen.put(key, value)
        },
      })
      .to(topic(`${id}-out`, texts))
    stream.toTable(table)
  })
}

/** A store that only a processor uses. */
const ownApp = (id: string, headers: boolean): Topology =>
  topology(id, (t) => {
    const own = store('own', { ...texts, headers })
    t.stream(topic(`${id}-in`, texts))
      .process({
        stores: { own },
        outputs: output<string, string>(),
        process(record, { stores, forward }) {
          stores.own.put(record.key, record.value)
          forward(record)
        },
      })
      .to(topic(`${id}-out`, texts))
  })

const sent = (value: string, ...headers: [string, string | null][]): RecordToWrite => ({
  key: 'k',
  value,
  headers,
})

/** One life of a worker, which takes these in. */
const life = async (
  made: Topology,
  stateDir: string,
  records: readonly RecordToWrite[],
  settings: Pick<SettingsInput, 'applicationId'> = {},
): Promise<void> => {
  const { name } = made
  await judge.produce(`${name}-in`, records)
  const before = (await outputOf(judge, `${name}-out`)).length
  await using test = await startWorker(made, { ...quickly(kafkaBrokers(), stateDir), ...settings })
  await expect
    .poll(async () => (await outputOf(judge, `${name}-out`)).length, { timeout: 20_000 })
    .toBe(before + records.length)
  await test.worker.close({ leave: true })
}

const refusal = async (made: Topology, stateDir: string): Promise<string> => {
  await using test = testWorker(made, quickly(kafkaBrokers(), stateDir))
  await expect(test.worker.start()).rejects.toMatchObject({ code: 'STORE_LAYOUT' })
  return test.failure()?.message ?? ''
}

describe('stores that keep headers', () => {
  it('have them from their disks, from their changelogs and from a savepoint', async () => {
    const id = uniqueTopic('headers')
    await judge.createTopics({ name: `${id}-in` }, { name: `${id}-out` })
    using state = temporaryDirectory()
    await life(app(id), state.path, [
      sent('one', ['trace', '1'], ['flag', null]),
      sent('two', ['trace', '2']),
    ])
    await life(app(id), state.path, [sent('three', ['ü', ''], ['trace', '3'])])
    using empty = temporaryDirectory()
    await life(app(id), empty.path, [sent('four', ['trace', '4'])])
    expect(await outputOf(judge, `${id}-out`)).toEqual([
      'one: , ',
      'two: one trace=1 flag=null, one trace=1 flag=null',
      'three: two trace=2, two trace=2',
      'four: three ü= trace=3, three ü= trace=3',
    ])
    // The Java consumer finds them where headers are.
    const { records } = await judge.dump(`${id}-table-changelog`)
    const last = records.at(-1)
    expect(last?.headers).toEqual([['trace', Buffer.from('4')]])
    expect(last?.value?.subarray(8).toString()).toBe('four')

    await using view = await openView(
      { topology: app(id), store: store('table', { ...texts, headers: true }) },
      { brokers: kafkaBrokers() },
    )
    expect(view.get('k')).toBe('four')

    using directory = temporaryDirectory()
    const target = path.join(directory.path, 'savepoint')
    await exportSavepoint(app(id), savepointOptions({ applicationId: id }, target))
    const applicationId = uniqueTopic('copy')
    await importSavepoint(app(id), savepointOptions({ applicationId }, target))
    for (const name of ['table', 'seen']) {
      const imported = (await judge.dump(`${applicationId}-${name}-changelog`)).records
      expect(imported.flatMap(({ headers }) => headers)).toEqual([['trace', Buffer.from('4')]])
    }
    using other = temporaryDirectory()
    await life(app(id), other.path, [sent('five')], { applicationId })
    expect((await outputOf(judge, `${id}-out`)).at(-1)).toBe('five: four trace=4, four trace=4')
    await expect(
      importSavepoint(app(id, false), savepointOptions({ applicationId: uniqueTopic('other') }, target)),
    ).rejects.toMatchObject({ code: 'SAVEPOINT_MISMATCH' })
  })

  it('can be turned on and off: the stores are restored from their changelogs', async () => {
    const id = uniqueTopic('headers')
    await judge.createTopics({ name: `${id}-in` }, { name: `${id}-out` })
    using state = temporaryDirectory()
    await life(app(id, false), state.path, [sent('one', ['trace', '1'])])
    await life(app(id), state.path, [sent('two', ['trace', '2'])])
    using empty = temporaryDirectory()
    await life(app(id, false), empty.path, [sent('three', ['trace', '3'])])
    await life(app(id), empty.path, [sent('four', ['trace', '4']), sent('five')])
    // The disk of the first two, and what it lacks.
    await life(app(id), state.path, [sent('six')])
    expect(await outputOf(judge, `${id}-out`)).toEqual([
      'one: , ',
      'two: one, one',
      'three: two, two',
      'four: three, three',
      'five: four trace=4, four trace=4',
      'six: five, five',
    ])
  })

  it('are refused by name where there were no timestamps', async () => {
    const id = uniqueTopic('headers')
    await judge.createTopics({ name: `${id}-in` }, { name: `${id}-out` })
    using state = temporaryDirectory()
    await life(ownApp(id, false), state.path, [sent('one', ['trace', '1'])])
    for (const place of ['its disk', 'its changelog']) {
      using empty = temporaryDirectory()
      expect(await refusal(ownApp(id, true), place === 'its disk' ? state.path : empty.path)).toMatch(
        /written with plain entries \(string, string\), and is declared with values with timestamps and headers/,
      )
    }
  })
})
