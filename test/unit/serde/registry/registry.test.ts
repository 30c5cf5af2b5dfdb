// What a schema registry is asked, and what its answers and its silence lead to. The answers are given by hand here; what a
// real registry says is tested in test/language/schema-registry.test.ts.
import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../../src/base/node-ports.ts'
import type { HttpAnswer, HttpRequest } from '../../../../src/base/ports.ts'
import { avro, schemaRegistry, type SchemaRegistryOptions } from '../../../../src/serde/registry/index.ts'
import type { SchemaRegistry } from '../../../../src/serde/registry/registry.ts'
import type { RemoteUse } from '../../../../src/serde/remote.ts'
import { topic } from '../../../../src/topology/handles.ts'
import { KeptLog } from '../../../support/worker.ts'

type Answer = HttpAnswer | Error

const url = 'http://one:8081'
const answer = (status: number, body: object | string): HttpAnswer => ({
  status,
  body: typeof body === 'string' ? body : JSON.stringify(body),
})
const schemaText = JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'n', type: 'int' }] })
const good = answer(200, { schema: schemaText })
const absent = answer(404, { error_code: 40403, message: 'Schema 7 not found' })

class Stage {
  readonly requests: HttpRequest[] = []
  readonly log = new KeptLog()
  readonly registry: SchemaRegistry
  readonly use: RemoteUse
  nowMs = 0
  readonly #answers: Answer[]

  /** @param answers one after the other; the last one again and again */
  constructor(answers: readonly Answer[], options: SchemaRegistryOptions = {}) {
    this.#answers = [...answers]
    this.registry = schemaRegistry({ url, ...options })
    const clock = { now: () => this.nowMs, monotonic: () => this.nowMs }
    const timers = { ...nodePorts.timers, sleep: () => nodePorts.timers.yield() }
    const http = { request: (request: HttpRequest) => this.#answer(request) }
    const ports = { clock, timers, random: nodePorts.random, http }
    this.use = this.registry.open({ ports, log: this.log, applicationId: 'app' })
  }

  get paths(): string[] {
    return this.requests.map(({ method, url: asked }) => `${method} ${asked}`)
  }

  async settled(id: number): Promise<void> {
    await expect.poll(() => this.registry.settled(id), { interval: 1 }).toBe(true)
  }

  async #answer(request: HttpRequest): Promise<HttpAnswer> {
    this.requests.push(request)
    const next = this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0]
    await nodePorts.timers.yield()
    if (next instanceof Error) throw next
    return next as HttpAnswer
  }
}

const read = (registry: SchemaRegistry, id: number): unknown =>
  avro(registry).decode(Buffer.from([0, 0, 0, 0, id, 2]))

