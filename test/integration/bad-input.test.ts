// Records that cannot be processed. Each stops the worker with an error that names the thing, its place and the way out;
// what came before is committed, nothing past it is, and after the mend every record has had its effect once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { int64, output, store, string, topic, topology } from 'millstream'
import type { SettingsInput } from '../../src/config/settings.ts'
import type { MillstreamError } from '../../src/errors.ts'
import type { Topology } from '../../src/topology/contracts.ts'
import { type Judge, type RecordToWrite, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import {
  committedOffset,
  createNumberedTopics,
  numbered,
  outputOf,
  quickly,
  untilCommitted,
  writeUnchecked,
} from '../support/numbered.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import { startWorker, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterAll(async () => {
  await judge?.stop()
})

const values = (...list: string[]): RecordToWrite[] =>
  list.map((value) => ({ partition: 0, key: 'k', value, timestamp: 1000 }))

/** Runs a worker until an error stops it. */
const failureOf = async (
  built: Topology,
  settings: SettingsInput & { stateDir: string },
): Promise<MillstreamError> => {
  await using test = await startWorker(built, settings)
  return await test.failed()
}

/** Runs a worker until the input is committed up to `offset`. @returns how many records it skipped */
const runUntil = async (
  app: Parameters<typeof untilCommitted>[1] & { readonly topology: Topology },
  offset: number,
  settings: SettingsInput & { stateDir: string },
): Promise<number> => {
  await using test = await startWorker(app.topology, settings)
  await untilCommitted(judge, app, offset)
  await test.worker.close()
  return test.worker.counts.skipped
}

describe('bytes that the serde refuses', () => {
  it('stop the worker there, and are left out by the policy skip', async () => {
    const app = numbered('bad-serde', int64)
    await createNumberedTopics(judge, app)
    const number = (value: bigint): RecordToWrite => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(value)
      return { partition: 0, key: 'k', value: bytes, timestamp: 1000 }
    }
    await judge.produce(app.input, [
      number(5n),
      number(6n),
      { ...number(0n), value: 'abc' },
      number(7n),
      number(8n),
    ])
    using state = temporaryDirectory()
    const settings = quickly(kafkaBrokers(), state.path)
    const error = await failureOf(app.topology, settings)
    expect(error).toMatchObject({
      code: 'DESERIALIZATION_FAILED',
      where: { topic: app.input, partition: 0, offset: 2, task: '0_0' },
    })
    expect(error.message).toMatch(/int64.*value of 3 bytes.*skip/)
    expect(await committedOffset(judge, app)).toBe(2)
    expect(await outputOf(judge, app.output)).toEqual(['1:5', '2:6'])
    // Without a change it stops at the same place again and does nothing twice.
    expect(await failureOf(app.topology, settings)).toMatchObject({ where: { offset: 2 } })
    expect(await committedOffset(judge, app)).toBe(2)
    expect(await runUntil(app, 5, { ...settings, onFailure: 'skip' })).toBe(1)
    expect(await outputOf(judge, app.output)).toEqual(['1:5', '2:6', '3:7', '4:8'])
  })

  it('are refused the same way in a key', async () => {
    const input = topic(uniqueTopic('bad-key-in'), { key: int64, value: string })
    const out = topic(uniqueTopic('bad-key-out'), { key: int64, value: string })
    const app = { applicationId: uniqueTopic('bad-key'), input: input.name }
    const built = topology(app.applicationId, (t) => {
      t.stream(input)
        .map((record) => ({ key: record.key + 1, value: record.value }))
        .to(out)
    })
    await judge.createTopics({ name: input.name }, { name: out.name })
    await judge.produce(input.name, [{ partition: 0, key: Buffer.alloc(8), value: 'a' }, ...values('b')])
    using state = temporaryDirectory()
    const error = await failureOf(built, quickly(kafkaBrokers(), state.path))
    expect(error).toMatchObject({
      code: 'DESERIALIZATION_FAILED',
      where: { topic: input.name, partition: 0, offset: 1 },
    })
    expect(error.message).toContain('the key of 1 bytes')
    expect(await committedOffset(judge, app)).toBe(1)
    expect(await outputOf(judge, out.name)).toEqual(['a'])
  })
})

