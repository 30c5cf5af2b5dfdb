// Rows about state that is lost, old, torn, foreign or refused by the disk, and about topics and offsets that changed.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorCode } from '../../../src/errors.ts'
import type { RecordToWrite } from '../../support/judge.ts'
import { below } from '../../support/random.ts'
import type { WorkerLives } from '../support/worker-process.ts'
import { type Bench, partitions } from './bench.ts'
import { storeNames } from './ops.ts'
import type { BenchRow } from './row.ts'

/** Feeds a running worker, lets it come to the end, and closes it. */
export const workAndClose = async (
  bench: Bench,
  number: number,
  how: 'close' | 'leave' = 'close',
): Promise<void> => {
  await bench.start(number)
  await bench.feeder.feedRound()
  await bench.drain(40_000)
  const end = await bench.within(`the close of worker ${number}`, 30_000, bench.worker(number).close(how))
  bench.expect(end?.code === 0, `the end of worker ${number}`, 'exit code 0', JSON.stringify(end))
}

/** Starts a worker that has to refuse, with this error. */
const refused = async (bench: Bench, lives: WorkerLives, code: ErrorCode, why: string): Promise<void> => {
  const before = lives.log().length
  const { ended } = await lives.start()
  const end = await bench.within(`the refusal (${why})`, 40_000, ended)
  bench.expect(end.code === 1, why, 'exit code 1', JSON.stringify(end))
  const said = lives
    .log()
    .slice(before)
    .find(({ text }) => text === 'the worker failed')
  bench.expect(String(said?.['message']).startsWith(code), why, code, JSON.stringify(said))
}

const storeDirectory = (bench: Bench, number: number, task: string, store: string): string =>
  path.join(bench.stateDirOf(number), bench.applicationId, task, store)

/** Cuts off the beginning of a changelog, as somebody may do who gives it another cleanup policy for a while. */
const cut = async (
  bench: Bench,
  store: string,
  markersLeft: (partition: number) => number,
): Promise<void> => {
  const topic = bench.changelogOf(store)
  await bench.judge.setTopicSetting(topic, 'cleanup.policy', 'delete')
  for (const { partition, highWatermark } of await bench.judge.offsets(topic)) {
    const before = highWatermark - markersLeft(partition)
    await bench.until(`the cut of ${topic}-${partition}`, () =>
      bench.judge.deleteRecords(topic, partition, before).then(
        () => true,
        // A broker learns of the setting a moment later.
        () => false,
      ),
    )
  }
  await bench.judge.setTopicSetting(topic, 'cleanup.policy', 'compact')
}

const withoutDigest = { stateDigest: 'off' } as const

const rebuilt = (bench: Bench): number => bench.logged('a store is rebuilt from its changelog')

/**
 * A store that is older than what its changelog still holds begins anew: nothing of the old contents is left. What is gone
 * does not go unnoticed: a worker with the digest of what was committed refuses.
 */
const cutChangelog = async (bench: Bench): Promise<string> => {
  bench.worker(1, withoutDigest)
  await workAndClose(bench, 1, 'leave')
  await workAndClose(bench, 2, 'leave')
  bench.loseDisk(2)
  await cut(bench, 'counts', () => 0)
  await refused(bench, bench.worker(3), 'STORE_DIVERGED', 'a changelog that was cut')
  await bench.judge.removeMember(bench.applicationId, bench.instanceOf(3)).catch(() => undefined)
  bench.loseDisk(3)
  await bench.start(1)
  await bench.feeder.feedRound()
  // Of the one that refused, at least one is counted too.
  await bench.finish({ rebuilt: [partitions + 1, 2 * partitions], changelogs: 'cut' })
  return `the changelog of one store was cut: ${rebuilt(bench)} rebuilt`
}

