// What a worker cannot start with: it says so before it reads or writes anything, names the thing and the way out.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { string } from 'millstream'
import type { SettingsInput } from '../../src/config/settings.ts'
import { ensureError, isMillstreamError, type MillstreamError } from '../../src/errors.ts'
import { freePort } from '../../src/testing/kafka/probe.ts'
import { type JvmKafkaHandle, startKafka } from '../../src/testing/kafka/start-kafka.ts'
import type { Topology } from '../../src/topology/contracts.ts'
import { connect } from '../support/client.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers } from '../support/kafka.ts'
import { committedOffset, createNumberedTopics, numbered, quickly } from '../support/numbered.ts'
import { startWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

/** The error with which the start is refused. */
const refusal = async (
  built: Topology,
  settings: SettingsInput & { stateDir: string },
): Promise<MillstreamError> => {
  const startedMs = performance.now()
  await using test = testWorker(built, settings)
  const error = await test.worker.start().then(
    () => new Error('the worker started'),
    (thrown: unknown) => ensureError(thrown),
  )
  if (!isMillstreamError(error)) throw error
  expect(performance.now() - startedMs).toBeLessThan(10_000)
  expect(test.worker.state).toBe('failed')
  await expect(test.worker.finished).rejects.toBe(error)
  return error
}

describe('a broker that', () => {
  it('does not listen is named with its reason', async () => {
    const app = numbered('unreachable', string)
    const [one, other] = [await freePort(), await freePort()]
    using state = temporaryDirectory()
    const error = await refusal(app.topology, quickly([`127.0.0.1:${one}`, `localhost:${other}`], state.path))
    expect(error).toMatchObject({ code: 'BROKER_UNREACHABLE', where: { setting: 'brokers' } })
    expect(error.message).toMatch(new RegExp(`127.0.0.1:${one} .*ECONNREFUSED.*localhost:${other} `))
    expect(error.message).toContain('Check that the brokers run')
  })

  it('has no such name is named', async () => {
    const app = numbered('unreachable', string)
    using state = temporaryDirectory()
    const error = await refusal(app.topology, quickly(['kafka.invalid:9092'], state.path))
    expect(error).toMatchObject({ code: 'BROKER_UNREACHABLE' })
    expect(error.message).toContain('kafka.invalid')
  })
})

describe('credentials', () => {
  const secret = 'correct-horse-battery'
  let kafka: JvmKafkaHandle

  beforeAll(async () => {
    kafka = await startKafka({
      backend: 'jvm',
      brokerSettings: {
        'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT',
        'sasl.enabled.mechanisms': 'PLAIN',
        'sasl.mechanism.inter.broker.protocol': 'PLAIN',
        'listener.name.plaintext.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="b" user_broker="b" user_worker="${secret}";`,
      },
    })
  })

  afterAll(async () => {
    await kafka?.stop()
  })

  const secured = (stateDir: string, password: string): SettingsInput & { stateDir: string } => ({
    ...quickly(kafka.brokers, stateDir),
    sasl: { mechanism: 'plain', username: 'worker', password },
    allowPlaintextPassword: true,
  })

  it('that are wrong are refused by the broker, and the password stays out of the message', async () => {
    const app = numbered('credentials', string)
    using state = temporaryDirectory()
    const error = await refusal(app.topology, secured(state.path, 'wrong-battery'))
    expect(error).toMatchObject({
      code: 'AUTHENTICATION_FAILED',
      where: { broker: kafka.brokers[0], mechanism: 'plain' },
    })
    expect(error.message).toMatch(/login of "worker".*Check sasl mechanism, user name and password/)
    expect(`${error.message}${JSON.stringify(error)}${error.stack}`).not.toContain('battery')
  })

  it('of a mechanism that the broker does not offer are told apart', async () => {
    const app = numbered('credentials', string)
    using state = temporaryDirectory()
    const error = await refusal(app.topology, {
      ...quickly(kafka.brokers, state.path),
      sasl: { mechanism: 'scram-sha-512', username: 'worker', password: secret },
    })
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', where: { mechanism: 'scram-sha-512' } })
  })

  it('that are missing are suspected where the broker closes the connection', async () => {
    const app = numbered('credentials', string)
    using state = temporaryDirectory()
    const error = await refusal(app.topology, quickly(kafka.brokers, state.path))
    expect(error.message).toContain(kafka.brokers[0])
    expect(error.message).toMatch(/SASL/i)
  })

  it('that are right let the worker in', async () => {
    const app = numbered('credentials', string)
    using state = temporaryDirectory()
    const error = await refusal(app.topology, secured(state.path, secret))
    // It got as far as the topics.
    expect(error.code).toBe('TOPIC_MISSING')
    const cluster = await connect({
      brokers: kafka.brokers,
      sasl: { mechanism: 'plain', username: 'worker', password: secret },
    })
    await cluster.close()
  })
})

describe('topics and settings', () => {
  let judge: Judge

  beforeAll(async () => {
    judge = await startJudge(kafkaBrokers())
  })

  afterAll(async () => {
    await judge?.stop()
  })

  it('names every topic that is missing', async () => {
    const app = numbered('missing', string)
    using state = temporaryDirectory()
    const both = await refusal(app.topology, quickly(kafkaBrokers(), state.path))
    expect(both).toMatchObject({ code: 'TOPIC_MISSING' })
    expect(both.message).toMatch(new RegExp(`${app.input}.*${app.output}.*Create the inputs and outputs`))
    await judge.createTopics({ name: app.input })
    const one = await refusal(app.topology, quickly(kafkaBrokers(), state.path))
    expect(one.message).toContain(app.output)
    expect(one.message).not.toContain(app.input)
    await judge.createTopics({ name: app.output })
    await judge.produce(app.input, [{ partition: 0, key: 'k', value: 'a' }])
    await using test = await startWorker(app.topology, quickly(kafkaBrokers(), state.path))
    await expect.poll(() => committedOffset(judge, app), { timeout: 10_000 }).toBe(1)
    expect(test.failure()).toBe(undefined)
  })

  it('names the internal topics that it may not make', async () => {
    const app = numbered('not-made', string)
    await createNumberedTopics(judge, app)
    using state = temporaryDirectory()
    const error = await refusal(app.topology, {
      ...quickly(kafkaBrokers(), state.path),
      createInternalTopics: false,
    })
    expect(error).toMatchObject({ code: 'TOPIC_MISSING', where: { setting: 'createInternalTopics' } })
    expect(error.message).toContain(`${app.changelog} (1 partitions)`)
  })

  it('names every mistake in the settings at once, with the nearest name', () => {
    const app = numbered('settings', string)
    using state = temporaryDirectory()
    const wrong = { ...quickly(kafkaBrokers(), state.path), comitIntervalMs: 5, requestTimeoutMs: -1 }
    let error: unknown
    try {
      testWorker(app.topology, wrong as SettingsInput & { stateDir: string })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code: 'SETTING_INVALID' })
    expect((error as Error).message).toMatch(/comitIntervalMs.*did you mean commitIntervalMs/)
    expect((error as Error).message).toContain('requestTimeoutMs')
  })
})