describe('a processor that throws', () => {
  it('stops the worker before the record, which is processed once the processor is mended', async () => {
    const app = numbered('bad-processor', string)
    await createNumberedTopics(judge, app)
    await judge.produce(app.input, values('a', 'b', 'bad', 'c'))
    app.before = ({ value }) => {
      if (value === 'bad') throw new RangeError('not today')
    }
    using state = temporaryDirectory()
    const error = await failureOf(app.topology, quickly(kafkaBrokers(), state.path))
    expect(error).toMatchObject({
      code: 'PROCESSING_FAILED',
      where: { topic: app.input, partition: 0, offset: 2, task: '0_0' },
    })
    expect(error.message).toMatch(/RangeError: not today.*Mend the processor/)
    expect((error.cause as Error).stack).toContain('bad-input.test.ts')
    expect(await committedOffset(judge, app)).toBe(2)
    app.before = () => {}
    await runUntil(app, 4, quickly(kafkaBrokers(), state.path))
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:b', '3:bad', '4:c'])
  })

  it('is told which store it did not declare', async () => {
    const app = numbered('bad-store', string)
    const totals = store('totals', { key: string, value: int64 })
    const built = topology(app.applicationId, (t) => {
      t.stream(topic(app.input, { key: string, value: string })).process({
        name: 'adder',
        stores: [totals],
        process: (record, { stores }) => {
          const all = stores as typeof stores & { readonly sums: typeof stores.totals }
          all.sums.put(record.key, 1)
        },
      })
    })
    await judge.createTopics({ name: app.input })
    await judge.produce(app.input, values('a'))
    using state = temporaryDirectory()
    const error = await failureOf(built, quickly(kafkaBrokers(), state.path))
    expect(error).toMatchObject({
      code: 'STORE_NOT_DECLARED',
      where: { processor: 'adder', declared: 'totals', topic: app.input, partition: 0, offset: 0 },
    })
    expect(error.message).toMatch(/the store sums, which it did not declare.*Name the store/)
    expect(await committedOffset(judge, app)).toBe(0)
  })

  it('is told which output it did not declare', async () => {
    const app = numbered('bad-output', string)
    const built = topology(app.applicationId, (t) => {
      const { good } = t.stream(topic(app.input, { key: string, value: string })).process({
        name: 'sorter',
        outputs: { good: output<string, string>() },
        process: (record, { forward }) => {
          const loose = forward as (name: string, forwarded: typeof record) => void
          loose(record.value, record)
        },
      })
      good.to(topic(app.output, { key: string, value: string }))
    })
    await createNumberedTopics(judge, app)
    await judge.produce(app.input, values('good', 'wrong'))
    using state = temporaryDirectory()
    const error = await failureOf(built, quickly(kafkaBrokers(), state.path))
    expect(error).toMatchObject({
      code: 'OUTPUT_NOT_DECLARED',
      where: { processor: 'sorter', declared: 'good', offset: 1 },
    })
    expect(await committedOffset(judge, app)).toBe(1)
    expect(await outputOf(judge, app.output)).toEqual(['good'])
  })
})

describe('a batch that does not match its checksum', () => {
  it('stops the worker and is never skipped, whatever the policy', async () => {
    const app = numbered('bad-crc', string)
    await createNumberedTopics(judge, app)
    await judge.produce(app.input, values('a', 'b'))
    const proxy = await KafkaProxy.start(kafkaBrokers()[0] as string)
    proxy.rules = {
      answer: (request, answer) => {
        const at = request.apiKey === apiKeys.Fetch ? answer.indexOf('flip-me') : -1
        if (at < 0) return 'pass'
        const replaceBy = Buffer.from(answer)
        replaceBy[at] = (replaceBy[at] as number) ^ 1
        return { replaceBy }
      },
    }
    using state = temporaryDirectory()
    const settings = { ...quickly([proxy.address], state.path), onFailure: 'skip' } as const
    {
      await using test = await startWorker(app.topology, settings)
      await untilCommitted(judge, app, 2)
      await judge.produce(app.input, values('c', 'flip-me'))
      await judge.produce(app.input, values('d'))
      const error = await test.failed()
      expect(error).toMatchObject({
        code: 'BATCH_CORRUPT',
        where: { topic: app.input, partition: 0, offset: 2 },
      })
      expect(error.message).toMatch(/CRC.*kafka-dump-log/)
    }
    expect(await committedOffset(judge, app)).toBe(2)
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:b'])
    proxy.rules = {}
    await runUntil(app, 5, settings)
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:b', '3:c', '4:flip-me', '5:d'])
    await proxy.stop()
  })
})

