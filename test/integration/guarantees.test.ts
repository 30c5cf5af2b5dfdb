// What a worker promises, end to end on a real broker: both guarantees on both versions of transactions, restarts, time,
// order under retries, and what it refuses to begin with.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { int64, nullable, output, processor, store, StreamRecord, string, topic, topology } from 'millstream'
import type { SettingsInput } from '../../src/config/settings.ts'
import type { Guarantee } from '../../src/config/worker-settings.ts'
import { startKafka } from '../../src/testing/kafka/start-kafka.ts'
import { type Judge, type RecordToWrite, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import {
  committedOffset,
  createNumberedTopics,
  numbered,
  outputOf,
  quickly,
  untilCommitted,
} from '../support/numbered.ts'
import { apiKeys, KafkaProxy, limitVersion } from '../support/proxy.ts'
import {
  createWordCountTopics,
  expectExactCounts,
  isDrained,
  type WordCount,
  wordCount,
} from '../support/word-count.ts'
import { startWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterAll(async () => {
  await judge?.stop()
})

type Settings = SettingsInput & { stateDir: string }

const values = (...list: string[]): RecordToWrite[] =>
  list.map((value) => ({ partition: 0, key: 'k', value, timestamp: 1000 }))

const sentences = (count: number): RecordToWrite[] =>
  Array.from({ length: count }, (_, index) => ({
    partition: index % 3,
    key: 'k',
    value: `the line ${index % 17} of ${index % 5}`,
  }))

/** One life of a worker that counts 300 more lines, to the end of its inputs. @returns why it rebuilt its stores */
const countInOneLife = async (judge: Judge, app: WordCount, settings: Settings): Promise<unknown[]> => {
  await using test = await startWorker(app.topology, settings)
  await judge.produce(app.lines, sentences(300))
  await expect.poll(() => isDrained(judge, app), { timeout: 20_000, interval: 50 }).toBe(true)
  await expectExactCounts(judge, app)
  await test.worker.close()
  expect(test.failure()).toBe(undefined)
  return test.log.with('a store is rebuilt').map(({ fields }) => fields?.reason)
}

/** Counts words in three lives of a worker: with its disk, with its disk, and without. */
const countInThreeLives = async (
  judge: Judge,
  brokers: readonly string[],
  guarantee: Guarantee,
): Promise<void> => {
  const app = wordCount('lives')
  await createWordCountTopics(judge, app, 3)
  using kept = temporaryDirectory()
  using empty = temporaryDirectory()
  for (const { path } of [kept, kept, empty])
    expect(await countInOneLife(judge, app, { ...quickly(brokers, path), guarantee })).toEqual([])
  const transactional = await judge.listTransactions()
  expect(
    transactional.some(({ transactionalId }) => transactionalId.startsWith(`${app.applicationId}.`)),
  ).toBe(guarantee === 'exactly_once')
}

describe.each(['exactly_once', 'at_least_once'] as const)('%s', (guarantee) => {
  it('counts on over restarts, with and without its disk (newest broker)', async () => {
    await countInThreeLives(judge, kafkaBrokers(), guarantee)
  })

  it('counts on over restarts, with and without its disk (Kafka 3.9, transaction version 1)', async () => {
    await using kafka = await startKafka({ backend: 'jvm', version: '3.9' })
    await using old = await startJudge(kafka.brokers)
    expect((await old.features())['transaction.version'] ?? 0).toBeLessThan(2)
    await countInThreeLives(old, kafka.brokers, guarantee)
  })
})

it.each(['on', 'verify'] as const)(
  'rebuilds its stores when the guarantee changes, and counts on (stateDigest %s)',
  async (stateDigest) => {
    const app = wordCount('changing')
    await createWordCountTopics(judge, app, 3)
    using state = temporaryDirectory()
    const live = (guarantee: Guarantee): Promise<unknown[]> =>
      countInOneLife(judge, app, { ...quickly(kafkaBrokers(), state.path), guarantee, stateDigest })
    const changed = (from: Guarantee, to: Guarantee): string[] =>
      Array.from({ length: 3 }, () => `guarantee is ${from} in the store, not ${to}`)
    expect(await live('exactly_once')).toEqual([])
    // What this life writes is in no digest; the next one must not hold the digests of the first against it.
    expect(await live('at_least_once')).toEqual(changed('exactly_once', 'at_least_once'))
    expect(await live('exactly_once')).toEqual(changed('at_least_once', 'exactly_once'))
    expect(await live('exactly_once')).toEqual([])
  },
)

describe('a broker that is too old', () => {
  it.each([
    ['TxnOffsetCommit', 2],
    ['Fetch', 10],
  ] as const)('for %s is refused by name', async (name, max) => {
    const proxy = await KafkaProxy.start(kafkaBrokers()[0] as string, {
      answer: (request, answer) =>
        request.apiKey === apiKeys.ApiVersions
          ? { replaceBy: limitVersion(answer, apiKeys[name], max) }
          : 'pass',
    })
    const app = numbered('too-old', string)
    using state = temporaryDirectory()
    await using test = testWorker(app.topology, quickly([proxy.address], state.path))
    const error = await test.worker.start().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'BROKER_TOO_OLD', where: { broker: proxy.address } })
    expect((error as Error).message).toMatch(
      new RegExp(`${name} v\\d+ .*has v\\d+ to v${max}.*Update the broker`),
    )
    await proxy.stop()
  })

  it('for transaction version 2 alone is used with version 1', async () => {
    const proxy = await KafkaProxy.start(kafkaBrokers()[0] as string, {
      answer: (request, answer) =>
        request.apiKey === apiKeys.ApiVersions
          ? { replaceBy: limitVersion(answer, apiKeys.TxnOffsetCommit, 4) }
          : 'pass',
    })
    const asked = new Set<number>()
    proxy.rules = {
      ...proxy.rules,
      request: ({ apiKey }) => {
        asked.add(apiKey)
        return 'pass'
      },
    }
    await countInThreeLives(judge, [proxy.address], 'exactly_once')
    expect(asked).toContain(apiKeys.AddPartitionsToTxn)
    expect(asked).toContain(apiKeys.AddOffsetsToTxn)
    await proxy.stop()
  })
})

