// What a worker tells of itself over HTTP, on a real broker: in a process of its own, while it restores slowly, and while
// it is put out, recovers and is fenced.
import { createWorker, string, type RestoreProgress, type Worker } from 'millstream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { SettingsInput } from '../../src/config/settings.ts'
import type { Topology } from '../../src/topology/contracts.ts'
import { runCli, startCli, temporaryFolder, testModule } from '../support/cli.ts'
import { brokerAddress, eachOnce, impatiently } from '../support/each-once.ts'
import { type Exposition, parseExposition } from '../support/exposition.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { uniqueTopic } from '../support/kafka.ts'
import { LostCommit, putOut } from '../support/lost-commit.ts'
import { createNumberedTopics, numbered, quickly, untilCommitted } from '../support/numbered.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import { KeptLog, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

interface Probe {
  readonly status: number
  readonly reason?: string
  readonly [name: string]: unknown
}

class Eyes {
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  async probe(path: '/live' | '/ready'): Promise<Probe> {
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`)
    return { status: response.status, ...((await response.json()) as object) }
  }

  async metrics(): Promise<Exposition> {
    const response = await fetch(`http://127.0.0.1:${this.#port}/metrics`)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    return parseExposition(await response.text())
  }

  async until(reason: RegExp): Promise<Probe> {
    let last: Probe | undefined
    await expect
      .poll(
        async () => {
          last = await this.probe('/ready')
          return last.reason ?? 'ready'
        },
        { timeout: 20_000, interval: 10 },
      )
      .toMatch(reason)
    return last as Probe
  }
}

interface Watched extends AsyncDisposable {
  readonly worker: Worker
  readonly log: KeptLog
  readonly eyes: Eyes
  readonly starting: Promise<void>
}

/** Starts a worker with a port of its own. */
const watch = async (built: Topology, settings: SettingsInput): Promise<Watched> => {
  const log = new KeptLog()
  const worker = createWorker(built, { ...settings, httpPort: 0 }, { log })
  const starting = worker.start()
  starting.catch(() => undefined)
  await expect.poll(() => log.with('listening').length, { interval: 5 }).toBe(1)
  return {
    worker,
    log,
    starting,
    eyes: new Eyes(Number(log.with('listening')[0]?.fields['httpPort'])),
    [Symbol.asyncDispose]: () => worker.close().catch(() => undefined),
  }
}

it('millstream run --http-port: metrics that add up, probes, and a port that is taken', async () => {
  const name = uniqueTopic('eyes')
  await judge.createTopics({ name: `${name}-lines`, partitions: 2 }, { name: `${name}-counts` })
  await judge.produce(
    `${name}-lines`,
    ['a b a', 'c', 'b a', 'd e f', 'a'].map((value, index) => ({ key: String(index), value })),
  )
  const args = (port: number): string[] => [
    ...['run', testModule('words.ts'), '--brokers', brokerAddress(), '--state-dir', temporaryFolder()],
    ...['--http-port', String(port)],
  ]
  const cli = startCli(args(0), { env: { TEST_NAME: name } })
  await cli.said('httpPort=')
  const port = Number(/httpPort=(\d+)/.exec(cli.stderr)?.[1])
  const eyes = new Eyes(port)
  await eyes.until(/^ready$/)
  expect(await eyes.probe('/live')).toEqual({ status: 200, live: true })
  const of = { application: name }
  await expect
    .poll(async () => (await eyes.metrics()).value('millstream_records_processed_total', of), {
      timeout: 20_000,
    })
    .toBe(15)
  const drained = async (): Promise<number[]> =>
    (await eyes.metrics()).find('millstream_task_lag_records', of).map(({ value }) => value)
  await expect.poll(drained, { timeout: 20_000 }).toEqual([0, 0, 0, 0])

  const { value, find } = await eyes.metrics()
  const committed = value('millstream_transactions_committed_total', of)
  expect(committed).toBeGreaterThan(0)
  for (const phase of ['produce', 'offsets', 'end']) {
    const duration = 'millstream_commit_duration_seconds'
    expect(value(`${duration}_count`, { ...of, phase })).toBe(committed)
    expect(value(`${duration}_sum`, { ...of, phase })).toBeGreaterThan(0)
  }
  expect(value('millstream_worker_state', { ...of, state: 'running' })).toBe(1)
  expect(value('millstream_assigned_tasks', of)).toBe(4)
  expect(value('millstream_running_tasks', of)).toBe(4)
  expect(value('millstream_rebalances_total', of)).toBeGreaterThanOrEqual(1)
  expect(value('millstream_rebalance_duration_seconds_count', of)).toBe(1)
  expect(find('millstream_task_lag_records').map(({ labels }) => labels['topic'])).toContain(`${name}-lines`)
  expect(value('millstream_fenced_total', of) + value('millstream_memberships_lost_total', of)).toBe(0)
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(20e6)
  expect(Math.abs(value('process_start_time_seconds') - Date.now() / 1000)).toBeLessThan(120)

  const other = await runCli(args(port), { env: { TEST_NAME: name } })
  expect(other.code).toBe(1)
  expect(other.stderr).toContain('HTTP_PORT_UNAVAILABLE')
  expect(other.stderr).toContain(`httpPort ${port}`)
  expect(other.stderr).not.toContain('to=starting')

  cli.child.kill('SIGTERM')
  expect((await cli.ended).code).toBe(0)
  await expect(eyes.probe('/live')).rejects.toThrow()
})

