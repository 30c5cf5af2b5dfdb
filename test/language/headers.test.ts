// Stores that keep headers on a real broker: what anybody reads in the changelog, an empty disk, a savepoint, and a store
// that was written without them.
import path from 'node:path'
import { output, store, string, topic, topology, type Topology } from 'millstream'
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

/** A table, and a store whose entries live for long; each record tells what it finds in both. */
const app = (id: string, headers = true): Topology => {
  const table = store('table', { ...texts, headers: headers as true })
  const seen = store('seen', { ...texts, headers: true, ttlMs: 1_000_000_000 })
  return topology(id, (t) => {
    const stream = t.stream(topic(`${id}-in`, texts))
    stream
      .process({
        stores: { table, seen },
        outputs: output<string, string>(),
        process(record, { stores, forward }) {
          const [row, before] = [stores.table, stores.seen].map((one) =>
            one
              .getEntry(record.key)
              ?.headers.map(({ key, value }) => `${key}=${value === null ? '-' : Buffer.from(value)}`)
              .join(' '),
          )
          forward(record.withValue(`${record.value}: ${row}, ${before}`))
          stores.seen.put(record.key, record.value)
        },
      })
      .to(topic(`${id}-out`, texts))
    stream.toTable(table)
  })
}

const sent = (value: string, ...headers: [string, string | null][]): RecordToWrite => ({
  key: 'k',
  value,
  headers,
})

/** One life of a worker, which takes these in. */
const life = async (
  { name }: Topology,
  stateDir: string,
  records: readonly RecordToWrite[],
  settings: Pick<SettingsInput, 'applicationId'> = {},
): Promise<void> => {
  await judge.produce(`${name}-in`, records)
  const before = (await outputOf(judge, `${name}-out`)).length
  await using test = await startWorker(app(name), { ...quickly(kafkaBrokers(), stateDir), ...settings })
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
      'one: undefined, undefined',
      'two: trace=1 flag=-, trace=1 flag=-',
      'three: trace=2, trace=2',
      'four: ü= trace=3, ü= trace=3',
    ])
    // The Java consumer finds them where headers are.
    const { records } = await judge.dump(`${id}-table-changelog`)
    const last = records.at(-1)
    expect(last?.headers).toEqual([['trace', Buffer.from('4')]])
    expect(last?.value?.subarray(8).toString()).toBe('four')

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
    expect((await outputOf(judge, `${id}-out`)).at(-1)).toBe('five: trace=4, trace=4')
    await expect(
      importSavepoint(app(id, false), savepointOptions({ applicationId: uniqueTopic('other') }, target)),
    ).rejects.toMatchObject({ code: 'SAVEPOINT_MISMATCH' })
  })

  it('are refused by name where what lies there was written otherwise', async () => {
    const id = uniqueTopic('headers')
    await judge.createTopics({ name: `${id}-in` }, { name: `${id}-out` })
    using state = temporaryDirectory()
    await life(app(id), state.path, [sent('one', ['trace', '1'])])
    const said =
      /values with timestamps and headers \(string, string\), and is declared with values with times/
    expect(await refusal(app(id, false), state.path)).toMatch(said)
    using empty = temporaryDirectory()
    expect(await refusal(app(id, false), empty.path)).toMatch(said)
  })
})
