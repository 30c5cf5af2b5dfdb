// Serdes of a schema registry on a real one (Apicurio, by Confluent's interface). What is written is read by the package's
// own client, and what that client writes is read by a worker: they share schemas with ours, but none of the requests.
import { SchemaRegistry as PackageClient, SchemaType } from '@kafkajs/confluent-schema-registry'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createProducer, type Serde, string, topic, topology } from 'millstream'
import { avro, jsonSchema, protobuf, schemaRegistry } from 'millstream/schema-registry'
import type { MillstreamError } from '../../src/errors.ts'
import type { Topology } from '../../src/topology/contracts.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { quickly } from '../support/numbered.ts'
import { startRegistry, type TestRegistry } from '../support/registry/start-registry.ts'
import { startWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

interface Order {
  readonly id: string
  readonly cents: number
}

const fields = [
  { name: 'id', type: 'string' },
  { name: 'cents', type: 'long' },
]
const orderV1 = { type: 'record', name: 'Order', namespace: 'shop', fields }
const orderV2 = { ...orderV1, fields: [...fields, { name: 'currency', type: 'string', default: 'EUR' }] }
const orderV3 = { ...orderV1, fields: [...fields, { name: 'note', type: 'string', default: '' }] }
/** Nothing that was written before can be read with it. */
const orderBroken = { ...orderV1, fields: [{ name: 'number', type: 'int' }] }

let judge: Judge
let server: TestRegistry
let client: PackageClient

beforeAll(async () => {
  server = await startRegistry()
  client = new PackageClient({ host: server.url, retry: { retries: 0 } })
  judge = await startJudge(kafkaBrokers())
})

afterAll(async () => {
  await judge?.stop()
  await server?.remove()
})

/** Adds a schema to a subject. @returns its id */
const register = async (subject: string, schema: object): Promise<number> => {
  const answer = await fetch(`${server.url}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  })
  expect(answer.status).toBe(200)
  return ((await answer.json()) as { id: number }).id
}

interface Copying {
  readonly name: string
  readonly input: string
  readonly output: string
  readonly topology: Topology
}

/** Writes what it reads, by other serdes. */
const copying = async <R, W>(
  what: string,
  read: Serde<R>,
  written: Serde<unknown, W>,
  change: (value: R) => W,
): Promise<Copying> => {
  const name = uniqueTopic(what)
  const input = topic(`${name}-in`, { key: string, value: read })
  const output = topic(`${name}-out`, { key: string, value: written })
  await judge.createTopics({ name: input.name }, { name: output.name })
  return {
    name,
    input: input.name,
    output: output.name,
    topology: topology(name, (t) => {
      t.stream(input)
        .mapValues(change)
        .to(output as never)
    }),
  }
}

const feed = async (input: string, ...values: (Buffer | Promise<Buffer>)[]): Promise<void> => {
  const bytes = await Promise.all(values.map(async (value) => await value))
  await judge.produce(
    input,
    bytes.map((value) => ({ partition: 0, key: 'k', value, timestamp: 1000 })),
  )
}

const outputOf = async (name: string): Promise<Buffer[]> =>
  (await judge.dump(name)).records.map(({ value }) => value as Buffer)

const untilOutput = async (name: string, count: number): Promise<unknown[]> => {
  await expect.poll(async () => (await outputOf(name)).length, { timeout: 20_000, interval: 100 }).toBe(count)
  return await Promise.all((await outputOf(name)).map(async (bytes) => plain(await client.decode(bytes))))
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('what others write is read, and what is written they read', () => {
  it('in Avro, registered under the name of the topic', async () => {
    const registry = schemaRegistry({ url: server.url })
    const app = await copying(
      'avro',
      avro<Order>(registry, { schema: orderV1 }),
      avro<Order>(registry, { schema: orderV1 }),
      ({ id, cents }) => ({ id: `${id}!`, cents: cents * 2 }),
    )
    const { id } = await client.register(
      { type: SchemaType.AVRO, schema: JSON.stringify(orderV1) },
      { subject: `${app.input}-value` },
    )
    await feed(app.input, client.encode(id, { id: 'a', cents: 5 }), client.encode(id, { id: 'b', cents: 7 }))
    using state = temporaryDirectory()
    await using _worker = await startWorker(app.topology, quickly(kafkaBrokers(), state.path))
    expect(await untilOutput(app.output, 2)).toEqual([
      { id: 'a!', cents: 10 },
      { id: 'b!', cents: 14 },
    ])
    // Readers register nothing: the subject of the input is the one that was made for it above.
    expect(await client.getLatestSchemaId(`${app.output}-value`)).toBe(id)
  })

  it('in JSON Schema and Protobuf', async () => {
    const registry = schemaRegistry({ url: server.url })
    const json = { title: 'Order', type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }
    const proto = 'syntax = "proto3"; package shop; message Order { string id = 1; int64 cents = 2; }'
    const app = await copying(
      'formats',
      jsonSchema<{ id: string }>(registry, { schema: json }),
      protobuf<Order>(registry, { schema: proto, strategy: 'record-name' }),
      ({ id }) => ({ id, cents: 3 }),
    )
    const { id } = await client.register(
      { type: SchemaType.JSON, schema: JSON.stringify(json) },
      { subject: `${app.input}-value` },
    )
    await feed(app.input, client.encode(id, { id: 'a' }))
    using state = temporaryDirectory()
    await using _worker = await startWorker(app.topology, quickly(kafkaBrokers(), state.path))
    expect(await untilOutput(app.output, 1)).toEqual([{ id: 'a', cents: '3' }])
    expect(await client.getLatestSchemaId('shop.Order')).toBeGreaterThan(0)
  })

  it('by a producer', async () => {
    const registry = schemaRegistry({ url: server.url })
    const orders = topic(uniqueTopic('fed'), {
      key: string,
      value: avro<Order>(registry, { schema: orderV1 }),
    })
    await judge.createTopics({ name: orders.name })
    const producer = createProducer({ brokers: kafkaBrokers() })
    await producer.send(orders, { key: 'k', value: { id: 'a', cents: 1 } })
    await producer.close()
    expect(await untilOutput(orders.name, 1)).toEqual([{ id: 'a', cents: 1 }])
  })
})

describe('schemas change', () => {
  it('while a worker runs: each new one is fetched once, and read as the program knows it', async () => {
    const registry = schemaRegistry({ url: server.url })
    const app = await copying(
      'evolution',
      avro<Order & { currency: string }>(registry, { schema: orderV2 }),
      string,
      ({ id, currency }) => `${id} ${currency}`,
    )
    const subject = `${app.input}-value`
    const [v1, v2] = [await register(subject, orderV1), await register(subject, orderV2)]
    await feed(
      app.input,
      client.encode(v1, { id: 'a', cents: 1 }),
      client.encode(v2, { id: 'b', cents: 1, currency: 'USD' }),
    )
    using state = temporaryDirectory()
    await using _worker = await startWorker(app.topology, quickly(kafkaBrokers(), state.path))
    await expect.poll(async () => (await outputOf(app.output)).length, { timeout: 20_000 }).toBe(2)
    const v3 = await register(subject, orderV3)
    await feed(
      app.input,
      client.encode(v3, { id: 'c', cents: 1, note: 'x' }),
      client.encode(v1, { id: 'd', cents: 1 }),
    )
    await expect.poll(async () => (await outputOf(app.output)).length, { timeout: 20_000 }).toBe(4)
    expect((await outputOf(app.output)).map(String)).toEqual(['a EUR', 'b USD', 'c EUR', 'd EUR'])
  })

  it('and one that the registry finds incompatible stops the start', async () => {
    const subject = uniqueTopic('incompatible')
    await register(subject, orderV1)
    await fetch(`${server.url}/config/${subject}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ compatibility: 'BACKWARD' }),
    })
    const registry = schemaRegistry({ url: server.url })
    const written = avro<{ number: number }>(registry, { schema: orderBroken, subject })
    const app = await copying('incompatible', string, written, () => ({ number: 1 }))
    using state = temporaryDirectory()
    const test = testWorker(app.topology, quickly(kafkaBrokers(), state.path))
    const error = (await test.worker.start().catch((thrown: unknown) => thrown)) as MillstreamError
    expect(error).toMatchObject({ code: 'SCHEMA_REJECTED', where: { subject } })
    expect(error.message).toMatch(/409.*compatible/i)
  })

  it('and one that is only to be looked up has to be there', async () => {
    const registry = schemaRegistry({ url: server.url })
    const written = avro<Order>(registry, { schema: orderV1, writes: 'look-up' })
    const app = await copying('look-up', string, written, (id) => ({ id, cents: 1 }))
    using state = temporaryDirectory()
    const settings = quickly(kafkaBrokers(), state.path)
    const refused = testWorker(app.topology, settings)
    await expect(refused.worker.start()).rejects.toMatchObject({ code: 'SCHEMA_REJECTED' })
    await register(`${app.output}-value`, orderV1)
    await feed(app.input, Buffer.from('a'))
    await using _worker = await startWorker(app.topology, settings)
    expect(await untilOutput(app.output, 1)).toEqual([{ id: 'a', cents: 1 }])
  })
})