it('a worker that restores slowly is alive, is not ready, and says how long it will take', async () => {
  const app = numbered('restoring', string)
  await createNumberedTopics(judge, app)
  const words = Array.from({ length: 5000 }, (_, index) => ({ key: `key-${index}`, value: 'v' }))
  await judge.produce(app.input, words)
  const proxy = await KafkaProxy.start(brokerAddress())
  // Small batches and small answers: the restore takes many rounds.
  const small = { batchBytes: 1024, fetchBytesMax: 1024, partitionFetchBytesMax: 1024 }
  using first = temporaryDirectory()
  const before = createWorker(app.topology, {
    ...quickly([brokerAddress()], first.path),
    batchBytes: 1024,
    instanceId: 'one',
  })
  await before.start()
  await untilCommitted(judge, app, words.length)
  await before.close()

  using second = temporaryDirectory()
  proxy.rules = {
    answer: ({ apiKey, bytes }) =>
      apiKey === apiKeys.Fetch && bytes.includes(app.changelog) ? { delayMs: 450 } : 'pass',
  }
  const settings = { ...quickly([proxy.address], second.path), ...small, instanceId: 'one' }
  await using watched = await watch(app.topology, settings)
  const { eyes, worker, log, starting } = watched
  let idleMaxMs = 0
  const looking = setInterval(() => {
    idleMaxMs = Math.max(idleMaxMs, worker.status().loop?.idleMs ?? 0)
  }, 10)
  const reports: RestoreProgress[] = []
  worker.onRestoreProgress((progress) => void reports.push(progress))
  const probe = await eyes.until(/^restoring 1 store: \d+ of \d+ offsets left, about \d+ s left$/)
  expect(probe).toMatchObject({ status: 503, ready: false, workers: [{ state: 'rebalancing' }] })
  expect(await eyes.probe('/live')).toMatchObject({ status: 200 })
  const during = await eyes.metrics()
  expect(during.value('millstream_restore_stores')).toBe(1)
  expect(during.value('millstream_restore_left_seconds')).toBeGreaterThan(0)
  expect(during.value('millstream_worker_ready')).toBe(0)
  const restored = during.value('millstream_restored_records_total')
  expect(restored).toBeGreaterThan(0)
  await expect
    .poll(async () => (await eyes.metrics()).value('millstream_restored_records_total'), { interval: 20 })
    .toBeGreaterThan(restored)
  await starting
  clearInterval(looking)
  await eyes.until(/^ready$/)

  const after = await eyes.metrics()
  // Each round of the restore is a turn of the loop.
  const tookMs = 1000 * after.value('millstream_rebalance_duration_seconds_sum')
  expect(tookMs).toBeGreaterThan(2000)
  expect(idleMaxMs).toBeLessThan(tookMs / 2)
  expect(after.value('millstream_restored_records_total')).toBe(words.length)
  expect(after.value('millstream_restored_stores_total')).toBe(1)
  expect(after.value('millstream_restored_bytes_total')).toBeGreaterThan(words.length * 10)
  expect(after.value('millstream_restore_left_offsets')).toBe(0)
  expect(reports.length).toBeGreaterThanOrEqual(3)
  expect(reports[0]).toMatchObject({ records: 0, storesTotal: 1 })
  expect(reports[0]?.offsetsLeft).toBe(reports[0]?.offsetsTotal)
  expect(reports.at(-1)).toMatchObject({ stores: 0, records: words.length, offsetsLeft: 0, secondsLeft: 0 })
  const left = reports.map(({ offsetsLeft }) => offsetsLeft)
  expect(left).toEqual([...left].sort((a, b) => b - a))
  const lines = log.with('restoring')
  expect(lines.length).toBeGreaterThanOrEqual(1)
  expect(lines[0]?.fields).toMatchObject({ stores: 1, secondsLeft: expect.any(Number) })
  expect(log.with('restored')[0]?.fields).toMatchObject({ records: words.length })
  await worker.close()
  await proxy.stop()
})