/** A store that missed a tombstone which compaction has removed since would keep the deleted key for ever. */
const agedStore = async (bench: Bench): Promise<string> => {
  await workAndClose(bench, 1, 'leave')
  await bench.start(2)
  for (let round = 0; round < 3; round++) await bench.feeder.feedRound()
  await bench.drain(40_000)
  // Longer than half of delete.retention.ms, and time for the cleaner.
  await sleep(3000)
  await bench.feeder.feedRound()
  await bench.drain(40_000)
  await bench.worker(2).close('leave')
  bench.loseDisk(2)
  await bench.start(1)
  const once = rebuilt(bench)
  bench.expect(once > 0, 'stores rebuilt because of their age', 'some', once)
  await bench.feeder.feedRound()
  await bench.finish({ rebuilt: [1, partitions * storeNames.length], changelogs: 'compacted' })
  return `${rebuilt(bench)} stores were too old to be continued`
}

/** Restores from changelogs with aborted transactions, markers at the end, markers alone, and a beginning that is gone. */
const oddChangelogs = async (bench: Bench): Promise<string> => {
  await bench.start(1, { point: 'before-offset-commit', hit: 2, action: 'abort' })
  for (let round = 0; round < 3; round++) await bench.feeder.feedRound()
  await bench.drain(40_000)
  await bench.worker(1).kill()
  bench.loseDisk(1)
  // All timers have fired: what is cut off deleted them. In one partition the last marker stays, alone.
  await cut(bench, 'timers', (partition) => (partition === 0 ? 1 : 0))
  const startedMs = performance.now()
  await bench.start(1)
  const tookMs = Math.round(performance.now() - startedMs)
  bench.expect(tookMs < 10_000, 'the start with its restore', 'within 10 s', tookMs)
  await bench.feeder.feedRound()
  await bench.finish()
  return `restored within ${tookMs} ms from a start of the process on`
}

/** Another topic of the same name: for a changelog the store is rebuilt, for an input the worker stops. */
const recreatedTopics = async (bench: Bench): Promise<string> => {
  bench.worker(1, withoutDigest)
  await workAndClose(bench, 1)
  const topic = bench.changelogOf('lists')
  await bench.judge.deleteTopics(topic)
  await sleep(1000)
  await bench.start(1)
  await bench.feeder.feedRound()
  await bench.finish({ rebuilt: [partitions, partitions], changelogs: 'cut' })
  // The coordinator forgets the offsets of a topic with the topic.
  await bench.judge.deleteTopics(bench.input)
  await sleep(1000)
  await bench.judge.createTopics({ name: bench.input, partitions })
  await refused(bench, bench.worker(1), 'OFFSETS_MISSING', 'an input that was made again')
  return 'a changelog and an input were made again'
}

const foreignState = async (bench: Bench): Promise<string> => {
  await workAndClose(bench, 1)
  const own = storeDirectory(bench, 1, '0_0', 'counts')
  const kept = path.join(bench.directory, 'kept')
  fs.cpSync(own, kept, { recursive: true })
  fs.rmSync(own, { recursive: true })
  fs.cpSync(storeDirectory(bench, 1, '0_1', 'counts'), own, { recursive: true })
  await refused(bench, bench.worker(1), 'STORE_FOREIGN', 'the store of another partition')
  fs.rmSync(own, { recursive: true })
  fs.renameSync(kept, own)

  // Under its own name in a directory that another application began.
  const stateDir = path.join(bench.directory, 'foreign')
  fs.cpSync(bench.stateDirOf(1), stateDir, { recursive: true })
  const identity = path.join(stateDir, bench.applicationId, 'application.json')
  fs.writeFileSync(
    identity,
    fs.readFileSync(identity, 'utf8').replace(bench.applicationId, 'another-application'),
  )
  await refused(bench, bench.worker(2, { stateDir }), 'STORE_FOREIGN', 'the state of another application')

  await bench.start(1)
  const twin = bench.worker(3, { stateDir: bench.stateDirOf(1) })
  await refused(bench, twin, 'STORE_LOCKED', 'a directory in use by a living process')
  await bench.feeder.feedRound()
  await bench.finish()
  return 'another partition, another application, a living owner: refused'
}