describe('a schema', () => {
  it('is fetched once, whoever asks', async () => {
    const stage = new Stage([good])
    expect(stage.registry.settled(7)).toBe(false)
    expect(stage.registry.settled(7)).toBe(false)
    expect(() => read(stage.registry, 7)).toThrow(expect.objectContaining({ code: 'SCHEMA_PENDING' }))
    expect(stage.registry.awaited).toEqual(['schema 7'])
    await stage.settled(7)
    expect(read(stage.registry, 7)).toEqual({ n: 1 })
    expect(stage.paths).toEqual([`GET ${url}/schemas/ids/7`])
    expect(stage.registry.awaited).toEqual([])
  })

  it.each<[string, Answer]>([
    ['nothing', new Error('connect ECONNREFUSED')],
    ['500', answer(500, { error_code: 50001 })],
    ['404 of something else at that address', answer(404, 'no such page')],
    ['401, as of a service that is being renewed', answer(401, {})],
    ['200 of something else', answer(200, '<html>')],
    ['a redirect', answer(302, '')],
    ['429', answer(429, {})],
  ])('is asked for again after %s', async (_what, bad) => {
    const stage = new Stage([bad, bad, bad, good])
    expect(stage.registry.settled(7)).toBe(false)
    await stage.settled(7)
    expect(read(stage.registry, 7)).toEqual({ n: 1 })
    expect(stage.requests).toHaveLength(4)
    expect(stage.registry.failures).toBe(3)
    expect(stage.log.with('does not answer').map(({ fields }) => fields['attempt'])).toEqual([1, 2])
    expect(stage.log.with('answers again')).toHaveLength(1)
  })

  it('that does not exist is not asked for again before its time', async () => {
    const stage = new Stage([absent, good], { absentForMs: 1000 })
    expect(stage.registry.settled(7)).toBe(false)
    await stage.settled(7)
    expect(() => read(stage.registry, 7)).toThrow(/no schema 7 .*Schema 7 not found/)
    stage.nowMs = 999
    expect(stage.registry.settled(7)).toBe(true)
    expect(stage.requests).toHaveLength(1)
    stage.nowMs = 1000
    expect(stage.registry.settled(7)).toBe(false)
    await stage.settled(7)
    expect(read(stage.registry, 7)).toEqual({ n: 1 })
  })

  it('that does not exist is looked for in the background when a record fails for it', async () => {
    const stage = new Stage([absent, good], { absentForMs: 1000 })
    stage.registry.settled(7)
    await stage.settled(7)
    stage.nowMs = 1000
    expect(() => read(stage.registry, 7)).toThrow(/no schema 7/)
    await stage.settled(7)
    expect(read(stage.registry, 7)).toEqual({ n: 1 })
  })

  it('that is of no use is like one that does not exist', async () => {
    const stage = new Stage([answer(200, { schema: '{"type":"nonsense"}' })])
    stage.registry.settled(7)
    await stage.settled(7)
    expect(() => read(stage.registry, 7)).toThrow(/nonsense/)
  })

  it('comes with those that it uses, each once', async () => {
    const uses = (name: string) => ({ name, subject: name.toLowerCase(), version: 2 })
    const record = (name: string, type: unknown) =>
      JSON.stringify({ type: 'record', name, fields: [{ name: 'f', type }] })
    const stage = new Stage([
      answer(200, { schema: record('A', 'B'), references: [uses('B')] }),
      answer(200, { schema: record('B', 'C'), references: [uses('C')] }),
      answer(200, { schema: record('C', 'int') }),
    ])
    stage.registry.settled(7)
    await stage.settled(7)
    expect(read(stage.registry, 7)).toEqual({ f: { f: { f: 1 } } })
    expect(stage.paths.slice(1)).toEqual([
      `GET ${url}/subjects/b/versions/2`,
      `GET ${url}/subjects/c/versions/2`,
    ])
  })

  it('is not asked for by anybody who has closed', async () => {
    const stage = new Stage([new Error('away')])
    stage.registry.settled(7)
    await expect.poll(() => stage.requests.length).toBeGreaterThan(2)
    stage.use.close()
    await nodePorts.timers.sleep(20)
    const asked = stage.requests.length
    await nodePorts.timers.sleep(20)
    expect(stage.requests.length).toBe(asked)
    expect(stage.registry.settled(7)).toBe(true)
    expect(() => read(stage.registry, 7)).toThrow(/is not in use/)
  })
})

describe('a request', () => {
  it('goes to the next address when one does not answer', async () => {
    const stage = new Stage([new Error('away'), good], { url: 'http://one:1/, http://two:2/path/' })
    stage.registry.settled(7)
    await stage.settled(7)
    expect(stage.paths).toEqual(['GET http://one:1/schemas/ids/7', 'GET http://two:2/path/schemas/ids/7'])
  })

  it.each([
    [{ username: 'Ä', password: 'b:c' }, `Basic ${Buffer.from('Ä:b:c').toString('base64')}`],
    [{ token: 'abc' }, 'Bearer abc'],
    [{ token: () => 'fresh' }, 'Bearer fresh'],
  ])('carries what it is let in with', async (auth, header) => {
    const stage = new Stage([good], { auth, timeoutMs: 77, tls: { ca: 'x' } })
    stage.registry.settled(7)
    await stage.settled(7)
    expect(stage.requests[0]).toMatchObject({
      headers: { authorization: header },
      timeoutMs: 77,
      tls: { ca: 'x' },
    })
  })
})