describe('records', () => {
  it('pass with headers, nulls and timestamps, also when one is larger than a batch', async () => {
    const id = uniqueTopic('passing')
    const input = topic(`${id}-in`, { key: nullable(string), value: nullable(string) })
    const out = topic(`${id}-out`, { key: nullable(string), value: nullable(string) })
    const built = topology(id, (t) => {
      t.stream(input)
        .peek(() => {})
        .to(out)
    })
    await judge.createTopics({ name: input.name }, { name: out.name })
    const written: RecordToWrite[] = [
      {
        partition: 0,
        key: 'k',
        value: null,
        timestamp: 5,
        headers: [
          ['h', 'x'],
          ['h', null],
          ['', Buffer.from([0, 255])],
        ],
      },
      { partition: 0, key: null, value: 'v', timestamp: 3 },
      { partition: 0, key: null, value: null, timestamp: 0 },
      { partition: 0, key: 'large', value: 'y'.repeat(20_000), timestamp: 7 },
      { partition: 0, key: 'k', value: '', timestamp: 4, headers: [['ü', 'ü']] },
    ]
    await judge.produce(input.name, written)
    using state = temporaryDirectory()
    await using test = await startWorker(built, { ...quickly(kafkaBrokers(), state.path), batchBytes: 1024 })
    await untilCommitted(judge, { applicationId: id, input: input.name }, written.length)
    expect(test.failure()).toBe(undefined)
    const withoutOffset = async (name: string): Promise<unknown[]> =>
      (await judge.dump(name)).records.map(({ key, value, timestamp, headers }) => ({
        key,
        value,
        timestamp,
        headers,
      }))
    // The markers of a transaction come to each partition by themselves, that of the offsets may be the first.
    await expect.poll(() => withoutOffset(out.name)).toHaveLength(written.length)
    expect(await withoutOffset(out.name)).toEqual(await withoutOffset(input.name))
  })

  it('begin where startFrom says, and a restart goes on from the committed offset', async () => {
    const app = numbered('latest', string)
    await createNumberedTopics(judge, app)
    await judge.produce(app.input, values('before'))
    using state = temporaryDirectory()
    const settings: Settings = { ...quickly(kafkaBrokers(), state.path), startFrom: 'latest' }
    {
      await using test = await startWorker(app.topology, settings)
      // The start position is committed before the first record: a crash now must not move it.
      await untilCommitted(judge, app, 1)
      await judge.produce(app.input, values('a'))
      await untilCommitted(judge, app, 2)
      await test.worker.close()
    }
    await judge.produce(app.input, values('b'))
    await using test = await startWorker(app.topology, settings)
    await untilCommitted(judge, app, 3)
    expect(test.failure()).toBe(undefined)
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:b'])
  })
})

