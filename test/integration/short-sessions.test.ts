// Sessions that end long before the transaction of their worker would time out: the leader of the group aborts what a
// worker that is gone left open, and nothing else. The Java clients judge.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { GroupMember } from '../../src/client/group-member.ts'
import type { SettingsInput } from '../../src/config/settings.ts'
import { createGroupProtocol } from '../../src/runtime/assignor.ts'
import { startCli, temporaryFolder, testModule } from '../support/cli.ts'
import { connect, inMs } from '../support/client.ts'
import { brokerAddress, type EachOnce, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { recoveryKeys } from '../support/lost-commit.ts'
import { quickly } from '../support/numbered.ts'
import { apiKeys, KafkaProxy, type ProxyRules, readEndTxn } from '../support/proxy.ts'
import { RawProducer } from '../support/raw-protocol.ts'
import { startWorker, type TestWorker, temporaryDirectory } from '../support/worker.ts'

const LIST_TRANSACTIONS = 66
const COORDINATOR_LOAD_IN_PROGRESS = 14
const CLUSTER_AUTHORIZATION_FAILED = 31
/** In a flexible answer: correlation id int32 · tags · throttle_time_ms int32 · error_code int16 */
const errorAt = 9

const sessionTimeoutMs = 6000
const transactionTimeoutMs = 60_000
/** From the death of a worker until its records are processed: its session, and not its transaction. */
const takeOverMs = sessionTimeoutMs + 6000

let judge: Judge
const opened: RawProducer[] = []

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

const settingsOf = (
  address: string,
  stateDir: string,
  instanceId: string,
): SettingsInput & { stateDir: string } => ({
  ...quickly([address], `${stateDir}/${instanceId}`),
  instanceId,
  sessionTimeoutMs,
  transactionTimeoutMs,
  rebalanceTimeoutMs: 4000,
  heartbeatIntervalMs: 200,
  requestTimeoutMs: 30_000,
})

/** A producer that has written a record and does nothing any more. */
const left = async (transactionalId: string, topic: string): Promise<RawProducer> => {
  const producer = await RawProducer.open(transactionalId, { timeoutMs: transactionTimeoutMs })
  opened.push(producer)
  expect(await producer.produce(topic, 0, ['left open'])).toBe('NONE')
  return producer
}

const stateOf = async (transactionalId: string): Promise<string | undefined> =>
  (await judge.describeTransactions(transactionalId))[0]?.state

const aborted = ({ log }: TestWorker): unknown[] =>
  log.with('left a transaction open').map(({ fields }) => fields['transactionalId'])

const untouched = ({ worker, failure }: TestWorker): void => {
  expect(failure()).toBe(undefined)
  const { counts } = worker
  expect({ aborted: counts.aborted, recovered: counts.recovered }).toEqual({ aborted: 0, recovered: 0 })
}

/** Holds requests until it is opened, or the test ends: made after the workers, it opens before they are closed. */
const closedGate = (): Disposable & { readonly opened: Promise<void>; open(): void } => {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve, [Symbol.dispose]: resolve }
}

const answerWith = (answer: Buffer, errorCode: number): Buffer => {
  const changed = Buffer.from(answer)
  changed.writeInt16BE(errorCode, errorAt)
  return changed
}

const partitionsOf = ({ log }: TestWorker): number[] =>
  String(log.with('tasks assigned').at(-1)?.fields['tasks'] ?? '')
    .split(' ')
    .filter(Boolean)
    .map((id) => Number(id.split('_')[1]))

const held = (test: TestWorker): number => partitionsOf(test).length

/** Of a worker as seen by the broker: it says nothing any more, and its commit is on its way for long. */
const silentInCommit = (
  released: Promise<void>,
): ProxyRules & { answers: number[]; began: Promise<void> } => {
  const reached = Promise.withResolvers<void>()
  const answers: number[] = []
  let silent = false
  return {
    answers,
    began: reached.promise,
    request: (request) => {
      if (silent) return request.apiKey === recoveryKeys.Heartbeat ? 'drop' : { until: released }
      if (request.apiKey !== apiKeys.EndTxn || !readEndTxn(request).committed) return 'pass'
      silent = true
      reached.resolve()
      return { until: released }
    },
    answer: ({ apiKey }, answer) => {
      if (apiKey === apiKeys.EndTxn && silent) answers.push(answer.readInt16BE(errorAt))
      return 'pass'
    },
  }
}

