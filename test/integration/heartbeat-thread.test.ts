// The life of the thread that sends the heartbeats: it begins and ends with its worker, and a worker whose thread dies
// knows of it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Ports, Thread, Threads } from '../../src/base/ports.ts'
import { createWorker, type Worker } from '../../src/runtime/create-worker.ts'
import { brokerAddress, type EachOnce, eachOnce, impatiently } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { KeptLog, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

/** The ports of the process, which keep the threads that were started and count those that ended as asked. */
const watchedPorts = () => {
  const started: Thread[] = []
  let ended = 0
  const real = nodePorts.threads as Threads
  const threads: Threads = {
    start: (module, data, listener) => {
      const thread = real.start(module, data, listener)
      const kept: Thread = {
        post: (message) => thread.post(message),
        end: async () => {
          await thread.end()
          ended++
        },
      }
      started.push(kept)
      return kept
    },
  }
  const ports: Ports = { ...nodePorts, threads }
  return { ports, started, ended: () => ended }
}

interface Watched {
  readonly worker: Worker
  readonly log: KeptLog
}

const workerOf = (app: EachOnce, ports: Ports, settings: ReturnType<typeof impatiently>): Watched => {
  const log = new KeptLog()
  return { worker: createWorker(app.topology, settings, { ports, log }), log }
}

describe('the thread of the heartbeats', () => {
  it('ends with its worker', async () => {
    const app = await eachOnce(judge, 'thread', 1)
    const { ports, started, ended } = watchedPorts()
    using state = temporaryDirectory()
    const { worker, log } = workerOf(app, ports, impatiently(brokerAddress(), state.path))
    await worker.start()
    await app.feed(3)
    await app.judged()
    expect(log.with('the main thread')).toEqual([])
    expect([started.length, ended()]).toEqual([1, 0])
    await worker.close()
    expect(ended()).toBe(1)
  })

  it('ends when the start fails', async () => {
    const app = await eachOnce(judge, 'thread-start', 1)
    const { ports, started, ended } = watchedPorts()
    using state = temporaryDirectory()
    // The broker takes half an hour at most.
    const settings = {
      ...impatiently(brokerAddress(), state.path),
      sessionTimeoutMs: 7_200_000,
      maxPollIntervalMs: 7_200_000,
    }
    await expect(workerOf(app, ports, settings).worker.start()).rejects.toThrow(/INVALID_SESSION_TIMEOUT/)
    await expect.poll(() => [started.length, ended()]).toEqual([1, 1])
  })

  it('that dies stops its worker, with an error that says so', async () => {
    const app = await eachOnce(judge, 'thread-death', 1)
    const { ports, started } = watchedPorts()
    using state = temporaryDirectory()
    const { worker } = workerOf(app, ports, impatiently(brokerAddress(), state.path))
    const stopped = expect(worker.finished).rejects.toMatchObject({
      code: 'HEARTBEATS_ENDED',
      cause: { message: expect.stringContaining('atOnce') },
    })
    await worker.start()
    await app.feed(3)
    await app.drained()
    // An order without its contents: the thread throws.
    started[0]?.post({ kind: 'beat' })
    await stopped
    expect(worker.state).toBe('failed')
    await app.feed(2)
    const next = workerOf(app, nodePorts, impatiently(brokerAddress(), state.path))
    await next.worker.start()
    await app.judged()
    await next.worker.close()
  })

  it('is done without where its settings cannot be copied, which is said', async () => {
    const app = await eachOnce(judge, 'thread-less', 1)
    const { ports, started } = watchedPorts()
    using state = temporaryDirectory()
    const threads: Threads = {
      // As with a function among the options of tls.
      start: (module, data, listener) =>
        (ports.threads as Threads).start(module, { data, check: () => true }, listener),
    }
    const { worker, log } = workerOf(app, { ...ports, threads }, impatiently(brokerAddress(), state.path))
    await worker.start()
    await app.feed(3)
    await app.judged()
    expect(log.with('heartbeats are sent by the main thread')).toHaveLength(1)
    expect(started).toHaveLength(0)
    await worker.close()
  })
})
