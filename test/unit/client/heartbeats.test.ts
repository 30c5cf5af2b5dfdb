// Which answers count, when heartbeats are sent, and what is told of it. The loop runs on a cluster and on timers that
// the test moves; the thread is in test/integration/heartbeat-thread.test.ts.
import { describe, expect, it } from 'vitest'
import type { TimerHandle, Timers } from '../../../src/base/ports.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { BeatOrder, HeartbeatCluster, Membership } from '../../../src/client/heartbeat-loop.ts'
import { type CarrierReports, Heartbeats, localHeartbeats } from '../../../src/client/heartbeats.ts'
import { MillstreamError } from '../../../src/errors.ts'
import { brokerErrors } from '../../../src/protocol/error-codes.ts'

const membership: Membership = {
  groupId: 'g',
  memberId: 'm',
  generationId: 7,
  instanceId: 'i',
  heartbeatIntervalMs: 1000,
  sessionTimeoutMs: 6000,
}

const codeOf = (name: string): number => brokerErrors.find((error) => error.name === name)?.code ?? Number.NaN

interface Sent {
  readonly atMs: number
  readonly request: unknown
  readonly timeoutMs: number | undefined
  answer(errorCode: number): Promise<void>
  fail(): Promise<void>
}

/** Lets what follows from a promise happen. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Heartbeats over a cluster that does what the test says, with a clock that it moves. */
const scene = (requestTimeoutMs = 10_000) => {
  let now = 0
  let timers: { callback: () => void; dueMs: number }[] = []
  const fake: Timers = {
    ...nodePorts.timers,
    set: (callback, delayMs) => {
      const timer = { callback, dueMs: now + delayMs }
      timers.push(timer)
      return timer
    },
    clear: (handle: TimerHandle) => {
      timers = timers.filter((one) => one !== handle)
    },
  }
  const sent: Sent[] = []
  const calls: string[] = []
  let coordinator: () => Promise<number> = () => Promise.resolve(3)
  const cluster = {
    requestTimeoutMs,
    coordinator: () => coordinator(),
    forgetCoordinator: () => void calls.push('forget'),
    refreshMetadata: () => Promise.resolve(void calls.push('refresh')),
    send: (_node: number, role: string, _api: unknown, request: unknown, options: { timeoutMs?: number }) => {
      const { promise, resolve, reject } = Promise.withResolvers<{ errorCode: number }>()
      expect(role).toBe('group')
      sent.push({
        atMs: now,
        request,
        timeoutMs: options.timeoutMs,
        answer: (errorCode) => {
          resolve({ errorCode })
          return settle()
        },
        fail: () => {
          reject(new MillstreamError('CONNECTION_LOST', { what: 'it broke' }))
          return settle()
        },
      })
      return promise
    },
  } as unknown as HeartbeatCluster
  const heartbeats = localHeartbeats(cluster, {
    clock: { now: () => 1_000_000 + now, monotonic: () => now },
    timers: fake,
  })
  const told: unknown[] = []
  heartbeats.listen({
    answered: (errorCode, sentAtMs) => told.push(['answered', errorCode, sentAtMs - 1_000_000]),
    unanswered: (cause) => told.push(['unanswered', cause]),
    ended: () => told.push('ended'),
  })
  return {
    heartbeats,
    sent,
    calls,
    told,
    loseCoordinator: () => {
      coordinator = () => Promise.reject(new MillstreamError('CONNECTION_LOST', { what: 'none' }))
    },
    pass: async (ms: number): Promise<void> => {
      now += ms
      const due = timers.filter(({ dueMs }) => dueMs <= now)
      timers = timers.filter(({ dueMs }) => dueMs > now)
      for (const { callback } of due) callback()
      await settle()
    },
  }
}

