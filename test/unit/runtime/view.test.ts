// Views on the embedded broker: what they show of a topic and of a store, and when.
import { Kafka, logLevel, type Producer as OtherProducer } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  bytes,
  createProducer,
  createWorker,
  int64,
  json,
  nullable,
  openView,
  store,
  string,
  topic,
  topology,
  tumbling,
  type View,
  windowStore,
} from '../../../src/index.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import { avro, schemaRegistry } from '../../../src/serde/registry/index.ts'
import { KeptLog, temporaryDirectory } from '../../support/worker.ts'

let broker: EmbeddedKafka
let kafka: Kafka
let producer: OtherProducer

beforeAll(async () => {
  broker = await EmbeddedKafka.start({ settings: { defaultPartitions: 2 } })
  kafka = new Kafka({ brokers: [...broker.brokers], logLevel: logLevel.NOTHING })
  producer = kafka.producer()
  await producer.connect()
})

afterAll(async () => {
  await producer?.disconnect()
  await broker?.close()
})

let topics = 0

const newTopic = async (): Promise<string> => {
  const name = `t${topics++}`
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: name, numPartitions: 3 }] })
  await admin.disconnect()
  return name
}

const settings = () => ({ brokers: [...broker.brokers], fetchWaitMs: 50 })

type Raw = readonly [key: string | null, value: string | Buffer | null]

const send = async (name: string, ...records: Raw[]): Promise<void> => {
  await producer.send({ topic: name, messages: records.map(([key, value]) => ({ key, value })) })
}

const entriesOf = <K, V>(view: View<K, V>): [K, V][] =>
  [...view.all()].map(({ key, value }): [K, V] => [key, value]).toSorted()

