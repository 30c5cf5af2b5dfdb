// A savepoint of a stopped application: one consistent cut, imported under a new id it goes on with the same result; and
// whatever is not whole, not stopped, not empty or not the same is refused.
import { cpSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodePorts } from '../../src/base/node-ports.ts'
import { removeInstances } from '../../src/client/groups.ts'
import { exportSavepoint } from '../../src/savepoint/export.ts'
import { importSavepoint } from '../../src/savepoint/import.ts'
import type { Manifest } from '../../src/savepoint/manifest.ts'
import { connect, inMs } from '../support/client.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { quickly } from '../support/numbered.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import {
  filesOf,
  flipBit,
  inputOffsets,
  linesFrom,
  outputFrom,
  savepointOptions,
  storeOf,
  type Tally,
  tally,
  trap,
  untilDrained,
} from '../support/savepoint.ts'
import { startWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterAll(async () => {
  await judge?.stop()
})

const settingsIn = (directory: string) => ({
  ...quickly(kafkaBrokers(), directory),
  instanceId: 'one',
})

/** The records of these tests are years old: a broker that looks for expired ones would delete them. */
const forEver = { 'retention.ms': '-1' }

const newTally = async (name: string, lines: string): Promise<Tally> => {
  const app = tally(uniqueTopic(name), lines)
  await judge.createTopics({ name: app.output, partitions: 2, settings: forEver })
  return app
}

/** An application that stopped half way, at a word, with words behind it that wait in the repartition topic. */
const stoppedHalfWay = async (): Promise<Tally> => {
  const lines = uniqueTopic('lines')
  await judge.createTopics({ name: lines, partitions: 1, settings: forEver })
  const app = await newTally('cut', lines)
  await judge.produce(lines, linesFrom(0, 60))
  // Between two ticks: without its stream time the copy would begin with a tick that nobody saw before.
  await judge.produce(lines, [{ partition: 0, key: 'k', value: 'trap', timestamp: 1_700_000_007_700 }])
  await judge.produce(lines, linesFrom(60, 40))
  trap.word = 'trap'
  using state = temporaryDirectory()
  const test = testWorker(app.topology, settingsIn(state.path))
  await test.worker.start()
  expect(await test.failed()).toMatchObject({ code: 'PROCESSING_FAILED' })
  trap.word = undefined
  return app
}

const removeMember = async (app: Tally): Promise<void> => {
  const cluster = await connect()
  await removeInstances(cluster, nodePorts, app.applicationId, ['one'], inMs(10_000))
  await cluster.close()
}

describe('a savepoint', () => {
  it('goes on under a new application id with the same result', async () => {
    using directory = temporaryDirectory()
    const app = await stoppedHalfWay()
    const target = path.join(directory.path, 'savepoint')
    // The worker was static and did not leave: nobody but its operator knows that it is gone.
    await expect(exportSavepoint(app.topology, savepointOptions(app, target))).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
      message: expect.stringContaining('one'),
    })
    expect(filesOf(target)).toEqual([])
    await removeMember(app)
    const manifest = await exportSavepoint(app.topology, savepointOptions(app, target))
    expect(filesOf(target)).toEqual([
      'savepoint.json',
      'stores/totals-0.records',
      'stores/totals-1.records',
      'waiting/by-word-0.records',
      'waiting/by-word-1.records',
    ])
    const before = await outputFrom(judge, app)
    const store = await storeOf(judge, app)
    expect(manifest.stores.reduce((sum, { records }) => sum + records, 0)).toBe(Object.keys(store).length)
    expect(manifest.waiting.reduce((sum, { records }) => sum + records, 0)).toBeGreaterThan(10)

    const copy = await newTally('copy', app.lines)
    await importSavepoint(copy.topology, savepointOptions(copy, target))
    expect(await inputOffsets(judge, copy)).toEqual(await inputOffsets(judge, app))
    expect(await storeOf(judge, copy)).toEqual(store)

    // The rest to both: what is made after the cut is the same, record by record, ticks of stream time included.
    await judge.produce(app.lines, linesFrom(100, 60))
    for (const one of [app, copy]) {
      using state = temporaryDirectory()
      await using test = await startWorker(one.topology, settingsIn(state.path))
      await untilDrained(judge, one)
      await test.worker.close({ leave: true })
      expect(test.failure()).toBe(undefined)
    }
    const lengths = Object.fromEntries(
      Object.entries(before).map(([partition, list]) => [partition, list.length]),
    )
    const after = await outputFrom(judge, app, lengths)
    const made = await outputFrom(judge, copy)
    const sorted = (lists: Record<number, string[]>): string[] => Object.values(lists).flat().sort()
    expect(sorted(made)).toEqual(sorted(after))
    // Two tasks write to a partition: in order is what one of them makes of a word. Both tick.
    const inOrder = (lists: Record<number, string[]>): unknown => {
      const { tick: _, ...words } = Object.groupBy(
        Object.values(lists).flat(),
        (text) => text.split(':')[0] ?? '',
      )
      return words
    }
    expect(inOrder(made)).toEqual(inOrder(after))
    expect(sorted(made).some((text) => text.startsWith('tick'))).toBe(true)
    expect(await storeOf(judge, copy)).toEqual(await storeOf(judge, app))
    expect(await inputOffsets(judge, copy)).toEqual(await inputOffsets(judge, app))
    expect((await storeOf(judge, copy))['the']).toBe(160)
  })

  it('is refused where something of it was changed, is missing, or is of another topology, and import twice', async () => {
    using directory = temporaryDirectory()
    const app = await stoppedHalfWay()
    await removeMember(app)
    const target = path.join(directory.path, 'savepoint')
    await exportSavepoint(app.topology, savepointOptions(app, target))
    const again = savepointOptions(app, target)
    await expect(exportSavepoint(app.topology, again)).rejects.toMatchObject({ code: 'SAVEPOINT_INVALID' })

    const copy = await newTally('copy', app.lines)
    const options = savepointOptions(copy, target)
    for (const file of filesOf(target)) {
      const mend = flipBit(path.join(target, file))
      await expect(importSavepoint(copy.topology, options), file).rejects.toMatchObject({
        code: 'SAVEPOINT_INVALID',
      })
      mend()
    }
    const part = path.join(directory.path, 'part')
    cpSync(target, part, { recursive: true })
    nodePorts.disk.remove(path.join(part, 'stores/totals-1.records'))
    await expect(importSavepoint(copy.topology, { ...options, directory: part })).rejects.toMatchObject({
      code: 'SAVEPOINT_INVALID',
      message: expect.stringContaining('missing'),
    })
    nodePorts.disk.remove(path.join(part, 'savepoint.json'))
    await expect(importSavepoint(copy.topology, { ...options, directory: part })).rejects.toMatchObject({
      code: 'SAVEPOINT_INVALID',
    })
    const other = tally(copy.applicationId, app.lines, { storeName: 'sums' })
    await expect(importSavepoint(other.topology, options)).rejects.toMatchObject({
      code: 'SAVEPOINT_MISMATCH',
      message: expect.stringContaining('totals'),
    })
    // Nothing of all this has left anything behind.
    await importSavepoint(copy.topology, options)
    await expect(importSavepoint(copy.topology, options)).rejects.toMatchObject({
      code: 'APPLICATION_NOT_EMPTY',
    })
    await expect(importSavepoint(app.topology, savepointOptions(app, target))).rejects.toMatchObject({
      code: 'APPLICATION_NOT_EMPTY',
    })
  })

  it('is refused while a worker runs, at both ends', async () => {
    using directory = temporaryDirectory()
    const app = await stoppedHalfWay()
    await removeMember(app)
    const target = path.join(directory.path, 'savepoint')
    {
      using state = temporaryDirectory()
      await using test = await startWorker(app.topology, settingsIn(state.path))
      await expect(exportSavepoint(app.topology, savepointOptions(app, target))).rejects.toMatchObject({
        code: 'GROUP_ACTIVE',
      })
      await test.worker.close({ leave: true })
    }
    await exportSavepoint(app.topology, savepointOptions(app, target))
    const copy = await newTally('copy', app.lines)
    using state = temporaryDirectory()
    await using test = await startWorker(copy.topology, settingsIn(state.path))
    await expect(importSavepoint(copy.topology, savepointOptions(copy, target))).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
    })
    await test.worker.close({ leave: true })
  })

  it('is refused where the input was made anew', async () => {
    using directory = temporaryDirectory()
    const app = await stoppedHalfWay()
    await removeMember(app)
    const target = path.join(directory.path, 'savepoint')
    await exportSavepoint(app.topology, savepointOptions(app, target))
    await judge.deleteTopics(app.lines)
    await expect
      .poll(
        async () =>
          await judge.createTopics({ name: app.lines, partitions: 1 }).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000, interval: 200 },
      )
      .toBe(true)
    const copy = await newTally('copy', app.lines)
    await expect(importSavepoint(copy.topology, savepointOptions(copy, target))).rejects.toMatchObject({
      code: 'SAVEPOINT_MISMATCH',
      message: expect.stringContaining('made anew'),
    })
  })

  it('waits for a transaction that has its offsets, and is not taken while it stays open', async () => {
    using directory = temporaryDirectory()
    const app = await stoppedHalfWay()
    await removeMember(app)
    const producer = await judge.openProducer({
      transactionalId: `${app.applicationId}.ghost.0`,
      settings: { 'transaction.timeout.ms': '60000' },
    })
    await producer.begin()
    await producer.send(app.changelog, [{ partition: 0, key: 'ghost', value: Buffer.alloc(8) }])
    const target = path.join(directory.path, 'savepoint')
    const options = savepointOptions(app, target)
    // Two seconds of patience, which is the transaction timeout and the 20 s that the broker may take on top.
    const settings = { ...options.settings, transactionTimeoutMs: -18_000 }
    await expect(exportSavepoint(app.topology, { ...options, settings })).rejects.toMatchObject({
      code: 'REQUEST_TIMED_OUT',
      message: expect.stringContaining(app.changelog),
    })
    expect(filesOf(target)).toEqual([])
    const exported = exportSavepoint(app.topology, options)
    await nodePorts.timers.sleep(500)
    await producer.abort()
    const manifest: Manifest = await exported
    expect(JSON.parse(readFileSync(path.join(target, 'savepoint.json'), 'utf8'))).toMatchObject({
      format: 'millstream-savepoint',
      applicationId: app.applicationId,
    })
    expect(manifest.inputs.find(({ repartition }) => !repartition)?.streamTime).toBeGreaterThan(0)
  })

  it.each([
    ['waits for the import, and goes on with it', 300, 30_000],
    ['is alone where the import took too long, and nothing of it is there', 6000, 1000],
  ])(
    'meets a worker that starts in the middle of an import: the worker %s',
    async (_, delayMs, rebalanceTimeoutMs) => {
      using directory = temporaryDirectory()
      const app = await stoppedHalfWay()
      await removeMember(app)
      const target = path.join(directory.path, 'savepoint')
      await exportSavepoint(app.topology, savepointOptions(app, target))
      const copy = await newTally('copy', app.lines)
      const reached = Promise.withResolvers<void>()
      const proxy = await KafkaProxy.start(kafkaBrokers()[0] as string, {
        request: ({ apiKey }) => {
          if (apiKey !== apiKeys.TxnOffsetCommit) return 'pass'
          reached.resolve()
          return { delayMs }
        },
      })
      try {
        const options = savepointOptions(copy, target)
        const settings = { ...options.settings, brokers: [proxy.address], rebalanceTimeoutMs }
        const imported = importSavepoint(copy.topology, { ...options, settings })
        const outcome = imported.then(
          () => 'imported',
          (error: { code: string }) => error.code,
        )
        await reached.promise
        using state = temporaryDirectory()
        await using test = testWorker(copy.topology, { ...settingsIn(state.path), rebalanceTimeoutMs })
        const started = test.worker.start()
        expect(await outcome).toBe(delayMs === 300 ? 'imported' : 'MEMBERSHIP_LOST')
        await started
        await untilDrained(judge, copy)
        expect(test.failure()).toBe(undefined)
        // Either way each line counts once: as part of the savepoint, or anew.
        expect((await storeOf(judge, copy))['the']).toBe(100)
        const wordsOf = async (one: Tally): Promise<number> =>
          Object.values(await outputFrom(judge, one))
            .flat()
            .filter((text) => !text.startsWith('tick')).length
        const before = await wordsOf(app)
        expect(before).toBeGreaterThan(0)
        expect(await wordsOf(copy)).toBe(delayMs === 300 ? 601 - before : 601)
        await test.worker.close({ leave: true })
      } finally {
        await proxy.stop()
      }
    },
  )
})