/** A file cut short, its first pages overwritten, and an older copy of a store. */
const tornStores = async (bench: Bench): Promise<string> => {
  await workAndClose(bench, 1)
  const older = path.join(bench.directory, 'older')
  fs.cpSync(storeDirectory(bench, 1, '0_2', 'counts'), older, { recursive: true })
  await workAndClose(bench, 1)
  const data = (task: string): string => path.join(storeDirectory(bench, 1, task, 'counts'), 'data.mdb')
  fs.truncateSync(data('0_0'), 4096 + below(bench.random, 2048))
  const file = fs.openSync(data('0_1'), 'r+')
  fs.writeSync(file, Buffer.alloc(8192, 0x5a), 0, 8192, 0)
  fs.closeSync(file)
  fs.rmSync(storeDirectory(bench, 1, '0_2', 'counts'), { recursive: true })
  fs.cpSync(older, storeDirectory(bench, 1, '0_2', 'counts'), { recursive: true })
  await bench.start(1)
  await bench.feeder.feedRound()
  await bench.finish({ rebuilt: [2, 2] })
  return 'a cut and an overwritten store were rebuilt, an older copy was continued'
}

/** The disk is full when stores are written: what is committed stays so, and a restart with room catches up. */
const fullDisk = async (bench: Bench): Promise<string> => {
  const small = path.join(bench.directory, 'small')
  fs.mkdirSync(small)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', small])
  try {
    const stateDir = path.join(small, 'state')
    const small1 = bench.worker(1, { stateDir })
    const life = await small1.start(undefined, true)
    bench.expect(
      await bench.within('the start on the small disk', 60_000, life.whenRunning),
      'the worker',
      'it runs',
      'an end',
    )
    await bench.feeder.feedRound()
    fs.writeFileSync(path.join(small, 'ballast'), '')
    const ballast = fs.openSync(path.join(small, 'ballast'), 'w')
    try {
      for (;;) fs.writeSync(ballast, Buffer.alloc(65_536))
    } catch {
      // Full now.
    }
    fs.closeSync(ballast)
    // Keys that no store has yet: old pages do not do for them.
    const wide = (number: number): RecordToWrite => ({
      key: `wide-${number}-${'x'.repeat(100)}`,
      value: JSON.stringify({ id: `wide-${number}`, kind: 'count' }),
    })
    for (let chunk = 0; chunk < 10; chunk++)
      await bench.judge.produce(
        bench.input,
        Array.from({ length: 2000 }, (_, index) => wide(chunk * 2000 + index)),
      )
    const end = await bench.within('the end on the full disk', 60_000, life.ended)
    bench.expect(end.code === 1, 'the worker on a full disk', 'exit code 1', JSON.stringify(end))
    const said = bench.log(1).find(({ text }) => text === 'the worker failed')
    bench.expect(
      /STORE_FAILED/.test(String(said?.['message'])),
      'the error on a full disk',
      'STORE_FAILED',
      JSON.stringify(said),
    )
    fs.rmSync(path.join(small, 'ballast'))
    await bench.start(1)
    await bench.feeder.feedRound()
    await bench.finish({ rebuilt: [0, partitions * storeNames.length] })
    return 'stopped on a full disk, and caught up with room'
  } finally {
    await bench.worker(1).kill()
    execFileSync('umount', [small])
  }
}

/** Moves the clock of the first worker, and waits until the worker itself says that it is so late. */
const moveClock = async (bench: Bench, aheadMs: number): Promise<void> => {
  const worker = bench.worker(1)
  worker.moveClock(aheadMs)
  await bench.until('a worker whose clock was moved', async () => {
    worker.askTime()
    await sleep(200)
    const said = worker.log().findLast(({ text }) => text === 'time')
    return said !== undefined && Math.abs(Number(said['now']) - Date.now() - aheadMs) < 60_000
  })
}