describe('a start', () => {
  const written = (stage: Stage, options = {}) =>
    topic('orders', {
      key: avro(stage.registry),
      value: avro<{ n: number }>(stage.registry, { schema: schemaText, ...options }),
    }).value

  it('registers what is written, with its references', async () => {
    const stage = new Stage([new Error('away'), answer(200, { id: 9 })])
    const serde = written(stage)
    await serde.remote?.prepare(stage.use, 'write')
    expect(stage.paths.at(-1)).toBe(`POST ${url}/subjects/orders-value/versions`)
    expect(JSON.parse(stage.requests.at(-1)?.body ?? '')).toEqual({ schema: schemaText })
    expect([...serde.encode({ n: 1 })]).toEqual([0, 0, 0, 0, 9, 2])
    // Its own schema need not be fetched.
    expect(serde.decode(serde.encode({ n: 1 }))).toEqual({ n: 1 })
    expect(stage.requests).toHaveLength(2)
    // A test driver in the same process does not take the id away.
    serde.remote?.prepareAlone('app')
    expect([...serde.encode({ n: 1 })]).toEqual([0, 0, 0, 0, 9, 2])
  })

  it('looks up, or does nothing where nothing is written', async () => {
    const stage = new Stage([answer(200, { id: 9 })])
    await written(stage).remote?.prepare(stage.use, 'read')
    expect(stage.requests).toHaveLength(0)
    await written(stage, { writes: 'look-up' }).remote?.prepare(stage.use, 'write')
    expect(stage.paths).toEqual([`POST ${url}/subjects/orders-value`])
  })

  it.each<[string, object, string]>([
    ['topic-name', {}, 'orders-value'],
    ['record-name', { strategy: 'record-name' }, 'R'],
    ['topic-record-name', { strategy: 'topic-record-name' }, 'orders-R'],
    ['by hand', { subject: 'a/b' }, 'a%2Fb'],
  ])('names the subject: %s', async (_what, options, subject) => {
    const stage = new Stage([answer(200, { id: 9 })])
    await written(stage, options).remote?.prepare(stage.use, 'write')
    expect(stage.paths).toEqual([`POST ${url}/subjects/${subject}/versions`])
  })

  it.each<[HttpAnswer, string]>([
    [answer(409, { error_code: 409, message: 'incompatible' }), 'SCHEMA_REJECTED'],
    [answer(422, { error_code: 42201 }), 'SCHEMA_REJECTED'],
    [answer(404, { error_code: 40401 }), 'SCHEMA_REJECTED'],
    [answer(401, {}), 'SCHEMA_REGISTRY_REFUSED'],
    [answer(403, {}), 'SCHEMA_REGISTRY_REFUSED'],
  ])('is refused after %o', async (bad, code) => {
    const stage = new Stage([bad])
    await expect(written(stage).remote?.prepare(stage.use, 'write')).rejects.toMatchObject({
      code,
      where: { registry: url, subject: 'orders-value' },
    })
    expect(stage.registry.awaited).toEqual([])
  })

  it('waits, and ends when it is closed', async () => {
    const stage = new Stage([new Error('away')])
    const prepared = written(stage).remote?.prepare(stage.use, 'write')
    const ended = expect(prepared).rejects.toMatchObject({ code: 'CLOSED' })
    expect(stage.registry.awaited).toEqual(['subject orders-value'])
    await expect.poll(() => stage.requests.length).toBeGreaterThan(2)
    stage.use.close()
    await ended
  })
})
