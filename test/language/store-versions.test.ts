// Stores that an earlier version of the topology wrote: migrated once, whatever happens meanwhile, or refused by name.
import path from 'node:path'
import { int64, output, type Serde, store, string, topic, topology, type Topology } from 'millstream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SettingsInput } from '../../src/config/settings.ts'
import { exportSavepoint } from '../../src/savepoint/export.ts'
import { importSavepoint } from '../../src/savepoint/import.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { outputOf, quickly } from '../support/numbered.ts'
import { savepointOptions } from '../support/savepoint.ts'
import { startWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge
beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})
afterAll(() => judge?.stop())

const key = string
const first = store('seen', { key, value: int64 })
const firstCounts = store('counts', { key, value: int64 })
const later = store('seen', {
  key,
  value: string,
  version: 2,
  previous: int64,
  // Twice would be seen.
  migrate: (old, from) => `${from}:${old + 1}`,
})
const laterCounts = store('counts', {
  key,
  value: int64,
  version: 2,
  previous: int64,
  migrate: (old) => old * 100,
})

type Seen = ReturnType<typeof store<'seen', typeof string, Serde<never>>>
type Counts = ReturnType<typeof store<'counts', typeof string, typeof int64>>

/** Tells what it finds, and then puts the next value; counts beside. */
const app = (id: string, seen: unknown, counts: unknown, next: (old: unknown) => unknown): Topology =>
  topology(id, (t) => {
    const input = t.stream(topic(`${id}-in`, { key, value: string }))
    input
      .process({
        stores: { seen: seen as Seen },
        outputs: output<string, string>(),
        process(record, { stores, forward }) {
          forward(record.withValue(`${record.key} ${String(stores.seen.get(record.key))}`))
          stores.seen.put(record.key, next(stores.seen.get(record.key)) as never)
        },
      })
      .to(topic(`${id}-out`, { key, value: string }))
    const rows = input.groupByKey().count(counts as Counts)
    rows.toStream().to(topic(`${id}-counts`, { key, value: int64 }))
  })

const plus = (old: unknown): unknown => ((old as number | undefined) ?? 0) + 1
const more = (old: unknown): unknown => `${String(old)}+`

const oldApp = (id: string): Topology => app(id, first, firstCounts, plus)
const newApp = (id: string): Topology => app(id, later, laterCounts, more)

const begin = async (name: string): Promise<string> => {
  const id = uniqueTopic(name)
  await judge.createTopics({ name: `${id}-in` }, { name: `${id}-out` }, { name: `${id}-counts` })
  return id
}

/** One life of a worker, which takes these in, all of one key each. */
const life = async (
  made: Topology,
  stateDir: string,
  values: readonly (readonly [key: string, value: string])[],
  settings: Pick<SettingsInput, 'stateDigest' | 'applicationId'> = {},
): Promise<void> => {
  await judge.produce(
    `${made.name}-in`,
    values.map(([of, value]) => ({ key: of, value })),
  )
  const before = (await outputOf(judge, `${made.name}-out`)).length
  await using test = await startWorker(made, { ...quickly(kafkaBrokers(), stateDir), ...settings })
  await expect
    .poll(async () => (await outputOf(judge, `${made.name}-out`)).length, { timeout: 20_000 })
    .toBe(before + values.length)
  await test.worker.close({ leave: true })
}

const refusal = async (
  made: Topology,
  stateDir: string,
  settings: Pick<SettingsInput, 'stateDigest' | 'applicationId'> = {},
): Promise<string> => {
  await using test = testWorker(made, { ...quickly(kafkaBrokers(), stateDir), ...settings })
  await expect(test.worker.start()).rejects.toMatchObject({ code: 'STORE_LAYOUT' })
  return test.failure()?.message ?? ''
}

const counted = async (id: string): Promise<number[]> =>
  (await judge.dump(`${id}-counts`)).records.map(({ value }) => Number(value?.readBigInt64BE()))

describe.each(['its disk', 'its changelog'])('a store of an earlier version, from %s', (place) => {
  it('is migrated once, whole', async () => {
    const id = await begin('migrated')
    using one = temporaryDirectory()
    using other = temporaryDirectory()
    await life(oldApp(id), one.path, [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
    ])
    const next = place === 'its disk' ? one : other
    await life(newApp(id), next.path, [['a', '4']])
    // From the same disk, and from what the changelog holds by now.
    await life(newApp(id), next.path, [['b', '5']])
    using empty = temporaryDirectory()
    await life(newApp(id), empty.path, [['a', '6']])
    expect((await outputOf(judge, `${id}-out`)).slice(3)).toEqual(['a 1:3', 'b 1:2', 'a 1:3+'])
    expect((await counted(id)).slice(3)).toEqual([201, 101, 202])
  })
})