describe('the policy retry', () => {
  it('keeps the order, undoes each failed try, and then stops or skips', async () => {
    const app = numbered('retry', string)
    await createNumberedTopics(judge, app)
    await judge.produce(app.input, values('a', 'late', 'b', 'never', 'c'))
    let tries = 0
    app.before = ({ value }) => {
      if (value === 'never' || (value === 'late' && ++tries < 4)) throw new Error(`no ${value}`)
    }
    using state = temporaryDirectory()
    const settings: Settings = {
      ...quickly(kafkaBrokers(), state.path),
      onFailure: 'retry',
      retryAttempts: 5,
      retryBackoffMs: 20,
      retryBackoffMaxMs: 50,
    }
    {
      await using test = await startWorker(app.topology, settings)
      expect(await test.failed()).toMatchObject({ code: 'PROCESSING_FAILED', where: { offset: 3 } })
      expect(test.worker.counts).toMatchObject({ retried: 3 + 5, skipped: 0 })
    }
    expect(await committedOffset(judge, app)).toBe(3)
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:late', '3:b'])
    await using test = await startWorker(app.topology, { ...settings, afterRetries: 'skip' })
    await untilCommitted(judge, app, 5)
    expect(test.worker.counts).toMatchObject({ retried: 5, skipped: 1 })
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:late', '3:b', '4:c'])
  })

  it('does not hold up the commit of what came before', async () => {
    const app = numbered('retry-slow', string)
    await createNumberedTopics(judge, app)
    let fails = true
    app.before = ({ value }) => {
      if (value === 'late' && fails) throw new Error('not yet')
    }
    await judge.produce(app.input, values('a', 'late', 'b'))
    using state = temporaryDirectory()
    await using test = await startWorker(app.topology, {
      ...quickly(kafkaBrokers(), state.path),
      onFailure: 'retry',
      retryAttempts: 1000,
      retryBackoffMs: 50,
      retryBackoffMaxMs: 50,
    })
    await untilCommitted(judge, app, 1)
    expect(await outputOf(judge, app.output)).toEqual(['1:a'])
    fails = false
    await untilCommitted(judge, app, 3)
    expect(test.failure()).toBe(undefined)
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:late', '3:b'])
  })
})

