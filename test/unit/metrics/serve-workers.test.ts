import { afterEach, describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { type ServedPort, serveWorkers } from '../../../src/metrics/serve-workers.ts'
import type { Worker } from '../../../src/runtime/create-worker.ts'
import type { WorkerStatus } from '../../../src/runtime/worker-status.ts'
import { KeptLog } from '../../support/worker.ts'
import { runningStatus } from './status.ts'

const opened: ServedPort[] = []
afterEach(async () => {
  for (const port of opened.splice(0)) await port.close()
})

/** Serves a worker of this status. @returns how to ask it */
const serve = async (known: { status: WorkerStatus }): Promise<(path: string) => Promise<unknown>> => {
  const log = new KeptLog()
  const worker = { status: () => known.status, observe: () => () => true } as unknown as Worker
  opened.push(await serveWorkers([worker], { httpHost: '127.0.0.1', httpPort: 0 }, nodePorts, log))
  const port = Number(log.with('listening')[0]?.fields['httpPort'])
  return async (path) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, ...((await response.json()) as object) }
  }
}

describe('serveWorkers', () => {
  it('opens nothing where no port is set', async () => {
    const log = new KeptLog()
    const port = await serveWorkers([], { httpHost: '127.0.0.1', httpPort: undefined }, nodePorts, log)
    await port.close()
    expect(log.lines).toEqual([])
  })

  it('answers /ready with the reason, and /live whatever it is', async () => {
    const known = { status: runningStatus() }
    const ask = await serve(known)
    expect(await ask('/ready')).toMatchObject({ status: 200, ready: true })
    known.status = runningStatus({ state: 'failed', failure: 'STORE_FAILED', loop: undefined })
    expect(await ask('/ready')).toMatchObject({ status: 503, ready: false, reason: 'stopped: STORE_FAILED' })
    expect(await ask('/live')).toMatchObject({ status: 200, live: true })
  })

  it('answers /live with 503 for a loop that stands still', async () => {
    const ask = await serve({ status: runningStatus({ loop: { idleMs: 400_001, idleMaxMs: 350_000 } }) })
    expect(await ask('/live')).toEqual({
      status: 503,
      live: false,
      reason: 'the loop of app (running) has not turned for 400 s; the limit is 350 s',
    })
  })
})
