// Bugs that others had, each as a test with its name: transactions, generations and fetching. Those of restores are in
// regressions-restore.test.ts.
//
// Not here, since what they are about does not exist yet:
//   wolverine#1725  the window of a deduplication that is lost on restart: no deduplication
//   wolverine#3476  the order of a key behind a dead letter queue: the policies are fail, retry and skip
//   restate sdk#454  the result of an effect that does not come back as it was: no effects
// The LSO under-read of kafka-flow#850 and the loop of streamiz#175 are among the restores; how fetches that begin at any
// marker fare in thousands of interleavings (platformatic#391) is in abort-filter.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { string, topic, topology } from 'millstream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brokerAddress, eachOnce, impatiently } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { createNumberedTopics, numbered, outputOf, quickly, untilCommitted } from '../support/numbered.ts'
import { recoveryKeys } from '../support/lost-commit.ts'
import { apiKeys, KafkaProxy, limitVersion, type ProxiedRequest } from '../support/proxy.ts'
import { below, runSeed, seededRandom } from '../support/random.ts'
import { RawProducer } from '../support/raw-protocol.ts'
import { startWorker, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

// Fetching

it('quix#1114: a source offset that retention has passed stops the worker with the range that is there', async () => {
  const app = await eachOnce(judge, 'retention', 1)
  using state = temporaryDirectory()
  const settings = quickly([brokerAddress()], state.path)
  {
    await using test = await startWorker(app.topology, settings)
    await app.feed(3)
    await app.judged()
    await test.worker.close()
  }
  await app.feed(5)
  await judge.deleteRecords(app.input, 0, 6)
  await using test = await startWorker(app.topology, settings)
  expect(await test.failed()).toMatchObject({
    code: 'OFFSET_OUT_OF_RANGE',
    where: { topic: app.input, partition: 0, offset: 3, logStartOffset: 6, highWatermark: 8 },
  })
  // Nothing is skipped behind anybody's back.
  expect(await app.offsets()).toEqual([3])
  expect(await outputOf(judge, app.output)).toEqual(['1:v1', '2:v2', '3:v3'])
})

it('quix#1124: no partition stays behind after a time in which the broker mostly did not answer', async () => {
  const seed = runSeed()
  console.log(`stopped partitions: MILLSTREAM_SEED=${seed}`)
  const random = seededRandom(seed)
  const app = await eachOnce(judge, 'stopped', 6)
  const proxy = await KafkaProxy.start(brokerAddress())
  using state = temporaryDirectory()
  await using test = await startWorker(app.topology, impatiently(proxy.address, state.path))
  await app.feed(3)
  await app.drained()
  const troubled = new Set<number>([apiKeys.Fetch, apiKeys.Metadata, apiKeys.FindCoordinator])
  const often = ({ apiKey }: ProxiedRequest): 'pass' | 'drop' | 'cut' =>
    troubled.has(apiKey) && below(random, 3) > 0 ? (below(random, 2) === 0 ? 'drop' : 'cut') : 'pass'
  proxy.rules = { request: often, answer: often }
  for (let round = 0; round < 20; round++) {
    await app.feed(2, [round % 6, (round + 3) % 6])
    await sleep(150)
  }
  proxy.rules = {}
  await app.feed(2)
  await app.judged()
  expect(test.failure()).toBe(undefined)
  await test.worker.close()
  await proxy.stop()
})

it('platformatic#391: a fetch that begins at the marker of an abort shows nothing of what was aborted', async () => {
  const app = numbered('at-marker', string)
  await createNumberedTopics(judge, app)
  const producer = await judge.openProducer({ transactionalId: app.applicationId })
  for (const [value, ending] of [
    ['a', 'commit'],
    ['ABORTED', 'abort'],
    ['b', 'commit'],
    ['ABORTED', 'abort'],
  ] as const) {
    await producer.begin()
    await producer.send(app.input, [{ partition: 0, key: 'k', value }])
    await producer[ending]()
  }
  await producer.close()
  // 0 a · 1 marker · 2 aborted · 3 marker · 4 b · 5 marker · 6 aborted · 7 marker
  await judge.setGroupOffsets(app.applicationId, [{ topic: app.input, partition: 0, offset: 3 }])
  using state = temporaryDirectory()
  await using test = await startWorker(app.topology, quickly([brokerAddress()], state.path))
  await untilCommitted(judge, app, 8)
  expect(await outputOf(judge, app.output)).toEqual(['1:b'])
  expect(test.failure()).toBe(undefined)
})

// Generations and fences

it('quix#1131: a commit that takes longer than a rebalance may is not made under the old generation', async () => {
  const app = await eachOnce(judge, 'long-revoke', 4)
  const proxy = await KafkaProxy.start(brokerAddress())
  using one = temporaryDirectory()
  using other = temporaryDirectory()
  const patient = {
    requestTimeoutMs: 6000,
    transactionTimeoutMs: 8000,
    sessionTimeoutMs: 20_000,
    rebalanceTimeoutMs: 1500,
  }
  await using first = await startWorker(app.topology, {
    ...impatiently(proxy.address, one.path),
    ...patient,
    instanceId: 'one',
  })
  await app.feed(3)
  await app.drained()
  // Its offsets arrive when the others have gone on without it, which it did not hear of.
  let held = 0
  proxy.rules = {
    request: ({ apiKey }) => {
      if (apiKey === recoveryKeys.Heartbeat) return 'drop'
      return apiKey === apiKeys.TxnOffsetCommit && held++ === 0 ? { delayMs: 3500 } : 'pass'
    },
  }
  await app.feed(5)
  await expect.poll(() => held).toBe(1)
  await using second = await startWorker(app.topology, {
    ...impatiently(brokerAddress(), other.path),
    ...patient,
    instanceId: 'two',
  })
  await expect.poll(() => first.log.with('the membership is over').length, { timeout: 10_000 }).toBe(1)
  proxy.rules = {}
  await app.feed(3)
  await app.judged()
  for (const test of [first, second]) expect(test.failure()).toBe(undefined)
  await first.worker.close()
  await proxy.stop()
})

/** TxnOffsetCommit v3+: header with client id and tags · transactional id, group · id int64, epoch int16 · generation int32 · member */
const memberOf = ({ bytes }: ProxiedRequest): { generation: number; member: string } => {
  let at = 10 + bytes.readInt16BE(8) + 1
  for (let skipped = 0; skipped < 2; skipped++) at += bytes.readUInt8(at)
  const member = at + 14
  return {
    generation: bytes.readInt32BE(at + 10),
    member: bytes.toString('utf8', member + 1, member + bytes.readUInt8(member)),
  }
}

it('kafka-flow#854: every commit carries the generation and the member of the day, never -1', async () => {
  const app = await eachOnce(judge, 'generation', 4)
  const commits: { generation: number; member: string }[] = []
  const proxy = await KafkaProxy.start(brokerAddress(), {
    request: (request) => {
      if (request.apiKey === apiKeys.TxnOffsetCommit) commits.push(memberOf(request))
      return 'pass'
    },
  })
  using one = temporaryDirectory()
  using other = temporaryDirectory()
  await using first = await startWorker(app.topology, {
    ...impatiently(proxy.address, one.path),
    instanceId: 'one',
  })
  await app.feed(3)
  await app.drained()
  await using second = await startWorker(app.topology, {
    ...impatiently(brokerAddress(), other.path),
    instanceId: 'two',
  })
  await app.feed(3)
  await app.drained()
  await second.worker.close({ leave: true })
  await expect.poll(() => first.log.with('joined the group').length, { timeout: 10_000 }).toBe(3)
  await app.feed(3)
  await app.judged()
  const joined = first.log
    .with('joined the group')
    .map(({ fields }) => ({ generation: fields['generation'], member: fields['member'] }))
  const distinct = [...new Map(commits.map((one) => [`${one.generation} ${one.member}`, one])).values()]
  // One in which tasks are handed over may be too short for a commit.
  expect(joined).toEqual(expect.arrayContaining(distinct))
  expect([distinct[0], distinct.at(-1)]).toEqual([joined[0], joined.at(-1)])
  await first.worker.close()
  await proxy.stop()
})

it('spring-kafka#1424: a worker that was fenced in the middle of a transaction does not finish it', async () => {
  const app = await eachOnce(judge, 'fenced', 2)
  const proxy = await KafkaProxy.start(brokerAddress())
  using state = temporaryDirectory()
  const settings = { ...quickly([proxy.address], state.path), instanceId: 'one' }
  await using test = await startWorker(app.topology, settings)
  await app.feed(3)
  await app.drained()
  let held = 0
  proxy.rules = {
    request: ({ apiKey }) =>
      apiKey === apiKeys.TxnOffsetCommit && held++ === 0 ? { delayMs: 1500 } : 'pass',
  }
  await app.feed(5)
  await expect.poll(() => held).toBe(1)
  // Its records are in the log, its offsets on the way: now somebody takes its transactional id.
  const thief = await RawProducer.open(`${app.applicationId}.one.0`)
  await thief.close()
  await app.feed(4)
  await app.judged()
  expect(test.log.with('the worker recovers').map(({ fields }) => fields['code'])).toEqual([
    'PRODUCER_FENCED',
  ])
  await app.feed(2)
  await app.judged()
  expect(test.failure()).toBe(undefined)
  await test.worker.close()
  await proxy.stop()
})

it('kafkajs#1396: a processor that blocks the loop keeps its tasks, and nothing is done twice', async () => {
  const app = await eachOnce(judge, 'blocking', 4)
  using one = temporaryDirectory()
  using other = temporaryDirectory()
  const start = (stateDir: string, instanceId: string): ReturnType<typeof startWorker> =>
    startWorker(app.topology, {
      ...impatiently(brokerAddress(), stateDir),
      requestTimeoutMs: 5000,
      // Longer than the processor blocks: the transaction of the other worker is open then, and the broker, which looks
      // every 10 s, would abort it in one run of seven.
      transactionTimeoutMs: 30_000,
      instanceId,
    })
  await using first = await start(one.path, 'one')
  await using second = await start(other.path, 'two')
  await app.feed(3)
  await app.drained()
  const joined = [first, second].map(({ worker }) => worker.counts.rebalanced)
  app.before = ({ key, value }) => {
    if (key !== 'k0' || value !== 'v5') return
    for (const began = performance.now(); performance.now() - began < 3000; );
  }
  await app.feed(6)
  await app.judged()
  expect([first, second].map(({ worker }) => worker.counts.rebalanced)).toEqual(joined)
  for (const { worker } of [first, second]) expect(worker.counts).toMatchObject({ aborted: 0, recovered: 0 })
})

// Transactions

describe.each([2, 1])('with version %i of transactions', (version) => {
  it('kafkajs#1355: a transaction of which the broker knows nothing is aborted, and the next one commits', async () => {
    const app = numbered('nothing-sent', string)
    await createNumberedTopics(judge, app)
    const built = topology(app.applicationId, (t) => {
      t.stream(topic(app.input, { key: string, value: string })).process({ process: () => {} })
    })
    const offsetKeys = new Set<number>([apiKeys.AddOffsetsToTxn, apiKeys.TxnOffsetCommit])
    let troubled = false
    const proxy = await KafkaProxy.start(brokerAddress(), {
      request: ({ apiKey }) => (troubled && offsetKeys.has(apiKey) ? 'cut' : 'pass'),
      answer: (request, answer) =>
        version === 1 && request.apiKey === apiKeys.ApiVersions
          ? { replaceBy: limitVersion(answer, apiKeys.TxnOffsetCommit, 4) }
          : 'pass',
    })
    using state = temporaryDirectory()
    await using test = await startWorker(built, impatiently(proxy.address, state.path))
    await judge.produce(app.input, [{ partition: 0, key: 'k', value: 'a' }])
    await untilCommitted(judge, app, 1)
    troubled = true
    await judge.produce(app.input, [{ partition: 0, key: 'k', value: 'b' }])
    await expect.poll(() => test.worker.counts.aborted, { timeout: 15_000 }).toBeGreaterThan(0)
    troubled = false
    await untilCommitted(judge, app, 2)
    await judge.produce(app.input, [{ partition: 0, key: 'k', value: 'c' }])
    await untilCommitted(judge, app, 3)
    expect(test.failure()).toBe(undefined)
    await test.worker.close()
    await proxy.stop()
  })
})

it.each(['exactly_once', 'at_least_once'] as const)(
  'dbos-py#733, wolverine#1708: no offset is committed before its work is durable (%s)',
  async (guarantee) => {
    const app = await eachOnce(judge, 'durable', 2)
    const proxy = await KafkaProxy.start(brokerAddress())
    using state = temporaryDirectory()
    await using test = await startWorker(app.topology, { ...quickly([proxy.address], state.path), guarantee })
    await app.feed(3)
    await app.drained()
    const commitKeys = new Set<number>([apiKeys.TxnOffsetCommit, apiKeys.OffsetCommit])
    const unanswered = new Set<number>()
    const early: number[] = []
    proxy.rules = {
      request: ({ apiKey, correlationId }) => {
        if (apiKey === apiKeys.Produce) unanswered.add(correlationId)
        if (commitKeys.has(apiKey) && unanswered.size > 0) early.push(correlationId)
        return 'pass'
      },
      answer: ({ apiKey, correlationId }) => {
        if (apiKey !== apiKeys.Produce) return 'pass'
        // A little less than until the worker has the answer.
        setTimeout(() => unanswered.delete(correlationId), 190)
        return { delayMs: 200 }
      },
    }
    for (let round = 0; round < 4; round++) {
      const before = await app.offsets()
      await app.feed(2)
      await sleep(100)
      expect(await app.offsets()).toEqual(before)
      await app.drained()
    }
    expect(early).toEqual([])
    await app.judged()
    expect(test.failure()).toBe(undefined)
    await test.worker.close()
    await proxy.stop()
  },
)

it('flink-connector-kafka#238: what a crash left open does not block readers once the worker is back', async () => {
  const app = await eachOnce(judge, 'left-open', 1)
  await app.feed(4)
  const crashed = await RawProducer.open(`${app.applicationId}.one.0`)
  expect(await crashed.produce(app.output, 0, ['left open'])).toBe('NONE')
  expect(await crashed.commitOffsets(app.applicationId, app.input, { 0: 2 })).toBe('NONE')
  await crashed.close()
  const open = async (): Promise<boolean> =>
    (await judge.offsets(app.output)).some(({ lastStable, highWatermark }) => lastStable < highWatermark)
  expect(await open()).toBe(true)
  using state = temporaryDirectory()
  const began = performance.now()
  await using test = await startWorker(app.topology, {
    ...quickly([brokerAddress()], state.path),
    instanceId: 'one',
  })
  await app.judged()
  // Its own timeout is a minute.
  expect(performance.now() - began).toBeLessThan(20_000)
  await expect.poll(open).toBe(false)
  const ours = (await judge.listTransactions()).filter(({ transactionalId }) =>
    transactionalId.startsWith(`${app.applicationId}.`),
  )
  expect(ours.map(({ state: at }) => at)).not.toContain('Ongoing')
  expect(test.failure()).toBe(undefined)
})