describe('a migration', () => {
  it('is done again where its transaction was aborted', async () => {
    const id = await begin('aborted')
    using state = temporaryDirectory()
    await life(oldApp(id), state.path, [['a', '1']])
    const broken = topology(id, (t) => {
      let tries = 0
      const input = t.stream(topic(`${id}-in`, { key, value: string }))
      input
        .process({
          stores: { seen: later },
          outputs: output<string, string>(),
          init({ schedule, stores }) {
            // A punctuator that fails aborts the whole transaction, and with it what was migrated.
            schedule(20, 'wall-clock', () => {
              stores.seen.put('b', 'never seen')
              if (tries++ < 3) throw new Error('as asked for')
            })
          },
          process(record, { stores, forward }) {
            forward(record.withValue(`${record.key} ${String(stores.seen.get(record.key))}`))
          },
        })
        .to(topic(`${id}-out`, { key, value: string }))
      input
        .groupByKey()
        .count(laterCounts)
        .toStream()
        .to(topic(`${id}-counts`, { key, value: int64 }))
    })
    {
      await using test = testWorker(broken, quickly(kafkaBrokers(), state.path))
      await test.worker.start().catch(() => {})
      await test.failed()
    }
    await life(newApp(id), state.path, [['a', '2']])
    expect((await outputOf(judge, `${id}-out`)).slice(1)).toEqual(['a 1:2'])
    expect((await counted(id)).slice(1)).toEqual([101])
  })

  it('that fails stops the worker and changes nothing', async () => {
    const id = await begin('failing')
    using state = temporaryDirectory()
    await life(oldApp(id), state.path, [['a', '1']])
    const failing = store('seen', {
      key,
      value: string,
      version: 2,
      migrate: () => {
        throw new Error('no idea')
      },
    })
    expect(await refusal(app(id, failing, firstCounts, more), state.path)).toMatch(
      /the store could not be migrated: no idea \(store seen/,
    )
    await life(oldApp(id), state.path, [['a', '2']])
    expect(await outputOf(judge, `${id}-out`)).toEqual(['a undefined', 'a 1'])
  })
})

describe('a savepoint of a store with a version', () => {
  it('is imported in that version: nothing is migrated again', async () => {
    const id = await begin('imported')
    using state = temporaryDirectory()
    await life(oldApp(id), state.path, [['a', '1']])
    await life(newApp(id), state.path, [['a', '2']])
    using directory = temporaryDirectory()
    const target = path.join(directory.path, 'savepoint')
    await exportSavepoint(newApp(id), savepointOptions({ applicationId: id }, target))
    const applicationId = uniqueTopic('copy')
    await importSavepoint(newApp(id), savepointOptions({ applicationId }, target))
    using empty = temporaryDirectory()
    await life(newApp(id), empty.path, [['a', '3']], { applicationId })
    expect(await outputOf(judge, `${id}-out`)).toEqual(['a undefined', 'a 1:2', 'a 1:2+'])
    expect(await counted(id)).toEqual([1, 101, 102])
    await expect(
      importSavepoint(oldApp(id), savepointOptions({ applicationId: uniqueTopic('other') }, target)),
    ).rejects.toMatchObject({ code: 'SAVEPOINT_MISMATCH' })
  })
})

describe('a store that was written otherwise', () => {
  it('is refused by name', async () => {
    const id = await begin('refused')
    using state = temporaryDirectory()
    await life(oldApp(id), state.path, [['a', '1']])
    const seen = (options: object): Topology =>
      app(id, store('seen', { key, value: int64, ...options }), firstCounts, plus)
    expect(await refusal(seen({ value: string }), state.path)).toMatch(
      /written with plain entries \(string, int64\), and is declared with plain entries \(string, string\) \(store seen/,
    )
    expect(await refusal(seen({ version: 2 }), state.path)).toMatch(
      /was written in version 1, is declared in version 2, and has no migrate/,
    )
    expect(await refusal(seen({ ttlMs: 5, version: 2, migrate: () => 1 }), state.path)).toMatch(
      /declared with entries that live for a time/,
    )
    expect(await refusal(seen({ version: 2, migrate: () => 1 }), state.path, { stateDigest: 'off' })).toMatch(
      /the store has version 2, which is kept with its digest/,
    )
    await life(newApp(id), state.path, [['a', '2']])
    expect(await refusal(oldApp(id), state.path)).toMatch(
      /was written in version 2, and is declared in version 1/,
    )
  })
})
