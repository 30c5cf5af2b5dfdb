// Applications for the tests of savepoints: words of lines, counted behind a repartition topic, with ticks of stream time
// between them. Two of one shape differ in their outputs alone, so that what each makes after the cut can be compared.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { int64, output, store, StreamRecord, string, topic, topology } from 'millstream'
import { expect } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { resolveSettings } from '../../src/config/settings.ts'
import type { SavepointOptions } from '../../src/savepoint/export.ts'
import type { Topology } from '../../src/topology/contracts.ts'
import type { Judge, RecordToWrite } from './judge.ts'
import { kafkaBrokers } from './kafka.ts'
import { quickly } from './numbered.ts'

export interface Tally {
  readonly applicationId: string
  readonly lines: string
  readonly output: string
  readonly changelog: string
  readonly repartition: string
  readonly topology: Topology
}

/** A word at which the processor throws while this is set. */
export const trap: { word: string | undefined } = { word: undefined }

/** @param lines the input, which several may share */
export const tally = (applicationId: string, lines: string, options: { storeName?: string } = {}): Tally => {
  const { storeName = 'totals' } = options
  const out = topic(`${applicationId}-out`, { key: string, value: string })
  const totals = store(storeName, { key: string, value: int64 })
  const built = topology(applicationId, (t) => {
    t.stream(topic(lines, { key: string, value: string }))
      .flatMapValues((line) => line.split(' '))
      .selectKey((record) => record.value)
      .repartition({ name: 'by-word', partitions: 2, key: string, value: string })
      .process({
        stores: { totals },
        outputs: output<string, string>(),
        init: ({ schedule, forward }) => {
          schedule(1000, 'stream-time', (time) =>
            forward(StreamRecord.of({ key: 'tick', value: String(time), timestamp: time })),
          )
        },
        process: (record, { stores, forward }) => {
          if (record.value === trap.word) throw new Error(`the word ${record.value} is a trap`)
          const count = (stores.totals.get(record.key) ?? 0) + 1
          stores.totals.put(record.key, count)
          if (record.value === 'forget') stores.totals.delete(record.key)
          const origin = record.headers.map(
            ({ key, value }) => `${key}=${Buffer.from(value ?? []).toString()}`,
          )
          forward(record.withValue(`${count} at ${record.timestamp} ${origin.join(' ')}`))
        },
      })
      .to(out)
  })
  return {
    applicationId,
    lines,
    output: out.name,
    changelog: `${applicationId}-${storeName}-changelog`,
    repartition: `${applicationId}-by-word-repartition`,
    topology: built,
  }
}

/** Lines in one partition, so that words always come in one order; each with its own time and a header. */
export const linesFrom = (from: number, count: number): RecordToWrite[] =>
  Array.from({ length: count }, (_, index) => {
    const number = from + index
    return {
      partition: 0,
      key: 'k',
      value: `the line ${number % 7} of ${number % 5} forget`,
      timestamp: 1_700_000_000_000 + number * 130,
      headers: [['line', String(number)]] as const,
    }
  })

export const savepointOptions = (
  app: Pick<Tally, 'applicationId'>,
  directory: string,
  stop: AbortSignal = new AbortController().signal,
): SavepointOptions => ({
  ports: nodePorts,
  settings: resolveSettings(
    { given: { ...quickly(kafkaBrokers(), directory), requestTimeoutMs: 10_000 } },
    app.applicationId,
  ),
  log: silentLogger,
  stop,
  directory,
})

/** Committed offsets of the user's input, by partition. */
export const inputOffsets = async (judge: Judge, app: Tally): Promise<Record<number, number>> =>
  Object.fromEntries(
    (await judge.groupOffsets(app.applicationId))
      .filter(({ topic: name }) => name === app.lines)
      .map(({ partition, offset }) => [partition, offset]),
  )

/** Waits until everything is processed, as far as the group knows. */
export const untilDrained = async (judge: Judge, app: Tally): Promise<void> => {
  const lag = async (): Promise<number> => {
    const committed = await judge.groupOffsets(app.applicationId)
    let sum = 0
    for (const name of [app.lines, app.repartition]) {
      for (const { partition, highWatermark } of await judge.offsets(name)) {
        const found = committed.find((one) => one.topic === name && one.partition === partition)
        sum += highWatermark - (found?.offset ?? -1)
      }
    }
    // The markers of one transaction land partition by partition: those of results may come after those of offsets.
    for (const name of [app.changelog, app.output])
      for (const { highWatermark, lastStable } of await judge.offsets(name)) sum += highWatermark - lastStable
    return sum
  }
  await expect.poll(lag, { timeout: 30_000, interval: 100 }).toBe(0)
}

/** What stands in a store by its changelog: key and count. */
export const storeOf = async (judge: Judge, app: Tally): Promise<Record<string, number>> => {
  const found = new Map<string, number>()
  for (const { key, value } of (await judge.dump(app.changelog)).records) {
    if (value === null) found.delete(String(key))
    else found.set(String(key), Number(value.readBigInt64BE()))
  }
  return Object.fromEntries([...found].sort())
}

/** The output of a partition in its order, from `from[partition]` records on. */
export const outputFrom = async (
  judge: Judge,
  app: Tally,
  from: Readonly<Record<number, number>> = {},
): Promise<Record<number, string[]>> => {
  const result: Record<number, string[]> = {}
  for (const { partition, key, value } of (await judge.dump(app.output)).records) {
    const list = result[partition] ?? []
    result[partition] = list
    list.push(`${String(key)}: ${String(value)}`)
  }
  return Object.fromEntries(
    Object.entries(result).map(([partition, list]) => [partition, list.slice(from[Number(partition)] ?? 0)]),
  )
}

/** Every file of a savepoint, relative. */
export const filesOf = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort()

/** Turns one bit in the middle of a file; an empty one gets a byte. @returns a function that undoes it */
export const flipBit = (file: string): (() => void) => {
  const bytes = readFileSync(file)
  const flipped = bytes.length === 0 ? Buffer.alloc(1) : Buffer.from(bytes)
  const at = Math.floor(bytes.length / 2)
  flipped[at] = (flipped[at] as number) ^ 4
  writeFileSync(file, flipped)
  return () => writeFileSync(file, bytes)
}