describe('a record larger than the broker takes', () => {
  const large = 'x'.repeat(3000)

  it('is refused with the record that put it out', async () => {
    const app = numbered('large-output', string)
    await createNumberedTopics(judge, app, { 'max.message.bytes': '2000' })
    await judge.produce(app.input, values('a', large, 'b'))
    using state = temporaryDirectory()
    const settings = quickly(kafkaBrokers(), state.path)
    const error = await failureOf(app.topology, settings)
    expect(error).toMatchObject({
      code: 'RECORD_TOO_LARGE',
      where: {
        topic: app.input,
        partition: 0,
        offset: 1,
        output: app.output,
        outputPartition: 0,
        'max.message.bytes': 2000,
      },
    })
    expect(error.message).toContain('Raise max.message.bytes')
    expect(await committedOffset(judge, app)).toBe(1)
    expect(await outputOf(judge, app.output)).toEqual(['1:a'])
    await runUntil(app, 3, { ...settings, onFailure: 'skip' })
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:b'])
  })

  it('is refused with the record that would put it into a changelog', async () => {
    const app = numbered('large-change', string)
    const last = store('last', { key: string, value: string, changelog: { 'max.message.bytes': '2000' } })
    const out = topic(app.output, { key: string, value: string })
    const built = topology(app.applicationId, (t) => {
      t.stream(topic(app.input, { key: string, value: string }))
        .process({
          stores: [last],
          outputs: output<string, string>(),
          process: (record, { stores, forward }) => {
            const before = stores.last.get(record.key) ?? 'nothing'
            stores.last.put(record.key, record.value)
            forward(record.withValue(`${record.value.slice(0, 3)} after ${before}`))
          },
        })
        .to(out)
    })
    await createNumberedTopics(judge, app)
    await judge.produce(app.input, values('a', large, 'b'))
    using state = temporaryDirectory()
    const settings = quickly(kafkaBrokers(), state.path)
    const error = await failureOf(built, settings)
    expect(error).toMatchObject({
      code: 'RECORD_TOO_LARGE',
      where: { topic: app.input, partition: 0, offset: 1, store: 'last', 'max.message.bytes': 2000 },
    })
    expect(await committedOffset(judge, app)).toBe(1)
    expect(await outputOf(judge, app.output)).toEqual(['a after nothing'])
    await runUntil({ ...app, topology: built }, 3, { ...settings, onFailure: 'skip' })
    expect(await outputOf(judge, app.output)).toEqual(['a after nothing', 'b after a'])
    expect(await outputOf(judge, `${app.applicationId}-last-changelog`)).toEqual(['a', 'b'])
  })
})

describe('a batch that the broker refuses although the worker thought it fits', () => {
  it('stops the worker, whatever the policy, and nothing of it is committed', async () => {
    const app = numbered('refused-batch', string)
    await createNumberedTopics(judge, app, { 'max.message.bytes': '2000' })
    await judge.produce(app.input, values('a'))
    // As if the limit had been lowered after the worker read it.
    const proxy = await KafkaProxy.start(kafkaBrokers()[0] as string, {
      answer: (request, answer) => {
        if (request.apiKey !== apiKeys.DescribeConfigs) return 'pass'
        const replaceBy = Buffer.from(answer)
        const name = Buffer.from('max.message.bytes')
        for (let at = answer.indexOf(name); at >= 0; at = answer.indexOf(name, at + 1)) {
          const value = at + name.length + 1
          if (answer.toString('latin1', value, value + 4) === '2000') replaceBy.write('9000', value, 'latin1')
        }
        return { replaceBy }
      },
    })
    using state = temporaryDirectory()
    const settings = { ...quickly([proxy.address], state.path), onFailure: 'skip' } as const
    {
      await using test = await startWorker(app.topology, settings)
      await untilCommitted(judge, app, 1)
      // First: what comes before it may be committed without it.
      await judge.produce(app.input, values('x'.repeat(3000), 'b', 'c'))
      const error = await test.failed()
      expect(error).toMatchObject({ code: 'RECORD_TOO_LARGE', where: { topic: app.output, partition: 0 } })
      expect(error.message).toMatch(/Produce was answered MESSAGE_TOO_LARGE.*Raise max.message.bytes/)
    }
    expect(await committedOffset(judge, app)).toBe(1)
    expect(await outputOf(judge, app.output)).toEqual(['1:a'])
    proxy.rules = {}
    await runUntil(app, 4, settings)
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:b', '3:c'])
    await proxy.stop()
  })
})

describe('a negative timestamp', () => {
  // -1 is Kafka's own "no timestamp"; below it only clients without a check can write. A broker takes both.
  it.each([-1, -5])('of %i stops the worker there', async (timestamp) => {
    const app = numbered('bad-time', string)
    await createNumberedTopics(judge, app)
    await judge.produce(app.input, values('a'))
    expect(await writeUnchecked(app.input, [{ key: 'k', value: 'b', timestamp }])).toBe(0)
    await judge.produce(app.input, values('c'))
    using state = temporaryDirectory()
    const settings = quickly(kafkaBrokers(), state.path)
    const error = await failureOf(app.topology, settings)
    expect(error).toMatchObject({
      code: 'TIMESTAMP_INVALID',
      where: { topic: app.input, partition: 0, offset: 1 },
    })
    expect(error.message).toMatch(new RegExp(`timestamp ${timestamp}.*timestamp extractor`))
    expect(await committedOffset(judge, app)).toBe(1)
    expect(await outputOf(judge, app.output)).toEqual(['1:a'])
    expect(await runUntil(app, 3, { ...settings, onFailure: 'skip' })).toBe(1)
    expect(await outputOf(judge, app.output)).toEqual(['1:a', '2:c'])
  })
})