describe('an id that the registry does not have', () => {
  const unknown = Buffer.from([0, 0x3f, 0, 0, 1, 2, 0x61, 2])

  it.each(['fail', 'skip'] as const)('is dealt with by the policy %s', async (onFailure) => {
    const registry = schemaRegistry({ url: server.url, absentForMs: 60_000 })
    const app = await copying('unknown', avro<Order>(registry, { schema: orderV1 }), string, ({ id }) => id)
    const v1 = await register(`${app.input}-value`, orderV1)
    const good = client.encode(v1, { id: 'a', cents: 1 })
    await feed(app.input, good, unknown, unknown, good)
    using state = temporaryDirectory()
    await using test = await startWorker(app.topology, { ...quickly(kafkaBrokers(), state.path), onFailure })
    if (onFailure === 'fail') {
      const error = await test.failed()
      expect(error).toMatchObject({ code: 'DESERIALIZATION_FAILED', where: { offset: 1 } })
      expect(error.message).toContain(`no schema ${0x3f000001}`)
      return
    }
    await expect.poll(async () => (await outputOf(app.output)).length, { timeout: 20_000 }).toBe(2)
    expect(test.worker.counts.skipped).toBe(2)
    // Asked once: it is remembered that there is none.
    expect(test.log.with(`no schema ${0x3f000001}`)).toHaveLength(1)
  })
})