describe('a view of a topic', () => {
  it('has the last value of each key, and follows', async () => {
    const name = await newTopic()
    const handle = topic(name, { key: string, value: nullable(string) })
    await send(name, ['a', '1'], ['b', '2'], ['c', '3'], ['a', '4'], ['b', null], [null, 'nobody'])
    await using view = await openView(handle, settings())
    expect(view.caughtUp).toBe(true)
    expect(view.topic).toBe(name)
    expect(entriesOf(view)).toEqual([
      ['a', '4'],
      ['c', '3'],
    ])
    expect(view).toMatchObject({ size: 2 })
    expect([view.get('a'), view.get('b'), view.has('b'), view.has('c')]).toEqual([
      '4',
      undefined,
      false,
      true,
    ])
    await send(name, ['b', '5'], ['a', null])
    await expect
      .poll(() => entriesOf(view))
      .toEqual([
        ['b', '5'],
        ['c', '3'],
      ])
    await expect.poll(() => view.caughtUp).toBe(true)
  })

  it('shows what is committed, and not what is aborted or open', async () => {
    const name = await newTopic()
    const transactional = kafka.producer({
      transactionalId: `tx-${name}`,
      maxInFlightRequests: 1,
      idempotent: true,
    })
    await transactional.connect()
    const write = async (value: string) => {
      const transaction = await transactional.transaction()
      await transaction.send({ topic: name, messages: [{ key: 'k', value }] })
      return transaction
    }
    await (await write('committed')).commit()
    await (await write('aborted')).abort()
    const open = await write('open')
    await using view = await openView(topic(name, { key: string, value: string }), settings())
    expect(entriesOf(view)).toEqual([['k', 'committed']])
    await nodePorts.timers.sleep(150)
    expect(view.get('k')).toBe('committed')
    await open.commit()
    await expect.poll(() => view.get('k')).toBe('open')
    await transactional.disconnect()
  })

  it('takes different bytes of one key for one key', async () => {
    const name = await newTopic()
    const handle = topic(name, { key: json<{ a: number }>(), value: bytes })
    await producer.send({
      topic: name,
      messages: [
        { key: '{"a": 1}', value: 'first', partition: 0 },
        { key: '{"a":1}', value: 'second', partition: 0 },
      ],
    })
    await using view = await openView(handle, settings())
    expect(view.size).toBe(1)
    expect(String(view.get({ a: 1 }))).toBe('second')
    expect([...view.all()].map(({ key }) => key)).toEqual([{ a: 1 }])
  })

  it('ends with a record that it cannot read, or leaves it out', async () => {
    const name = await newTopic()
    const handle = topic(name, { key: string, value: int64 })
    const five = Buffer.from([0, 0, 0, 0, 0, 0, 0, 5])
    await send(name, ['a', five], ['a', 'bad'])
    await expect(openView(handle, settings())).rejects.toMatchObject({
      code: 'DESERIALIZATION_FAILED',
      where: { topic: name, offset: 1 },
    })
    const log = new KeptLog()
    await using view = await openView(handle, { ...settings(), onFailure: 'skip' }, { log })
    expect(entriesOf(view)).toEqual([['a', 5]])
    expect(log.with('left out of the view')).toHaveLength(1)
  })

  it('does not answer any more when it has ended', async () => {
    const name = await newTopic()
    const handle = topic(name, { key: string, value: int64 })
    const view = await openView(handle, settings())
    await send(name, ['a', 'bad'])
    await expect(view.finished).rejects.toMatchObject({ code: 'DESERIALIZATION_FAILED' })
    expect(() => view.get('a')).toThrow(/DESERIALIZATION_FAILED/)
    expect(view.caughtUp).toBe(false)
    await view.close()
    const other = await openView(topic(await newTopic(), { key: string, value: string }), settings())
    await other.close()
    expect(() => other.get('a')).toThrow(/CLOSED/)
    await other.finished
  })

  it('waits for schemas', async () => {
    const name = await newTopic()
    const text = '"string"'
    let answers = false
    const http = {
      request: async () => {
        if (!answers) throw new Error('away')
        return { status: 200, body: JSON.stringify({ schema: text }) }
      },
    }
    const registry = schemaRegistry({ url: 'http://registry' })
    await send(name, ['a', Buffer.from([0, 0, 0, 0, 9, 2, 0x78])])
    const opened = openView(topic(name, { key: string, value: avro<string>(registry) }), settings(), {
      ports: { ...nodePorts, http },
    })
    await expect.poll(() => registry.failures).toBeGreaterThan(0)
    answers = true
    await using view = await opened
    expect(view.get('a')).toBe('x')
  })

  it('is refused where there is no such topic', async () => {
    const handle = topic('nowhere', { key: string, value: string })
    await expect(openView(handle, settings())).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
  })
})

describe('a view of a store', () => {
  it('shows what the application has committed', async () => {
    const words = topic(await newTopic(), { key: string, value: string })
    const counts = store('counts', { key: string, value: int64 })
    const perMinute = windowStore('per-minute', { key: string, value: int64 })
    const counted = topology('counted', (t) => {
      const grouped = t.stream(words).groupByKey()
      grouped.count(counts)
      grouped.windowedBy(tumbling({ sizeMs: 60_000, graceMs: 0 })).count(perMinute)
    })
    using state = temporaryDirectory()
    const worker = createWorker(counted, { ...settings(), stateDir: state.path, commitIntervalMs: 20 })
    await worker.start()
    await using view = await openView({ topology: counted, store: counts }, settings())
    expect(view.topic).toBe('counted-counts-changelog')
    const feed = createProducer(settings())
    for (const key of ['a', 'b', 'a']) await feed.send(words, { key, value: '' })
    await feed.close()
    await expect
      .poll(() => entriesOf(view), { timeout: 10_000 })
      .toEqual([
        ['a', 2],
        ['b', 1],
      ])
    await expect(
      openView({ topology: counted, store: perMinute as never }, settings()),
    ).rejects.toMatchObject({ code: 'TOPOLOGY_INVALID' })
    await worker.close()
  })
})
