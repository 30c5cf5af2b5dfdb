// What the tasks of a worker hold across aborts, pauses and restarts: an empty input, a pause with a timer that is due, a
// processor that goes on after its record, and a tick whose transaction was aborted.
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { int64, output, processor, StreamRecord, store, string, topic, topology } from 'millstream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { SettingsInput } from '../../src/config/settings.ts'
import type { Topology } from '../../src/topology/contracts.ts'
import { brokerAddress, type EachOnce, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { uniqueTopic } from '../support/kafka.ts'
import { putOut, refuseOffsets } from '../support/lost-commit.ts'
import { outputOf, quickly } from '../support/numbered.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import { startWorker, type TestWorker, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

/** The static member of each test, so that a restart takes its place back. */
const settingsOf = (address: string, stateDir: string): SettingsInput & { stateDir: string } => ({
  ...quickly([address], stateDir),
  heartbeatIntervalMs: 100,
  instanceId: 'one',
})

/** A worker whose transactions can be aborted. */
const startTroubled = async (
  built: Topology,
  stateDir: string,
): Promise<{ test: TestWorker; proxy: KafkaProxy; abortNext: () => void }> => {
  let refusing = false
  const proxy = await KafkaProxy.start(brokerAddress(), {
    answer: ({ apiKey }, answer) => {
      if (!refusing || apiKey !== apiKeys.TxnOffsetCommit) return 'pass'
      refusing = false
      return { replaceBy: refuseOffsets(answer) }
    },
  })
  const test = await startWorker(built, settingsOf(proxy.address, stateDir))
  return {
    test,
    proxy,
    abortNext: () => {
      refusing = true
    },
  }
}

const seen = store('seen', { key: string, value: int64 })
const numbering = () =>
  processor({
    stores: [seen],
    outputs: output<string, string>(),
    process: (record: StreamRecord<string, string>, { stores, forward }) => {
      const number = (stores.seen.get(record.key) ?? 0) + 1
      stores.seen.put(record.key, number)
      forward(record.withValue(`${number}:${record.value}`))
    },
  })
const inputOf = (app: EachOnce) => topic(app.input, { key: string, value: string })
const outOf = (app: EachOnce) => topic(app.output, { key: string, value: string })

it('a task with an empty input goes on, also after an abort, a lost membership and a restart', async () => {
  const app = await eachOnce(judge, 'empty', 1)
  const empty = topic(uniqueTopic('empty-other'), { key: string, value: string })
  await judge.createTopics({ name: empty.name })
  const built = topology(app.applicationId, (t) => {
    t.stream(inputOf(app)).merge(t.stream(empty)).process(numbering()).to(outOf(app))
  })
  using state = temporaryDirectory()
  for (let life = 1; life <= 2; life++) {
    const { test, proxy, abortNext } = await startTroubled(built, state.path)
    await using closing = test
    await app.feed(3)
    await app.judged()
    abortNext()
    await app.feed(3)
    await app.judged()
    expect(closing.worker.counts.aborted).toBe(1)
    await putOut(app.applicationId, 'one')
    await expect
      .poll(() => test.log.with('joined the group').length, { timeout: 10_000, interval: 10 })
      .toBe(2)
    await app.feed(3)
    await app.judged()
    await test.worker.close()
    await proxy.stop()
  }
  await judge.produce(empty.name, [{ partition: 0, key: 'other', value: 'v1' }])
  await using last = await startWorker(built, settingsOf(brokerAddress(), state.path))
  const emptyOffset = async (): Promise<number | undefined> =>
    (await judge.groupOffsets(app.applicationId)).find((one) => one.topic === empty.name)?.offset
  await expect.poll(emptyOffset, { timeout: 10_000 }).toBe(1)
  expect(last.worker.counts.processed).toBe(1)
  expect((await outputOf(judge, app.output)).filter((value) => value === '1:v1')).toHaveLength(2)
})

it('a pause with a wall-clock punctuator that is due leaves the process free', async () => {
  const app = await eachOnce(judge, 'paused', 1)
  let ticks = 0
  const ticker = processor({
    outputs: output<string, string>(),
    init: ({ schedule }) => void schedule(20, 'wall-clock', () => void ticks++),
    process: (record: StreamRecord<string, string>, { forward }) => forward(record),
  })
  const built = topology(app.applicationId, (t) => {
    t.stream(inputOf(app)).process(ticker).process(numbering()).to(outOf(app))
  })
  using state = temporaryDirectory()
  await using test = await startWorker(built, settingsOf(brokerAddress(), state.path))
  await app.feed(3)
  await app.drained()
  await expect.poll(() => ticks).toBeGreaterThan(2)
  test.worker.pause()
  await sleep(100)
  const before = ticks
  await app.feed(3)
  const usage = process.cpuUsage()
  const startedMs = performance.now()
  for (let slept = 0; slept < 20; slept++) await sleep(25)
  const passedMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(usage)
  // A loop that spins lets timers through at best; it takes the whole of a core.
  expect((user + system) / 1000).toBeLessThan(passedMs / 2)
  expect(passedMs).toBeLessThan(2000)
  expect(ticks).toBe(before)
  expect(await app.offsets()).toEqual([3])
  test.worker.resume()
  await app.judged()
  await expect.poll(() => ticks).toBeGreaterThan(before)
  expect(test.failure()).toBe(undefined)
})

it('what a processor does after its record has ended is refused, and leaves nothing behind', async () => {
  const app = await eachOnce(judge, 'leak', 2)
  const codes: unknown[] = []
  const late = (act: () => void): void => {
    try {
      act()
      codes.push('no error')
    } catch (error) {
      codes.push((error as { code?: unknown }).code)
    }
  }
  const leaking = processor({
    stores: [seen],
    outputs: output<string, string>(),
    process: (record: StreamRecord<string, string>, { stores, forward }) => {
      const leak = (): void => {
        late(() => stores.seen.put('late', 1))
        late(() => stores.seen.put(record.key, 1000))
        late(() => void stores.seen.delete(record.key))
        late(() => forward(record.withValue('late')))
      }
      forward(record)
      void Promise.resolve().then(leak)
      setImmediate(leak)
      setTimeout(leak, 5)
    },
  })
  const built = topology(app.applicationId, (t) => {
    t.stream(inputOf(app)).process(numbering()).process(leaking).to(outOf(app))
  })
  using state = temporaryDirectory()
  const { test, proxy, abortNext } = await startTroubled(built, state.path)
  await using closing = test
  for (let round = 0; round < 10; round++) {
    if (round === 5) abortNext()
    await app.feed(3)
    await sleep(10)
  }
  await app.judged()
  expect(closing.worker.counts.aborted).toBe(1)
  await sleep(20)
  expect(codes.length).toBeGreaterThanOrEqual(10 * 3 * 2 * 3 * 4)
  expect([...new Set(codes)]).toEqual(['CONTEXT_EXPIRED'])
  await test.worker.close()
  await proxy.stop()
  // The store on the disk has none of it either.
  await using next = await startWorker(built, settingsOf(brokerAddress(), state.path))
  await app.feed(2)
  await app.judged()
  expect(next.log.with('a store is rebuilt')).toEqual([])
})

it('a wall-clock tick whose transaction was aborted comes again at once', async () => {
  const app = await eachOnce(judge, 'tick', 1)
  const intervalMs = 1500
  const calls: { readonly atMs: number; readonly count: number }[] = []
  const ticker = processor({
    stores: [seen],
    outputs: output<string, string>(),
    init: ({ schedule, stores, forward }) => {
      schedule(intervalMs, 'wall-clock', (time) => {
        const count = (stores.seen.get('ticks') ?? 0) + 1
        calls.push({ atMs: time, count })
        stores.seen.put('ticks', count)
        forward(StreamRecord.of({ key: 'ticks', value: `tick ${count}`, timestamp: time }))
      })
    },
    process: (_record: StreamRecord<string, string>) => {},
  })
  const built = topology(app.applicationId, (t) => {
    t.stream(inputOf(app)).process(ticker).to(outOf(app))
  })
  using state = temporaryDirectory()
  const { test, proxy, abortNext } = await startTroubled(built, state.path)
  await using closing = test
  await expect.poll(() => outputOf(judge, app.output), { timeout: 10_000 }).toEqual(['tick 1'])
  expect(calls).toHaveLength(1)
  abortNext()
  await expect.poll(() => calls.length, { timeout: 10_000, interval: 10 }).toBe(3)
  const [, aborted, again] = calls
  expect((again?.atMs ?? 0) - (aborted?.atMs ?? 0)).toBeLessThan(intervalMs / 2)
  expect(calls.map(({ count }) => count)).toEqual([1, 2, 2])
  await expect.poll(() => outputOf(judge, app.output), { timeout: 10_000 }).toEqual(['tick 1', 'tick 2'])
  const changes = (await judge.dump(app.changelog)).records.map(({ value }) =>
    Number(value?.readBigInt64BE()),
  )
  expect(changes).toEqual([1, 2])
  expect(await app.offsets()).toEqual([0])
  expect(closing.worker.counts.aborted).toBe(1)
  await test.worker.close()
  await proxy.stop()
})