describe('a registry that is down', () => {
  it('makes records wait, and is never a reason to leave one out; a start waits, too', async () => {
    const registry = schemaRegistry({ url: server.url, timeoutMs: 500 })
    const app = await copying(
      'down',
      avro<Order>(registry),
      avro<Order>(registry, { schema: orderV1 }),
      (order) => order,
    )
    const subject = `${app.input}-value`
    const [v1, v3] = [await register(subject, orderV1), await register(subject, orderV3)]
    const [first, second] = [
      await client.encode(v1, { id: 'a', cents: 1 }),
      await client.encode(v3, { id: 'b', cents: 2, note: 'x' }),
    ]
    using state = temporaryDirectory()
    const settings = { ...quickly(kafkaBrokers(), state.path), onFailure: 'skip' } as const
    await server.stop()
    await using test = testWorker(app.topology, settings)
    const started = test.worker.start()
    await expect.poll(() => test.worker.status().awaitedSchemas, { timeout: 20_000 }).toContain(app.output)
    await server.start()
    await started
    await feed(app.input, first)
    await untilOutput(app.output, 1)
    await server.stop()
    await feed(app.input, first, second, first)
    await expect
      .poll(() => test.worker.status().awaitedSchemas, { timeout: 20_000 })
      .toBe(`schema ${v3} of ${server.url}`)
    expect(test.log.with('the schema registry does not answer').length).toBeGreaterThan(0)
    expect(test.worker.counts.skipped).toBe(0)
    await server.start()
    expect(await untilOutput(app.output, 4)).toEqual([
      { id: 'a', cents: 1 },
      { id: 'a', cents: 1 },
      { id: 'b', cents: 2 },
      { id: 'a', cents: 1 },
    ])
    expect(test.worker.status()).toMatchObject({ awaitedSchemas: undefined, state: 'running' })
    expect(test.worker.status().schemaRequestFailures).toBeGreaterThan(0)
    expect(test.worker.counts).toMatchObject({ skipped: 0, retried: 0, aborted: 0 })
  }, 180_000)
})