it('a worker that recovers, is put out and is fenced: counted, and told by /ready', async () => {
  const app = await eachOnce(judge, 'shut-out', 2)
  const trouble = new LostCommit('applied')
  let holding = true
  const proxy = await KafkaProxy.start(brokerAddress(), {
    request: (request) => {
      const held = holding && trouble.state === 'lost' && request.apiKey === apiKeys.InitProducerId
      return held ? 'cut' : trouble.request(request)
    },
    answer: (request, answer) => trouble.answer(request, answer),
  })
  using directory = temporaryDirectory()
  const settings = { ...impatiently(proxy.address, directory.path), instanceId: 'one' }
  await using watched = await watch(app.topology, settings)
  const { eyes, worker, starting } = watched
  await starting
  await app.feed(3)
  await app.judged()
  worker.pause()
  await app.feed(2)
  const lag = async (): Promise<number[]> =>
    (await eyes.metrics()).find('millstream_task_lag_records').map(({ value }) => value)
  await expect.poll(lag, { timeout: 10_000 }).toEqual([2, 2])
  expect((await eyes.metrics()).value('millstream_task_buffered_bytes', { partition: '1' })).toBeGreaterThan(
    0,
  )
  worker.resume()
  await app.judged()
  await expect.poll(lag, { timeout: 10_000 }).toEqual([0, 0])

  trouble.state = 'armed'
  await app.feed(2)
  const recovering = await eyes.until(/^recovering since /)
  expect(recovering).toMatchObject({ status: 503, workers: [{ state: 'recovering', ready: false }] })
  expect(await eyes.probe('/live')).toMatchObject({ status: 200 })
  holding = false
  await eyes.until(/^ready$/)
  await app.judged()
  const recovered = await eyes.metrics()
  expect(recovered.value('millstream_worker_recoveries_total')).toBeGreaterThanOrEqual(1)
  expect(recovered.value('millstream_worker_faults_total', { reaction: 'recover' })).toBeGreaterThanOrEqual(1)
  expect(recovered.value('millstream_memberships_lost_total')).toBe(0)

  await putOut(app.applicationId, 'one')
  const lost = async (): Promise<number> => (await eyes.metrics()).value('millstream_memberships_lost_total')
  await expect.poll(lost, { timeout: 10_000, interval: 20 }).toBe(1)
  await eyes.until(/^ready$/)
  await app.feed(2)
  await app.judged()

  using other = temporaryDirectory()
  await using twin = await watch(app.topology, {
    ...settings,
    brokers: [brokerAddress()],
    stateDir: other.path,
  })
  await expect(worker.finished).rejects.toMatchObject({ code: 'INSTANCE_FENCED' })
  expect(await eyes.probe('/ready')).toMatchObject({ status: 503, reason: 'stopped: INSTANCE_FENCED' })
  expect(await eyes.probe('/live')).toMatchObject({ status: 200 })
  const fenced = await eyes.metrics()
  expect(fenced.value('millstream_fenced_total')).toBe(1)
  expect(fenced.value('millstream_worker_state', { state: 'failed' })).toBe(1)
  expect(fenced.find('millstream_task_lag_records')).toEqual([])
  await worker.close().catch(() => undefined)
  await expect(eyes.probe('/live')).rejects.toThrow()

  await twin.starting
  await app.feed(2)
  await app.judged()
  await twin.worker.close()
  await proxy.stop()
})
