// Global tables with serdes of a schema registry on the embedded broker: what waits for a schema, and what goes on.
import { Kafka, logLevel, type Producer as OtherProducer } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Http } from '../../../src/base/ports.ts'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import {
  createWorker,
  globalStore,
  openView,
  string,
  topic,
  topology,
  type Topology,
} from '../../../src/index.ts'
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

const text = JSON.stringify('string')
const ownId = 500

/** A registry that registers everything, and answers for the ids that are in `here`. */
class FakeRegistry implements Http {
  readonly here = new Set<number>()
  readonly subjects: string[] = []

  async request({ method, url }: Parameters<Http['request']>[0]): ReturnType<Http['request']> {
    if (method === 'POST') {
      this.subjects.push(decodeURIComponent(url.split('/').at(-2) as string))
      this.here.add(ownId)
      return { status: 200, body: JSON.stringify({ id: ownId }) }
    }
    if (!this.here.has(Number(url.split('/').at(-1)))) throw new Error('away')
    return { status: 200, body: JSON.stringify({ schema: text }) }
  }
}

/** A text as Avro has it, behind the id of its schema. */
const bytesOf = (id: number, value: string): Buffer => {
  const head = Buffer.alloc(5)
  head.writeInt32BE(id, 1)
  return Buffer.concat([head, Buffer.of(2 * value.length), Buffer.from(value)])
}

let shops = 0

/** Orders name a row of two global tables. The second one is kept by a function that reads what it has. */
const shopOf = async () => {
  const id = `shop-${shops++}`
  const names = { orders: `${id}-orders`, rates: `${id}-rates`, notes: `${id}-notes`, out: `${id}-out` }
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({
    topics: Object.values(names).map((name) => ({ topic: name, numPartitions: 1 })),
  })
  await admin.disconnect()
  const schemas = { schema: text }
  // As a new process does, which knows no schema yet.
  const app = (): Topology =>
    topology(id, (t) => {
      const registry = schemaRegistry({ url: 'http://registry' })
      const value = avro<string>(registry, schemas)
      const rates = t.globalTable(topic(names.rates, { key: string, value }), {
        store: globalStore('rates', { key: string, value }),
      })
      const notes = t.globalStore(topic(names.notes, { key: string, value: string }), {
        store: globalStore('notes', { key: string, value }),
        process: ({ key, value: note }, store) => store.put(key, `${store.get(key) ?? ''}${note}`),
      })
      t.stream(topic(names.orders, { key: string, value: string }))
        .leftJoinGlobal(
          rates,
          ({ value: rate }) => rate,
          (rate, row) => `${rate}=${row ?? 'none'}`,
        )
        .leftJoinGlobal(
          notes,
          ({ key }) => key,
          (order, note) => `${order} ${note ?? ''}`,
        )
        .to(topic(names.out, { key: string, value: string }))
    })
  const settings = { brokers: [...broker.brokers], fetchWaitMs: 50 }
  const view = await openView(topic(names.out, { key: string, value: string }), settings)
  const send = async (name: string, key: string, value: string | Buffer): Promise<void> =>
    void (await producer.send({ topic: name, messages: [{ key, value }] }))
  /** Orders until the result is as wanted. */
  const untilSeen = async (rate: string, wanted: string): Promise<void> => {
    const result = async (): Promise<string | undefined> => {
      await send(names.orders, 'k', rate)
      return view.get('k')
    }
    await expect.poll(result, { timeout: 20_000, interval: 100 }).toBe(wanted)
  }
  return { id, names, app, send, untilSeen, [Symbol.asyncDispose]: () => view.close() }
}

const start = (app: Topology, http: Http, stateDir: string) => {
  const log = new KeptLog()
  const settings = { brokers: [...broker.brokers], fetchWaitMs: 50, commitIntervalMs: 50, stateDir }
  const worker = createWorker(app, settings, { log, ports: { ...nodePorts, http } })
  const started = worker.start()
  started.catch(() => {})
  return { worker, log, started, [Symbol.asyncDispose]: () => worker.close() }
}

describe('global tables with serdes of a schema registry', () => {
  it('wait for a schema before their rows are there, and nobody else does', async () => {
    await using shop = await shopOf()
    const { names, send, untilSeen } = shop
    await send(names.rates, 'r1', bytesOf(7, 'one'))
    await send(names.notes, 'k', 'a')
    using state = temporaryDirectory()
    const registry = new FakeRegistry()
    await using first = start(shop.app(), registry, state.path)
    // While it loads.
    await expect.poll(() => first.worker.status().awaitedSchemas).toContain('schema 7')
    expect(first.worker.state).not.toBe('running')
    registry.here.add(7)
    await first.started
    await untilSeen('r1', 'r1=one a')

    // While it runs: the row waits, with what is behind it, and the other table goes on.
    await send(names.rates, 'r2', bytesOf(8, 'two'))
    await send(names.rates, 'r1', bytesOf(7, 'uno'))
    await expect.poll(() => first.worker.status().awaitedSchemas, { timeout: 10_000 }).toContain('schema 8')
    await send(names.notes, 'k', 'b')
    await untilSeen('r2', 'r2=none ab')
    await untilSeen('r1', 'r1=one ab')
    expect(first.worker.status().globals.find(({ store }) => store === 'rates')?.lag).toBeGreaterThan(0)
    registry.here.add(8)
    await untilSeen('r2', 'r2=two ab')
    await untilSeen('r1', 'r1=uno ab')
    expect(registry.subjects.toSorted()).toEqual([
      `${shop.id}-notes-changelog-value`,
      `${shop.id}-rates-changelog-value`,
    ])
  })

  it('wait for the schema of a row on the disk that their function reads', async () => {
    await using shop = await shopOf()
    const { names, send, untilSeen } = shop
    await send(names.notes, 'k', 'a')
    await send(names.rates, 'r1', bytesOf(7, 'one'))
    using state = temporaryDirectory()
    const before = new FakeRegistry()
    before.here.add(7)
    const first = start(shop.app(), before, state.path)
    await first.started
    await first.worker.close()

    // The schemas that the new process writes with have other ids.
    await send(names.notes, 'k', 'b')
    const registry = new FakeRegistry()
    const renamed: Http = {
      async request(given) {
        const answer = await registry.request(given)
        return given.method === 'POST' ? { status: 200, body: JSON.stringify({ id: 501 }) } : answer
      },
    }
    registry.here.add(501)
    const request = registry.request.bind(registry)
    let answers = false
    registry.request = async (given) => {
      if (given.method === 'GET' && given.url.endsWith(`/${ownId}`) && !answers) throw new Error('away')
      return await request(given)
    }
    await using second = start(shop.app(), renamed, state.path)
    await expect.poll(() => second.worker.status().awaitedSchemas).toContain(`schema ${ownId}`)
    expect(second.worker.state).not.toBe('running')
    answers = true
    await second.started
    await untilSeen('r1', 'r1=one ab')
    expect(second.log.with('loaded anew')).toEqual([])
  })
})