describe('heartbeats', () => {
  it('are sent after each interval, counted from the sending', async () => {
    const { heartbeats, sent, told, pass } = scene()
    heartbeats.start(membership)
    await pass(999)
    expect(sent).toHaveLength(0)
    await pass(1)
    expect(sent[0]).toMatchObject({
      request: { groupId: 'g', memberId: 'm', generationId: 7, groupInstanceId: 'i' },
      timeoutMs: 2000,
    })
    await pass(400)
    await sent[0]?.answer(0)
    // When it was sent, not when it was answered.
    expect(told).toEqual([['answered', 0, 1000]])
    await pass(599)
    expect(sent).toHaveLength(1)
    await pass(1)
    expect(sent).toHaveLength(2)
  })

  it('are repeated soon when one is not answered, and look for the coordinator anew', async () => {
    const { heartbeats, sent, calls, told, pass } = scene(700)
    heartbeats.start(membership)
    await pass(1000)
    expect(sent[0]?.timeoutMs).toBe(700)
    await sent[0]?.fail()
    expect(calls).toEqual(['forget'])
    expect(told).toEqual([['unanswered', expect.stringContaining('it broke')]])
    await pass(500)
    expect(sent).toHaveLength(2)
  })

  it('ask for the brokers again when no coordinator is found', async () => {
    const { heartbeats, sent, calls, told, pass, loseCoordinator } = scene()
    loseCoordinator()
    heartbeats.start(membership)
    await pass(1000)
    expect(sent).toHaveLength(0)
    expect(calls).toEqual(['refresh'])
    expect(told).toHaveLength(1)
  })

  it.each([
    ['REBALANCE_IN_PROGRESS', true],
    ['COORDINATOR_LOAD_IN_PROGRESS', true],
    ['NOT_COORDINATOR', true],
    ['UNKNOWN_MEMBER_ID', false],
    ['ILLEGAL_GENERATION', false],
    ['FENCED_INSTANCE_ID', false],
    ['GROUP_AUTHORIZATION_FAILED', false],
  ])('go on after %s: %s, without a word from the main thread', async (name, goesOn) => {
    const { heartbeats, sent, calls, told, pass } = scene()
    heartbeats.start(membership)
    await pass(1000)
    await sent[0]?.answer(codeOf(name))
    expect(told).toEqual([['answered', codeOf(name), 1000]])
    await pass(1000)
    expect(sent).toHaveLength(goesOn ? 2 : 1)
    expect(calls).toEqual(name === 'NOT_COORDINATOR' ? ['forget'] : [])
  })

  it('that are stopped are not sent, and an answer to one on its way changes nothing', async () => {
    const { heartbeats, sent, told, pass } = scene()
    heartbeats.start(membership)
    await pass(1000)
    heartbeats.stop()
    await sent[0]?.answer(codeOf('UNKNOWN_MEMBER_ID'))
    heartbeats.start({ ...membership, generationId: 8 })
    await pass(999)
    expect([sent.length, told]).toEqual([1, []])
    await pass(1)
    expect(sent[1]?.request).toMatchObject({ generationId: 8 })
  })
})

describe('verify', () => {
  it('takes the answer to a heartbeat that was sent after the call', async () => {
    const { heartbeats, sent, told, pass } = scene()
    heartbeats.start(membership)
    await pass(1000)
    let verified: boolean | undefined
    void heartbeats.verify(membership).then((answered) => {
      verified = answered
    })
    await settle()
    expect(sent).toHaveLength(2)
    await sent[0]?.answer(0)
    expect([verified, told]).toEqual([undefined, []])
    await sent[1]?.answer(0)
    expect([verified, told]).toEqual([true, [['answered', 0, 1000]]])
    await pass(1000)
    expect(sent).toHaveLength(3)
  })

  it.each(['no answer', 'a stop', 'another call'] as const)('is false after %s', async (what) => {
    const { heartbeats, sent } = scene()
    const verified = heartbeats.verify(membership)
    await settle()
    if (what === 'no answer') await sent[0]?.fail()
    if (what === 'a stop') heartbeats.stop()
    if (what === 'another call') void heartbeats.verify(membership)
    expect(await verified).toBe(false)
  })
})

describe('a carrier', () => {
  const carried = () => {
    const orders: (BeatOrder | 'stop')[] = []
    let reports: CarrierReports | undefined
    const heartbeats = new Heartbeats((given) => {
      reports = given
      return {
        beat: (order) => void orders.push(order),
        stop: () => void orders.push('stop'),
        close: () => Promise.resolve(),
      }
    })
    const told: unknown[] = []
    heartbeats.listen({
      answered: (errorCode) => told.push(errorCode),
      unanswered: (cause) => told.push(cause),
      ended: () => told.push('ended'),
    })
    return { heartbeats, orders, told, reports: reports as CarrierReports }
  }

  it('that reports of an older order is not heard', () => {
    const { heartbeats, orders, told, reports } = carried()
    heartbeats.start(membership)
    const first = orders.at(-1) as BeatOrder
    heartbeats.start(membership)
    reports.answered(first.id, 25, 0)
    reports.unanswered(first.id, 'cause')
    reports.gaveUp(first.id)
    expect(told).toEqual([])
    reports.answered((orders.at(-1) as BeatOrder).id, 0, 0)
    expect(told).toEqual([0])
  })

  it('that gave up has ended the membership, and takes the next one', () => {
    const { heartbeats, orders, told, reports } = carried()
    heartbeats.start(membership)
    reports.gaveUp((orders.at(-1) as BeatOrder).id)
    expect([told, orders.at(-1)]).toEqual([['ended'], 'stop'])
    heartbeats.start(membership)
    expect(orders.at(-1)).toMatchObject({ membership, atOnce: false })
    expect(heartbeats.failure).toBe(undefined)
  })

  it('that failed ends each membership, also one that begins later', async () => {
    const { heartbeats, told, reports } = carried()
    const verified = heartbeats.verify(membership)
    const failure = new MillstreamError('HEARTBEATS_ENDED', { what: 'gone' })
    reports.failed(failure)
    expect(await verified).toBe(false)
    expect([told, heartbeats.failure]).toEqual([['ended'], failure])
    heartbeats.start(membership)
    expect(told).toEqual(['ended', 'ended'])
    expect(await heartbeats.verify(membership)).toBe(false)
  })
})