/** The clock of the worker jumps an hour ahead and back: nothing is missed, and nothing is rebuilt. */
const movedClock = async (bench: Bench): Promise<string> => {
  const ofProcess = bench.worker(1).useProcessClock()
  bench.feeder.start()
  await bench.start(1)
  await bench.start(2)
  const hourMs = 3_600_000
  const jumps = [hourMs, -hourMs, 0, hourMs]
  for (const aheadMs of jumps) {
    await moveClock(bench, aheadMs)
    await sleep(bench.short ? 1000 : 5000)
  }
  await bench.worker(1).kill()
  await bench.start(1)
  await moveClock(bench, -hourMs)
  await sleep(2000)
  await bench.finish({ recovered: [0, 1] })
  const whose = ofProcess
    ? 'of the process (libfaketime)'
    : "of the worker's ports (libfaketime is not installed)"
  return `${jumps.length + 1} jumps of the wall clock ${whose}`
}

/** The group forgot its offsets while state is there, or a tool set them: refused, and nothing is read again. */
const lostOffsets = async (bench: Bench): Promise<string> => {
  await workAndClose(bench, 1, 'leave')
  const before = await bench.judge.offsets(bench.output)
  const offsets = await bench.judge.groupOffsets(bench.applicationId)
  await bench.until('a group without members', async () => {
    const { members } = await bench.judge.describeGroup(bench.applicationId)
    return members.length === 0
  })
  await bench.judge.deleteGroup(bench.applicationId)
  await refused(bench, bench.worker(1), 'OFFSETS_MISSING', 'offsets that expired')
  await bench.judge.removeMember(bench.applicationId, bench.instanceOf(1)).catch(() => undefined)
  await bench.judge.setGroupOffsets(
    bench.applicationId,
    offsets.map(({ topic, partition }) => ({ topic, partition, offset: 0 })),
  )
  await refused(bench, bench.worker(1), 'OFFSETS_MISSING', 'offsets set by a tool')
  const after = await bench.judge.offsets(bench.output)
  bench.expect(
    JSON.stringify(after) === JSON.stringify(before),
    'the output',
    JSON.stringify(before),
    JSON.stringify(after),
  )
  return 'expired and reset offsets were refused'
}

/** More partitions of an input would send the keys elsewhere: refused. */
const morePartitions = async (bench: Bench): Promise<string> => {
  await workAndClose(bench, 1)
  await bench.judge.addPartitions(bench.input, partitions + 2)
  await sleep(500)
  await refused(bench, bench.worker(1), 'TOPIC_MISMATCH', 'an input with more partitions')
  return 'an input with two partitions more was refused'
}

export const stateRows: readonly BenchRow[] = [
  { id: 'F21', title: 'changelogs that are hard to read', short: true, run: oddChangelogs },
  { id: 'F22', title: 'a changelog that was cut', short: true, run: cutChangelog },
  {
    id: 'F22',
    title: 'a store that is too old for its changelog',
    short: false,
    changelog: { 'delete.retention.ms': '4000', 'segment.ms': '1000', 'min.cleanable.dirty.ratio': '0.001' },
    run: agedStore,
  },
  { id: 'F23', title: 'topics that were made again', short: true, run: recreatedTopics },
  { id: 'F24', title: 'state of somebody else', short: true, run: foreignState },
  { id: 'F25', title: 'torn and old stores', short: true, run: tornStores },
  { id: 'F26', title: 'a full disk', short: false, run: fullDisk },
  { id: 'F29', title: 'a wall clock that jumps', short: false, run: movedClock },
  { id: 'F30', title: 'offsets that expired or were set by a tool', short: true, run: lostOffsets },
  { id: 'F31', title: 'an input with more partitions', short: true, run: morePartitions },
]