describe('punctuators', () => {
  it('of stream time fire by the records alone, and their output commits with the offsets', async () => {
    const app = numbered('stream-time', string)
    const built = topology(app.applicationId, (t) => {
      t.stream(topic(app.input, { key: string, value: string }))
        .process({
          outputs: output<string, string>(),
          init: ({ schedule, forward }) => {
            schedule(100, 'stream-time', (time) => forward(stampedRecord('tick', String(time), time)))
          },
          process: (record, { forward }) => forward(record),
        })
        .to(topic(app.output, { key: string, value: string }))
    })
    await createNumberedTopics(judge, app)
    const at = (...times: number[]): RecordToWrite[] =>
      times.map((timestamp) => ({ partition: 0, key: 'k', value: `at ${timestamp}`, timestamp }))
    await judge.produce(app.input, at(10, 50, 120, 90))
    using state = temporaryDirectory()
    const settings = quickly(kafkaBrokers(), state.path)
    {
      await using test = await startWorker(built, settings)
      await untilCommitted(judge, app, 4)
      await test.worker.close()
    }
    expect(await outputOf(judge, app.output)).toEqual(['at 10', '10', 'at 50', 'at 120', '120', 'at 90'])
    // The stream time is committed: after a restart no tick comes twice, and missed ones come as one.
    await judge.produce(app.input, at(180, 450, 460))
    await using test = await startWorker(built, settings)
    await untilCommitted(judge, app, 7)
    expect(test.failure()).toBe(undefined)
    expect((await outputOf(judge, app.output)).slice(6)).toEqual(['at 180', 'at 450', '450', 'at 460'])
  })

  it('of wall-clock time fire without records, write to stores and commit', async () => {
    const app = numbered('wall-clock', string)
    const ticks = store('ticks', { key: string, value: int64 })
    const ticker = processor({
      stores: [ticks],
      outputs: output<string, string>(),
      init: ({ schedule, forward, stores }) => {
        schedule(50, 'wall-clock', (time) => {
          const count = (stores.ticks.get('all') ?? 0) + 1
          stores.ticks.put('all', count)
          forward(stampedRecord('tick', String(count), time))
        })
      },
      process: (_record: StreamRecord<string, string>) => {},
    })
    const built = topology(app.applicationId, (t) => {
      t.stream(topic(app.input, { key: string, value: string }))
        .process(ticker)
        .to(topic(app.output, { key: string, value: string }))
    })
    await createNumberedTopics(judge, app)
    using state = temporaryDirectory()
    for (let life = 1; life <= 2; life++) {
      await using test = await startWorker(built, quickly(kafkaBrokers(), state.path))
      const before = (await outputOf(judge, app.output)).length
      await expect
        .poll(async () => (await outputOf(judge, app.output)).length, { timeout: 10_000 })
        .toBeGreaterThan(before + 3)
      await test.worker.close()
    }
    const seen = await outputOf(judge, app.output)
    expect(seen).toEqual(seen.map((_, index) => String(index + 1)))
    const changelog = (await judge.dump(`${app.applicationId}-ticks-changelog`)).records
    expect(Number(changelog.at(-1)?.value?.readBigInt64BE())).toBe(seen.length)
    expect(await committedOffset(judge, app)).toBe(0)
  })
})

const stampedRecord = (key: string, value: string, timestamp: number): StreamRecord<string, string> =>
  StreamRecord.of({ key, value, timestamp })

describe('internal topics that were made beforehand', () => {
  const refused = async (app: ReturnType<typeof wordCount>): Promise<Error> => {
    using state = temporaryDirectory()
    await using test = testWorker(app.topology, quickly(kafkaBrokers(), state.path))
    const error = await test.worker.start().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'TOPIC_MISMATCH' })
    return error as Error
  }
  const compact = { 'cleanup.policy': 'compact' }
  const kept = { 'cleanup.policy': 'delete', 'retention.ms': '-1' }

  it('are used as they are', async () => {
    const app = wordCount('beforehand')
    await createWordCountTopics(judge, app, 2)
    await judge.createTopics(
      { name: app.repartition, partitions: 2, settings: kept },
      { name: app.changelog, partitions: 2, settings: compact },
    )
    await judge.produce(app.lines, values('one two one'))
    using state = temporaryDirectory()
    await using test = await startWorker(app.topology, {
      ...quickly(kafkaBrokers(), state.path),
      createInternalTopics: false,
    })
    await expect.poll(() => isDrained(judge, app), { timeout: 20_000 }).toBe(true)
    await expectExactCounts(judge, app)
    expect(test.failure()).toBe(undefined)
  })

  it('are refused with another number of partitions', async () => {
    const app = wordCount('partitions')
    await createWordCountTopics(judge, app, 2)
    await judge.createTopics({ name: app.changelog, partitions: 3, settings: compact })
    const error = await refused(app)
    expect(error).toMatchObject({ where: { topic: app.changelog } })
    expect(error.message).toMatch(/has 3 partitions, the topology needs 2/)
  })

  it('are refused with a policy that would lose records', async () => {
    const app = wordCount('policy')
    await createWordCountTopics(judge, app, 1)
    await judge.createTopics({ name: app.changelog, settings: { 'cleanup.policy': 'delete' } })
    const lossy = await refused(app)
    expect(lossy).toMatchObject({ where: { topic: app.changelog } })
    expect(lossy.message).toMatch(/cleanup.policy delete.*Set cleanup.policy to compact/)

    const other = wordCount('policy')
    await createWordCountTopics(judge, other, 1)
    await judge.createTopics({
      name: other.repartition,
      settings: { 'cleanup.policy': 'delete', 'retention.ms': '60000' },
    })
    expect(await refused(other)).toMatchObject({ where: { topic: other.repartition } })
  })
})
