// What a worker may not take its memory for: recoveries that fail halfway, memberships that end while others work, and
// rebalances in the middle of a commit. A proxy makes the trouble in front of a real broker; the Java consumer judges.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brokerAddress, type EachOnce, eachOnce, impatiently } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import {
  answerAgain,
  askToRejoin,
  asksForPositions,
  LostCommit,
  putOut,
  recoveryKeys,
} from '../support/lost-commit.ts'
import { outputOf, quickly } from '../support/numbered.ts'
import { apiKeys, KafkaProxy, type ProxyRules } from '../support/proxy.ts'
import { startWorker, type TestWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

const outcomes = ['applied', 'never arrived'] as const

/** Waits until the log has this text so many times. */
const untilSaid = async ({ log }: TestWorker, text: string, times = 1): Promise<void> =>
  await expect
    .poll(() => log.with(text).length, { timeout: 15_000, interval: 10 })
    .toBeGreaterThanOrEqual(times)

const groupOf = async (app: EachOnce): Promise<string[]> =>
  (await judge.describeGroup(app.applicationId)).members.map(({ instanceId }) => instanceId ?? '').sort()

/** How a recovery that fails at each of these says so. */
const halfwayCodes = {
  ListOffsets: 'REQUEST_TIMED_OUT',
  'OffsetFetch, answered as of the start': 'OFFSETS_UNSETTLED',
  'the fetch of the restore': 'RESTORE_INTERRUPTED',
} as const

/** What a recovery asks for, and how that one thing fails again and again. */
const halfways = {
  ListOffsets: () => ({
    request: (request) => (request.apiKey === recoveryKeys.ListOffsets ? 'cut' : 'pass'),
  }),
  /** As a coordinator may answer that has just moved (KAFKA-20416). */
  'OffsetFetch, answered as of the start': (app, kept) => ({
    answer: (request) =>
      asksForPositions(request, app) && kept !== undefined
        ? { replaceBy: answerAgain(kept, request) }
        : 'pass',
  }),
  'the fetch of the restore': (app) => ({
    request: ({ apiKey, bytes }) =>
      apiKey === apiKeys.Fetch && bytes.includes(app.changelog) ? 'cut' : 'pass',
    answer: ({ apiKey }, answer) =>
      apiKey === recoveryKeys.Heartbeat ? { replaceBy: askToRejoin(answer) } : 'pass',
  }),
} satisfies Record<string, (app: EachOnce, kept: Buffer | undefined) => ProxyRules>

describe.each(outcomes)('a commit without an answer (%s)', (outcome) => {
  /**
   * Lets the commit of up to 5 records be lost, the producer be initialised, and what follows fail until `act` returns.
   * @returns the worker after that, with nothing in its way
   */
  const loseCommit = async (
    halfway: keyof typeof halfways,
    act: (context: { app: EachOnce; test: TestWorker }) => Promise<void>,
  ): Promise<void> => {
    const app = await eachOnce(judge, 'halfway', 1)
    const trouble = new LostCommit(outcome)
    let kept: Buffer | undefined
    let released = false
    const failing = (): ProxyRules =>
      trouble.state === 'initialised' && !released ? halfways[halfway](app, kept) : {}
    const proxy = await KafkaProxy.start(brokerAddress(), {
      request: (request) => failing().request?.(request) ?? trouble.request(request),
      answer: (request, answer) => {
        if (asksForPositions(request, app)) kept ??= Buffer.from(answer)
        const verdict = trouble.answer(request, answer)
        return verdict === 'pass' ? (failing().answer?.(request, answer) ?? 'pass') : verdict
      },
    })
    using state = temporaryDirectory()
    await using test = await startWorker(app.topology, impatiently(proxy.address, state.path))
    await app.feed(3)
    await app.drained()
    trouble.state = 'armed'
    await app.feed(5)
    // The commit was not answered; and the recovery failed after it had initialised the producer.
    const codes = (): unknown[] => [
      ...test.log.with('the worker recovers').map(({ fields }) => fields['code']),
      ...test.log.with('the restore is interrupted').map(() => 'RESTORE_INTERRUPTED'),
    ]
    await expect.poll(codes, { timeout: 15_000, interval: 10 }).toContain(halfwayCodes[halfway])
    expect(codes()).toContain('OUTCOME_UNKNOWN')
    expect(trouble.state).toBe('initialised')
    // A commit may come due before all five are processed.
    const offset = async (): Promise<number> => (await app.offsets())[0] as number
    if (outcome === 'applied') await expect.poll(offset, { timeout: 20_000 }).toBeGreaterThan(3)
    const committed = await offset()
    if (outcome !== 'applied') expect(committed).toBe(3)
    await act({ app, test })
    released = true
    if (test.worker.state === 'closed') {
      // Neither taken back nor committed once more by the close.
      await expect.poll(offset, { timeout: 20_000 }).toBe(committed)
      expect(await outputOf(judge, app.output)).toHaveLength(committed)
    } else {
      await app.drained()
      await app.feed(3)
      await app.judged()
      expect(test.failure()).toBe(undefined)
      await test.worker.close()
    }
    // What the disk holds is right, too.
    await using next = await startWorker(app.topology, impatiently(proxy.address, state.path))
    await app.feed(2)
    await app.judged()
    expect(next.log.with('a store is rebuilt')).toEqual([])
    await next.worker.close()
    await proxy.stop()
  }

  it.each(Object.keys(halfways) as (keyof typeof halfways)[])(
    'is looked up again after a first try that failed at %s',
    async (halfway) => await loseCommit(halfway, async () => {}),
  )

  it.each(['ListOffsets', 'the fetch of the restore'] as const)(
    'is left alone by a close while its recovery fails at %s',
    async (halfway) => await loseCommit(halfway, ({ test }) => test.worker.close()),
  )

  it('is looked up when a second worker joins meanwhile', async () => {
    const app = await eachOnce(judge, 'joined', 4)
    const trouble = new LostCommit(outcome)
    const proxy = await KafkaProxy.start(brokerAddress(), {
      request: (request) => trouble.request(request),
      answer: (request, answer) => trouble.answer(request, answer),
    })
    using one = temporaryDirectory()
    using other = temporaryDirectory()
    // EndTxn is repeated for twice this: time enough for the other to join.
    const settings = { ...impatiently(proxy.address, one.path), requestTimeoutMs: 1000, instanceId: 'one' }
    await using first = await startWorker(app.topology, settings)
    await app.feed(3)
    await app.drained()
    trouble.state = 'armed'
    await app.feed(5)
    await untilSaid(first, 'EndTxn was not answered')
    await using second = testWorker(app.topology, {
      ...impatiently(brokerAddress(), other.path),
      instanceId: 'two',
    })
    await second.worker.start()
    const texts = first.log.lines.map(({ text }) => text)
    // It knew of the rebalance before it gave the commit up.
    expect(texts.indexOf('a heartbeat was answered')).toBeLessThan(texts.indexOf('the worker recovers'))
    expect(texts).toContain('a heartbeat was answered')
    await app.feed(4)
    await app.judged()
    expect(await groupOf(app)).toEqual(['one', 'two'])
    await second.worker.close({ leave: true })
    await app.feed(2)
    await app.judged()
    expect(first.failure()).toBe(undefined)
    await first.worker.close()
    await proxy.stop()
  })
})

const dropping = (...keys: readonly number[]): ProxyRules => ({
  request: ({ apiKey }) => (keys.includes(apiKey) ? 'drop' : 'pass'),
})
const groupKeys = [recoveryKeys.Heartbeat, recoveryKeys.JoinGroup, recoveryKeys.SyncGroup]
/** The worker learns nothing of its group, and has nothing to do. */
const cutOff = dropping(...groupKeys, apiKeys.Fetch)

describe('a worker that was out of the group while another did its work', () => {
  const run = async (
    by: 'an operator' | 'the session timeout',
    act: (context: { app: EachOnce; back: () => Promise<void>; second: TestWorker }) => Promise<void>,
    held: ProxyRules = cutOff,
  ): Promise<void> => {
    const app = await eachOnce(judge, 'away', 4)
    const proxy = await KafkaProxy.start(brokerAddress())
    using one = temporaryDirectory()
    using other = temporaryDirectory()
    await using first = await startWorker(app.topology, {
      ...impatiently(proxy.address, one.path),
      instanceId: 'one',
    })
    await app.feed(3)
    await app.drained()
    proxy.rules = held
    if (by === 'an operator') await putOut(app.applicationId, 'one')
    await using second = await startWorker(app.topology, {
      ...impatiently(brokerAddress(), other.path),
      instanceId: 'two',
    })
    // A static member that is silent stays for its session, also through a rebalance.
    await expect.poll(() => groupOf(app), { timeout: 20_000 }).toEqual(['two'])
    expect(first.worker.state).toBe('running')
    await app.feed(5)
    await app.drained()
    const back = async (): Promise<void> => {
      const joined = first.log.with('joined the group').length
      // Records come only after the join: a commit that is refused would warn it.
      proxy.rules = dropping(apiKeys.Fetch)
      proxy.cutAll()
      await untilSaid(first, 'joined the group', joined + 1)
      proxy.rules = {}
      await expect.poll(() => first.worker.state, { timeout: 10_000 }).toBe('running')
    }
    await act({ app, back, second })
    await app.feed(3)
    await app.judged()
    for (const test of [first, second]) expect(test.failure()).toBe(undefined)
    expect(await groupOf(app)).toEqual(['one'])
    await first.worker.close()
    await proxy.stop()
  }

  it('shares it, and takes over the rest later', async () => {
    await run('an operator', async ({ app, back, second }) => {
      await back()
      await app.feed(4)
      await app.judged()
      expect(await groupOf(app)).toEqual(['one', 'two'])
      await second.worker.close({ leave: true })
    })
  })

  it('takes all of it over from one that has left', async () => {
    await run('an operator', async ({ app, back, second }) => {
      await app.feed(2)
      await app.drained()
      await second.worker.close({ leave: true })
      await app.feed(4)
      await back()
    })
  })

  it('does not commit what it did meanwhile', async () => {
    // The first reads and processes what the second does, too.
    await run(
      'an operator',
      async ({ app, back, second }) => {
        await app.feed(6)
        await app.drained()
        await second.worker.close({ leave: true })
        await back()
      },
      dropping(...groupKeys),
    )
  })

  it('begins anew after its session has timed out', async () => {
    await run('the session timeout', async ({ back, second }) => {
      await second.worker.close({ leave: true })
      await back()
    })
  }, 40_000)

  it('begins anew when it missed a generation', async () => {
    const app = await eachOnce(judge, 'skipped', 4)
    const proxy = await KafkaProxy.start(brokerAddress())
    using one = temporaryDirectory()
    using other = temporaryDirectory()
    await using first = await startWorker(app.topology, {
      ...impatiently(proxy.address, one.path),
      instanceId: 'one',
      // Longer than all of this takes: it is not put out.
      sessionTimeoutMs: 40_000,
    })
    await app.feed(3)
    await app.drained()
    // The group gives up waiting for its JoinGroup, and the second is alone in the next generation.
    proxy.rules = { request: ({ apiKey }) => (apiKey === recoveryKeys.JoinGroup ? 'drop' : 'pass') }
    await using second = await startWorker(app.topology, {
      ...impatiently(brokerAddress(), other.path),
      instanceId: 'two',
    })
    await expect
      .poll(() => second.log.with('tasks assigned').at(-1)?.fields['tasks'], { timeout: 15_000 })
      .not.toBe('')
    await app.feed(5)
    await app.drained()
    proxy.rules = {}
    proxy.cutAll()
    await expect.poll(() => first.log.with('joined the group').length, { timeout: 20_000 }).toBeGreaterThan(1)
    await second.worker.close({ leave: true })
    await app.judged()
    const generations = first.log.with('joined the group').map(({ fields }) => Number(fields['generation']))
    expect(generations[0]).toBe(1)
    expect(generations[1]).toBeGreaterThan(2)
    await app.feed(2)
    await app.judged()
    expect(first.failure()).toBe(undefined)
    await first.worker.close()
    await proxy.stop()
  }, 60_000)
})

describe('InitProducerId that fails after the group was joined', () => {
  const withoutInit: ProxyRules = {
    request: ({ apiKey }) => (apiKey === apiKeys.InitProducerId ? 'cut' : 'pass'),
  }

  it('at the first start: the worker runs what it was assigned', async () => {
    const app = await eachOnce(judge, 'first-init', 3)
    const proxy = await KafkaProxy.start(brokerAddress(), withoutInit)
    using state = temporaryDirectory()
    await app.feed(4)
    await using test = testWorker(app.topology, impatiently(proxy.address, state.path))
    const started = test.worker.start()
    await untilSaid(test, 'the worker recovers')
    expect(test.worker.state).not.toBe('running')
    proxy.rules = {}
    await started
    await app.judged()
    const running = test.log.with('task running').map(({ fields }) => fields['task'])
    expect(running.sort()).toEqual(['0_0', '0_1', '0_2'])
    expect(test.log.with('joined the group')).toHaveLength(1)
    await test.worker.close()
    await proxy.stop()
  })

  it.each([
    ['stays', 2],
    ['leaves', 4],
  ] as const)('at a rejoin while another %s: the worker runs its %i tasks then', async (other, tasks) => {
    const app = await eachOnce(judge, 'next-init', 4)
    const proxy = await KafkaProxy.start(brokerAddress())
    using one = temporaryDirectory()
    using two = temporaryDirectory()
    await using first = await startWorker(app.topology, {
      ...impatiently(proxy.address, one.path),
      instanceId: 'one',
    })
    await app.feed(3)
    await app.drained()
    proxy.rules = cutOff
    await putOut(app.applicationId, 'one')
    await using second = await startWorker(app.topology, {
      ...impatiently(brokerAddress(), two.path),
      instanceId: 'two',
    })
    await app.feed(3)
    await app.drained()
    // It had all four tasks, and gets two of them.
    proxy.rules = withoutInit
    await untilSaid(first, 'the worker recovers')
    await app.feed(3)
    await expect
      .poll(async () => (await app.offsets()).sort((a, b) => a - b), { timeout: 10_000 })
      .toEqual([6, 6, 9, 9])
    if (other === 'leaves') {
      await second.worker.close({ leave: true })
      await untilSaid(first, 'joined the group', 3)
    }
    proxy.rules = {}
    await app.feed(2)
    await app.judged()
    const { members } = await judge.describeGroup(app.applicationId)
    const held = members.find(({ instanceId }) => instanceId === 'one')?.partitions
    expect(held).toHaveLength(tasks)
    const processed = first.worker.counts.processed
    await app.feed(5)
    await app.judged()
    expect(first.worker.counts.processed - processed).toBe(5 * tasks)
    for (const test of [first, second]) expect(test.failure()).toBe(undefined)
    await first.worker.close()
    await proxy.stop()
  })
})

it('two workers in one process join and leave while both work', async () => {
  const app = await eachOnce(judge, 'pair', 4)
  using one = temporaryDirectory()
  using other = temporaryDirectory()
  await using first = await startWorker(app.topology, {
    ...quickly([brokerAddress()], one.path),
    heartbeatIntervalMs: 100,
    instanceId: 'one',
  })
  let feeding = true
  const fed = (async () => {
    while (feeding) {
      await app.feed(3)
      await sleep(5)
    }
  })()
  await expect.poll(async () => Math.min(...(await app.offsets()))).toBeGreaterThan(10)
  await using second = await startWorker(app.topology, {
    ...quickly([brokerAddress()], other.path),
    heartbeatIntervalMs: 100,
    instanceId: 'two',
  })
  await expect.poll(() => second.worker.counts.processed, { timeout: 10_000 }).toBeGreaterThan(30)
  const before = first.worker.counts.processed
  await expect.poll(() => first.worker.counts.processed, { timeout: 10_000 }).toBeGreaterThan(before + 30)
  await first.worker.close({ leave: true })
  const later = second.worker.counts.processed
  await expect.poll(() => second.worker.counts.processed, { timeout: 10_000 }).toBeGreaterThan(later + 60)
  feeding = false
  await fed
  await app.judged()
  for (const test of [first, second]) expect(test.failure()).toBe(undefined)
  // Nothing was done twice: neither at the join nor at the leave was there anything to take back.
  expect(first.worker.counts.recovered + second.worker.counts.recovered).toBe(0)
})