describe('a worker that is gone in the middle of its transaction', () => {
  it('is followed by another within its session, and its commit is refused when it comes back', async () => {
    const app = await eachOnce(judge, 'short-silent', 4)
    const proxy = await KafkaProxy.start(brokerAddress())
    using directory = temporaryDirectory()
    await using one = await startWorker(app.topology, settingsOf(proxy.address, directory.path, 'one'))
    await using two = await startWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'two'))
    using gate = closedGate()
    await expect.poll(() => [held(one), held(two)], { timeout: 15_000 }).toEqual([2, 2])
    await app.feed(3)
    await app.drained()
    const silent = silentInCommit(gate.opened)
    proxy.rules = silent
    await app.feed(3)
    await silent.began
    await app.drained(takeOverMs)
    expect(aborted(two)).toEqual([`${app.applicationId}.one.0`])
    expect(two.worker.status().takenOver).toBe(1)
    // The offsets of this commit were accepted; its end is late.
    gate.open()
    await expect.poll(() => silent.answers.length, { timeout: 5000 }).toBeGreaterThan(0)
    // INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE (it is aborted), PRODUCER_FENCED
    expect([47, 48, 90]).toContain(silent.answers[0])
    proxy.rules = {}
    await expect.poll(() => [held(one), held(two)], { timeout: 20_000 }).toEqual([2, 2])
    await app.feed(3)
    await app.judged()
    untouched(two)
    expect(one.failure()).toBe(undefined)
    for (const { worker } of [one, two]) await worker.close({ leave: true })
    await proxy.stop()
  }, 90_000)

  it('which is a process that stands still, and wakes up', async () => {
    const app = await eachOnce(judge, 'short-stop', 2)
    using directory = temporaryDirectory()
    const { brokers: _, stateDir: __, ...shared } = settingsOf('', '', 'one')
    const flags = Object.entries({
      ...shared,
      brokers: brokerAddress(),
      stateDir: temporaryFolder(),
    }).flatMap(([name, value]) => [
      `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      String(value),
    ])
    const one = startCli(['run', testModule('blocking.ts'), ...flags], {
      env: { TEST_NAME: app.applicationId, MILLSTREAM_FAULT: 'after-offset-commit:5:stop' },
    })
    await one.said('to=running')
    await using two = await startWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'two'))
    await expect.poll(() => held(two), { timeout: 15_000 }).toBe(1)
    while (!one.stderr.includes('SIGSTOP')) {
      await app.feed(2)
      await sleep(100)
    }
    await app.drained(takeOverMs)
    expect(aborted(two)).toEqual([`${app.applicationId}.one.0`])
    one.child.kill('SIGCONT')
    await expect.poll(() => held(two), { timeout: 20_000 }).toBe(1)
    await app.feed(3)
    await app.judged()
    untouched(two)
    one.child.kill('SIGTERM')
    expect((await one.ended).code).toBe(0)
    await two.worker.close({ leave: true })
  }, 90_000)
})

describe('what the leader leaves alone', () => {
  /** Any of them would die of it. */
  const strangers = ({ applicationId }: EachOnce): string[] => [
    `${applicationId}-eu.one.0`,
    `${applicationId}-eu.gone.0`,
    `${applicationId}.savepoint-import.0`,
    `${applicationId}.feeder`,
    `${applicationId}`,
  ]

  it('transactions of others, whatever they are called', async () => {
    const app = await eachOnce(judge, 'short-others', 2)
    using directory = temporaryDirectory()
    const others = await Promise.all(strangers(app).map((id) => left(id, app.output)))
    const gone = await left(`${app.applicationId}.gone.0`, app.output)
    await using one = await startWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'one'))
    await expect.poll(() => stateOf(gone.transactionalId), { timeout: 10_000 }).toBe('CompleteAbort')
    expect(aborted(one)).toEqual([gone.transactionalId])
    for (const other of others) expect((await other.end(true)).error).toBe('NONE')
    expect((await gone.end(true)).error).not.toBe('NONE')
    untouched(one)
    await one.worker.close({ leave: true })
  })

  it('a worker that is just starting, though the leader had not heard of it when it began to look', async () => {
    const app = await eachOnce(judge, 'short-starting', 4)
    const toLeader = await KafkaProxy.start(brokerAddress())
    const toNew = await KafkaProxy.start(brokerAddress())
    using directory = temporaryDirectory()
    const gone = await left(`${app.applicationId}.gone.0`, app.output)
    let [looked, sees, open] = [0, false, false]
    toLeader.rules = {
      answer: ({ apiKey }, answer) => {
        if (apiKey !== LIST_TRANSACTIONS || sees) return 'pass'
        looked++
        return { replaceBy: answerWith(answer, COORDINATOR_LOAD_IN_PROGRESS) }
      },
    }
    await using one = await startWorker(app.topology, settingsOf(toLeader.address, directory.path, 'one'))
    await expect.poll(() => looked).toBeGreaterThan(0)
    await using two = await startWorker(app.topology, settingsOf(toNew.address, directory.path, 'two'))
    await expect.poll(() => [held(one), held(two)], { timeout: 15_000 }).toEqual([2, 2])
    using gate = closedGate()
    toNew.rules = {
      request: ({ apiKey }) => {
        if (apiKey !== apiKeys.EndTxn) return 'pass'
        open = true
        return { until: gate.opened }
      },
    }
    await app.feed(3)
    await expect.poll(() => open, { timeout: 10_000 }).toBe(true)
    expect(await stateOf(`${app.applicationId}.two.0`)).toBe('Ongoing')
    sees = true
    await expect.poll(() => stateOf(gone.transactionalId), { timeout: 10_000 }).toBe('CompleteAbort')
    // Longer than the pause between two looks.
    await sleep(1200)
    expect(await stateOf(`${app.applicationId}.two.0`)).toBe('Ongoing')
    gate.open()
    await app.judged()
    expect(aborted(one)).toEqual([gone.transactionalId])
    for (const each of [one, two]) untouched(each)
    for (const { worker } of [one, two]) await worker.close({ leave: true })
    await toLeader.stop()
    await toNew.stop()
  }, 60_000)

  it('a worker of a generation that the leader has missed', async () => {
    const app = await eachOnce(judge, 'short-missed', 4)
    const toLeader = await KafkaProxy.start(brokerAddress())
    const toNew = await KafkaProxy.start(brokerAddress())
    using directory = temporaryDirectory()
    // Time for the group to go on without it, while it believes to be its leader.
    const settings = { ...settingsOf(toLeader.address, directory.path, 'one'), sessionTimeoutMs: 15_000 }
    let [deaf, sees, open] = [false, false, false]
    toLeader.rules = {
      request: ({ apiKey }) => (apiKey === recoveryKeys.Heartbeat && deaf ? 'drop' : 'pass'),
      answer: ({ apiKey }, answer) =>
        apiKey !== LIST_TRANSACTIONS || sees
          ? 'pass'
          : { replaceBy: answerWith(answer, COORDINATOR_LOAD_IN_PROGRESS) },
    }
    await using one = await startWorker(app.topology, settings)
    await using two = await startWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'two'))
    await expect.poll(() => [held(one), held(two)], { timeout: 15_000 }).toEqual([2, 2])
    await app.feed(1)
    await app.drained()
    deaf = true
    await two.worker.close({ leave: true })
    await using three = await startWorker(app.topology, settingsOf(toNew.address, directory.path, 'three'))
    expect(held(three)).toBe(2)
    using gate = closedGate()
    toNew.rules = {
      request: ({ apiKey }) => {
        if (apiKey !== apiKeys.EndTxn) return 'pass'
        open = true
        return { until: gate.opened }
      },
    }
    await app.feed(3, partitionsOf(three))
    await expect.poll(() => open, { timeout: 10_000 }).toBe(true)
    sees = true
    deaf = false
    await sleep(1500)
    expect(await stateOf(`${app.applicationId}.three.0`)).toBe('Ongoing')
    gate.open()
    await app.judged()
    expect(aborted(one)).toEqual([])
    untouched(three)
    for (const { worker } of [one, three]) await worker.close({ leave: true })
    await toLeader.stop()
    await toNew.stop()
  }, 60_000)

  it('everything, while a member does not say which transactions are its own', async () => {
    const app = await eachOnce(judge, 'short-old', 2)
    using directory = temporaryDirectory()
    await using one = await startWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'one'))
    const gone = await left(`${app.applicationId}.gone.0`, app.output)
    // A release that did not tell.
    const cluster = await connect()
    const protocol = createGroupProtocol({
      tasks: new Map(),
      topics: [app.input],
      guarantee: 'exactly_once',
      standbyReplicas: 0,
      standbyLagMax: 0,
      claim: () => ({ running: [], generation: -1, stored: {}, host: '' }),
    })
    const timeouts = { sessionTimeoutMs, rebalanceTimeoutMs: 4000, heartbeatIntervalMs: 200 }
    const settings = { ...timeouts, groupId: app.applicationId, instanceId: 'old' }
    const old = new GroupMember(cluster, nodePorts, settings, protocol, silentLogger, () => {})
    await old.join()
    await expect.poll(() => one.log.with('a member does not say').length, { timeout: 10_000 }).toBe(1)
    await sleep(1000)
    expect(await stateOf(gone.transactionalId)).toBe('Ongoing')
    await old.leave('test')
    await expect.poll(() => stateOf(gone.transactionalId), { timeout: 10_000 }).toBe('CompleteAbort')
    await cluster.close()
    untouched(one)
    await one.worker.close({ leave: true })
  })

  it('everything, with a session that is longer than any transaction', async () => {
    const app = await eachOnce(judge, 'long-session', 1)
    const proxy = await KafkaProxy.start(brokerAddress())
    let looked = 0
    proxy.rules = {
      request: ({ apiKey }) => {
        if (apiKey === LIST_TRANSACTIONS) looked++
        return 'pass'
      },
    }
    using directory = temporaryDirectory()
    const gone = await left(`${app.applicationId}.gone.0`, app.output)
    const settings = { ...settingsOf(proxy.address, directory.path, 'one'), sessionTimeoutMs: 70_001 }
    await using one = await startWorker(app.topology, settings)
    await app.feed(3)
    await app.drained()
    expect(looked).toBe(0)
    expect(await stateOf(gone.transactionalId)).toBe('Ongoing')
    await one.worker.close({ leave: true })
    await proxy.stop()
  })
})

it('a leader that may not list transactions says so once, and works', async () => {
  const app = await eachOnce(judge, 'short-denied', 1)
  const proxy = await KafkaProxy.start(brokerAddress())
  let looked = 0
  proxy.rules = {
    answer: ({ apiKey }, answer) => {
      if (apiKey !== LIST_TRANSACTIONS) return 'pass'
      looked++
      return { replaceBy: answerWith(answer, CLUSTER_AUTHORIZATION_FAILED) }
    },
  }
  using directory = temporaryDirectory()
  await using one = await startWorker(app.topology, settingsOf(proxy.address, directory.path, 'one'))
  await expect.poll(() => looked).toBe(1)
  await app.feed(3)
  await app.judged()
  await sleep(500)
  expect(looked).toBe(1)
  expect(one.log.with('may stay until it times out')).toHaveLength(1)
  untouched(one)
  await one.worker.close({ leave: true })
  await proxy.stop()
})

it('a leader whose first look is not answered looks again', async () => {
  const app = await eachOnce(judge, 'short-again', 1)
  const proxy = await KafkaProxy.start(brokerAddress())
  let looked = 0
  proxy.rules = {
    request: ({ apiKey }) => (apiKey === LIST_TRANSACTIONS && looked++ === 0 ? 'cut' : 'pass'),
  }
  using directory = temporaryDirectory()
  const gone = await left(`${app.applicationId}.gone.0`, app.output)
  const began = inMs(0)
  await using one = await startWorker(app.topology, settingsOf(proxy.address, directory.path, 'one'))
  await expect.poll(() => stateOf(gone.transactionalId), { timeout: 10_000 }).toBe('CompleteAbort')
  expect(inMs(0) - began).toBeLessThan(transactionTimeoutMs)
  expect(looked).toBeGreaterThan(1)
  await sleep(300)
  const last = looked
  await sleep(1200)
  expect(looked).toBe(last)
  untouched(one)
  await one.worker.close({ leave: true })
  await proxy.stop()
})

it('a leader that was restarted, and was given its old tasks without a rebalance, looks too', async () => {
  const app = await eachOnce(judge, 'short-restart', 1)
  using directory = temporaryDirectory()
  const settings = settingsOf(brokerAddress(), directory.path, 'one')
  {
    await using one = await startWorker(app.topology, settings)
    await one.worker.close()
  }
  const gone = await left(`${app.applicationId}.gone.0`, app.output)
  await using one = await startWorker(app.topology, settings)
  await expect.poll(() => stateOf(gone.transactionalId), { timeout: 10_000 }).toBe('CompleteAbort')
  expect(one.log.with('joined the group')[0]?.fields).toMatchObject({ generation: 1, isLeader: true })
  untouched(one)
  await one.worker.close({ leave: true })
})
