// The digest of a store in the witness: what a disk or a changelog has lost or gained without anybody's knowledge is found
// by the next restore, and where it cannot be mended the worker says so and stops.
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { SettingsInput } from '../../src/config/settings.ts'
import { decodeWitness } from '../../src/runtime/witness.ts'
import { LmdbEngine } from '../../src/state/lmdb-engine.ts'
import { brokerAddress, type EachOnce, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { quickly } from '../support/numbered.ts'
import { startWorker, temporaryDirectory, type TestWorker, testWorker } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

const settingsIn = (stateDir: string, stateDigest: SettingsInput['stateDigest'] = 'on') => ({
  ...quickly([brokerAddress()], stateDir),
  stateDigest,
})

const diverged = 'a store is not what was committed'
const rebuilt = 'a store is rebuilt from its changelog'

/** One life of a worker: so many values more, judged, and the group is left. @returns the worker that was */
const life = async (
  app: EachOnce,
  stateDir: string,
  feeds: number,
  stateDigest?: SettingsInput['stateDigest'],
): Promise<TestWorker> => {
  await using test = await startWorker(app.topology, settingsIn(stateDir, stateDigest))
  await app.feed(feeds)
  await app.drained()
  await test.worker.close({ leave: true })
  return test
}

/** What keeps a worker from starting. */
const refusal = async (app: EachOnce, stateDir: string) => {
  await using test = testWorker(app.topology, settingsIn(stateDir))
  await expect(test.worker.start()).rejects.toMatchObject({ code: 'STORE_DIVERGED' })
  expect(test.worker.state).toBe('failed')
  expect(test.log.with(diverged)).toHaveLength(1)
  expect(test.log.with(rebuilt)).toHaveLength(1)
  expect(test.worker.status()).toMatchObject({ diverged: 1, failure: 'STORE_DIVERGED' })
  const error = test.failure()
  if (error === undefined) throw new Error('the worker did not fail')
  return error
}

/** Changes a value on the disk of a closed worker. */
const changeOnDisk = (app: EachOnce, stateDir: string, key: string, value: number): void => {
  const directory = path.join(stateDir, app.applicationId, '0_0', 'seen')
  const engine = new LmdbEngine({ directory, disk: nodePorts.disk })
  const checkpoint = engine.checkpoint()
  if (checkpoint === undefined) throw new Error('the store holds nothing')
  engine.write([{ key, value: number(value) }], checkpoint)
  engine.close()
}

/** Digests of the store in the metadata of the committed offset. */
const committedStores = async (app: EachOnce) => {
  const [offset] = await judge.groupOffsets(app.applicationId)
  return decodeWitness(offset?.metadata ?? '')?.stores
}

describe('a value that changed on the disk', () => {
  it('is found when its key was changed elsewhere meanwhile, and mended from the changelog', async () => {
    const app = await eachOnce(judge, 'digest-tail', 1)
    using one = temporaryDirectory()
    using other = temporaryDirectory()
    await life(app, one.path, 3)
    changeOnDisk(app, one.path, 'k0', 999)
    await life(app, other.path, 2)
    const again = await life(app, one.path, 2)
    await app.judged()
    expect(again.log.with(diverged)).toMatchObject([
      { level: 'error', fields: { store: 'seen', topic: app.changelog, partition: 0, task: '0_0' } },
    ])
    expect(again.log.with(rebuilt)).toHaveLength(1)
    expect(again.worker.status().diverged).toBe(1)
    expect((await life(app, one.path, 1)).log.with(diverged)).toEqual([])
    await app.judged()
  })

  it('is found at the start by "verify", though nothing touched it', async () => {
    const app = await eachOnce(judge, 'digest-verify', 1)
    using state = temporaryDirectory()
    await life(app, state.path, 3)
    changeOnDisk(app, state.path, 'k0', 999)
    const test = await life(app, state.path, 2, 'verify')
    expect(test.log.with(diverged)).toHaveLength(1)
    await app.judged()
  })

  it('is found by the next full restore when it has become a part of the state, which cannot be mended', async () => {
    const app = await eachOnce(judge, 'digest-part', 1)
    using state = temporaryDirectory()
    await life(app, state.path, 3)
    changeOnDisk(app, state.path, 'k0', 999)
    // The one case that nobody notices at once: the value is read, and what is made of it is committed.
    const test = await life(app, state.path, 1)
    expect(test.log.with(diverged)).toEqual([])
    using empty = temporaryDirectory()
    expect((await refusal(app, empty.path)).message).toContain('as many as were committed, but not the same')
  })

  it('is found at the next start where an entry came or went', async () => {
    const app = await eachOnce(judge, 'digest-count', 1)
    using state = temporaryDirectory()
    await life(app, state.path, 3)
    changeOnDisk(app, state.path, 'another', 1)
    const test = await life(app, state.path, 2)
    expect(test.log.with(diverged)).toHaveLength(1)
    await app.judged()
  })
})

describe('a changelog that is not what was written', () => {
  it('stops the worker, which names store, partition and both digests, until its state is accepted', async () => {
    const app = await eachOnce(judge, 'digest-stranger', 1)
    using state = temporaryDirectory()
    await life(app, state.path, 3)
    const committed = (await committedStores(app))?.[0]?.digest
    await judge.produce(app.changelog, [{ partition: 0, key: 'stranger', value: number(1) }])
    using empty = temporaryDirectory()
    for (const stateDir of [state.path, empty.path]) {
      const error = await refusal(app, stateDir)
      expect(error.where).toMatchObject({
        task: '0_0',
        store: 'seen',
        topic: app.changelog,
        partition: 0,
        committedDigest: committed,
        digest: expect.stringMatching(/^2\./),
      })
      expect(error.message).toMatch(/2 entries, and 1 were committed.*stateDigest off/)
    }
    const offsets = await app.offsets()
    expect((await life(app, state.path, 0, 'off')).log.with(diverged)).toEqual([])
    expect(await app.offsets()).toEqual(offsets)
    expect(await committedStores(app)).toEqual([])
    expect((await life(app, state.path, 2)).log.with(diverged)).toEqual([])
    expect(await committedStores(app)).toMatchObject([
      { store: 'seen', digest: expect.stringMatching(/^2\./) },
    ])
    expect((await life(app, empty.path, 2)).log.with(diverged)).toEqual([])
  })

  it('is found where records are gone', async () => {
    const app = await eachOnce(judge, 'digest-gone', 1)
    using state = temporaryDirectory()
    await life(app, state.path, 3)
    await judge.alterTopic(app.changelog, { 'cleanup.policy': 'compact,delete' })
    const [end] = await judge.offsets(app.changelog)
    await expect
      .poll(() =>
        // The marker of the last commit stays: the disk is not behind the log start.
        judge.deleteRecords(app.changelog, 0, (end?.highWatermark ?? 0) - 1).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    await judge.alterTopic(app.changelog, { 'cleanup.policy': 'compact' })
    using empty = temporaryDirectory()
    expect((await refusal(app, empty.path)).message).toContain('0 entries, and 1 were committed')
    // The disk that has everything is as good as before: nothing is missing behind its offset.
    expect((await life(app, state.path, 2)).log.with(diverged)).toEqual([])
  })
})

describe('a store without a digest', () => {
  it('is accepted, and has one from its next commit on', async () => {
    const app = await eachOnce(judge, 'digest-upgrade', 1)
    using state = temporaryDirectory()
    await life(app, state.path, 3, 'off')
    expect(await committedStores(app)).toEqual([])
    await life(app, state.path, 2)
    const [first] = (await committedStores(app)) ?? []
    expect(first).toMatchObject({ store: 'seen', digest: expect.stringMatching(/^1\./) })
    using empty = temporaryDirectory()
    const test = await life(app, empty.path, 2)
    expect(test.log.with(diverged)).toEqual([])
    expect((await committedStores(app))?.[0]?.digest).not.toBe(first?.digest)
    await app.judged()
  })

  it('is what at_least_once has', async () => {
    const app = await eachOnce(judge, 'digest-repeats', 1)
    using state = temporaryDirectory()
    const settings = { ...settingsIn(state.path, 'verify'), guarantee: 'at_least_once' } as const
    await using test = await startWorker(app.topology, settings)
    await app.feed(3)
    await app.drained()
    await test.worker.close({ leave: true })
    expect(await committedStores(app)).toEqual([])
  })
})
