// How long a worker with a large store takes from kill -9 to its first record: three million keys on disk, the process is
// killed and started again, with records waiting. Prints the times, and is red where a store was rebuilt, where more than
// the tail of its changelog was read, or where a record is missing.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { fetchCommitted, listOffsets } from '../../src/client/offsets.ts'
import { startKafka } from '../../src/testing/kafka/start-kafka.ts'
import { appendRaw, connectRaw, createRaw, rawBatch } from '../support/raw-input.ts'
import { WorkerLives } from '../system/support/worker-process.ts'

const applicationId = `restart-${process.pid}`
const input = `${applicationId}-input`
const output = `${applicationId}-counts`
const partitions = 6
const keys = Number(process.argv[2] ?? 3_000_000)
const keysPerBatch = 10_000
const kills = 5
const pollMs = 10
const patienceMs = 300_000

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const deadline = (): number => nodePorts.clock.monotonic() + 30_000
const all = (topic: string): { topic: string; partition: number }[] =>
  Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))

const keyOf = (number: number): string => `customer-${String(number).padStart(9, '0')}`

/** One record of each key; partition and key go together. */
const fill = async (cluster: Cluster): Promise<void> => {
  for (let first = 0, number = 0; first < keys; first += keysPerBatch, number++) {
    const records = Array.from({ length: Math.min(keysPerBatch, keys - first) }, (_, index) => ({
      key: keyOf(first + index),
      value: 'x',
    }))
    await appendRaw(cluster, input, number % partitions, rawBatch(records))
  }
}

const sum = (offsets: readonly { readonly offset: number }[]): number =>
  offsets.reduce((total, { offset }) => total + Math.max(0, offset), 0)

/** Offsets that readers of committed records have reached. */
const visible = async (cluster: Cluster, topic: string): Promise<number> =>
  sum(await listOffsets(cluster, nodePorts, all(topic), 'latest', 'read_committed', deadline()))

const waitFor = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
  const end = performance.now() + patienceMs
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`${what} did not come about in ${patienceMs} ms`)
    await sleep(pollMs)
  }
}

const drained = async (cluster: Cluster): Promise<boolean> => {
  const committed = await fetchCommitted(cluster, nodePorts, applicationId, all(input), deadline())
  return sum(committed) >= (await visible(cluster, input))
}

/** Kills the worker, lets a record per partition wait, starts it, and measures until the first of them is committed. */
const killAndRestart = async (cluster: Cluster, lives: WorkerLives, round: number): Promise<number> => {
  await lives.kill()
  for (let partition = 0; partition < partitions; partition++) {
    const key = keyOf(partition * keysPerBatch)
    await appendRaw(cluster, input, partition, rawBatch([{ key, value: `again ${round}` }]))
  }
  const before = await visible(cluster, output)
  const started = performance.now()
  await lives.start()
  await waitFor('the first record', async () => (await visible(cluster, output)) > before)
  const tookMs = Math.round(performance.now() - started)
  await waitFor('the end of the input', () => drained(cluster))
  return tookMs
}

const judge = (lives: WorkerLives, times: readonly number[]): boolean => {
  const log = lives.log()
  const restored = log.filter(({ text, life }) => text === 'restored' && life > 1)
  const records = restored.map((line) => Number(line['records']))
  const rebuilt = log.filter(({ text, life }) => text.includes('is rebuilt') && life > 1)
  say(`first record after kill -9, from the start of the process: ${times.join(', ')} ms`)
  say(`records read back from the changelogs: ${records.join(', ')} of ${keys}`)
  const isGood = rebuilt.length === 0 && records.every((count) => count < keys)
  if (!isGood) say('FAILED: a store was built anew')
  return isGood
}

const main = async (): Promise<boolean> => {
  await using kafka = await startKafka({ onProgress: say })
  say(`restart with ${keys} keys on disk, on ${kafka.how}`)
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-restart-'))
  const lives = new WorkerLives(directory, {
    module: path.join(import.meta.dirname, 'count.ts'),
    settings: {
      brokers: kafka.brokers,
      applicationId,
      instanceId: 'worker-1',
      stateDir: path.join(directory, 'state'),
    },
  })
  const cluster = await connectRaw(kafka.brokers)
  try {
    await createRaw(cluster, [input, output], partitions)
    await fill(cluster)
    say('the input is there')
    const { whenRunning } = await lives.start()
    if (!(await whenRunning)) throw new Error(`the worker did not start:\n${lives.logTail()}`)
    await waitFor('the end of the input', () => drained(cluster))
    say('every key is counted')
    const times: number[] = []
    for (let round = 1; round <= kills; round++) times.push(await killAndRestart(cluster, lives, round))
    await lives.close()
    return judge(lives, times)
  } finally {
    await cluster.close()
    await lives.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

process.exitCode = (await main()) ? 0 : 1
