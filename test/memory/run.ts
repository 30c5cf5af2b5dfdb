// Memory under a backlog: 1 GB of input waits, a processor takes 2,000 records a second, and the resident memory of the
// worker process is sampled for a minute. Red above 300 MB plus the size of the stores' files, which LMDB maps.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { startKafka } from '../../src/testing/kafka/start-kafka.ts'
import { appendRaw, connectRaw, createRaw, rawBatch } from '../support/raw-input.ts'
import { WorkerLives } from '../system/support/worker-process.ts'

const applicationId = `memory-${process.pid}`
const topic = `${applicationId}-input`
const partitions = 6
const inputBytes = 1_000_000_000
const valueBytes = 1000
const recordsPerBatch = 800
const sampledMs = 60_000
const sampleMs = 250
const limitBytes = 300_000_000

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`

/** A batch of records with keys of its own. */
const batch = (number: number): Buffer =>
  rawBatch(
    Array.from({ length: recordsPerBatch }, (_, record) => ({
      key: `key-${number}-${record}`,
      value: `value ${number} ${record} `.repeat(valueBytes).slice(0, valueBytes),
    })),
  )

/** Appends 1 GB. @returns how many records */
const fill = async (brokers: string[]): Promise<number> => {
  const cluster = await connectRaw(brokers)
  try {
    await createRaw(cluster, [topic, `${applicationId}-sums`], partitions)
    const batches = Array.from({ length: 4 * partitions }, (_, number) => batch(number))
    let bytes = 0
    let count = 0
    for (let number = 0; bytes < inputBytes; number++) {
      // A batch always goes to the same partition, as records with these keys would.
      const records = batches[number % batches.length] as Buffer
      await appendRaw(cluster, topic, number % partitions, records)
      bytes += records.length
      count += recordsPerBatch
    }
    return count
  } finally {
    await cluster.close()
  }
}

interface Sample {
  readonly rss: number
  /** Without mapped files. */
  readonly anonymous: number
  readonly stores: number
}

const field = (status: string, name: string): number =>
  Number(status.match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'))?.[1] ?? Number.NaN) * 1024

const storeBytes = (stateDir: string): number => {
  if (!fs.existsSync(stateDir)) return 0
  const files = fs.readdirSync(stateDir, { recursive: true, withFileTypes: true })
  const data = files.filter((entry) => entry.name === 'data.mdb')
  return data.reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0)
}

const sampleOf = (pid: number, stateDir: string): Sample => {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  return { rss: field(status, 'VmRSS'), anonymous: field(status, 'RssAnon'), stores: storeBytes(stateDir) }
}

const highest = (samples: readonly Sample[], of: (sample: Sample) => number): number =>
  samples.reduce((most, sample) => Math.max(most, of(sample)), 0)

/** @returns whether the worker stayed below the limit all the time */
const judge = (samples: readonly Sample[], processed: number, waiting: number): boolean => {
  const over = highest(samples, ({ rss, stores }) => rss - stores)
  const half = samples.slice(samples.length / 2)
  say(`${samples.length} samples over ${sampledMs / 1000} s`)
  say(`resident: highest ${megabytes(highest(samples, ({ rss }) => rss))}`)
  say(`  without mapped files: highest ${megabytes(highest(samples, ({ anonymous }) => anonymous))}`)
  const rows = samples.filter((_, index) => index % Math.ceil(samples.length / 12) === 0)
  say(`  every 5 s: ${rows.map(({ rss }) => megabytes(rss)).join(', ')}`)
  say(`  in the second half: highest ${megabytes(highest(half, ({ rss }) => rss))}`)
  say(`stores: ${megabytes(highest(samples, ({ stores }) => stores))}`)
  say(
    `processed: ${processed} records, ${Math.round(processed / (sampledMs / 1000))}/s; ${waiting} were waiting`,
  )
  if (processed < 30_000 || processed > waiting / 2)
    say('the processor did not take what it should have taken')
  const isGood = over < limitBytes && processed >= 30_000 && processed <= waiting / 2
  say(
    `resident without stores: highest ${megabytes(over)}, limit ${megabytes(limitBytes)}: ${isGood ? 'good' : 'FAILED'}`,
  )
  return isGood
}

const main = async (): Promise<boolean> => {
  await using kafka = await startKafka({ onProgress: say })
  say(`memory under a backlog, on ${kafka.how}`)
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-memory-'))
  const stateDir = path.join(directory, 'state')
  const lives = new WorkerLives(directory, {
    module: path.join(import.meta.dirname, 'slow.ts'),
    settings: { brokers: kafka.brokers, applicationId, instanceId: 'worker-1', stateDir },
  })
  try {
    const waiting = await fill(kafka.brokers)
    say(`${waiting} records of ${valueBytes} B wait`)
    const { whenRunning, pid } = await lives.start()
    if (!(await whenRunning)) throw new Error(`the worker did not start:\n${lives.logTail()}`)
    const samples: Sample[] = []
    const end = performance.now() + sampledMs
    while (performance.now() < end) {
      samples.push(sampleOf(pid, stateDir))
      await sleep(sampleMs)
    }
    await lives.close()
    const counts = lives.log().find((line) => line.text === 'ended')?.['counts'] as
      | { processed: number }
      | undefined
    if (counts === undefined) throw new Error(`the worker did not close:\n${lives.logTail()}`)
    return judge(samples, counts.processed, waiting)
  } finally {
    await lives.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

process.exitCode = (await main()) ? 0 : 1
