// Rows about processes that die, stand still, come back, come twice, join and leave.
import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultPoint, faultPoints } from '../../../src/base/fault-point.ts'
import { below, shuffled } from '../../support/random.ts'
import type { Fault } from '../support/faults.ts'
import type { Bench } from './bench.ts'
import type { BenchRow } from './row.ts'

const hitsMax: Partial<Record<FaultPoint, number>> = {
  'mid-batch': 300,
  'after-produce': 12,
  'restore-batch': 1,
}

const faultAt = (bench: Bench, point: FaultPoint, action: Fault['action']): Fault => ({
  point,
  // The first time, or some later one.
  hit: bench.random() < 0.3 ? 1 : 1 + below(bench.random, hitsMax[point] ?? 6),
  action,
  ...(point.endsWith('-sent') ? { delayMs: below(bench.random, 12) } : {}),
})

/** A restore passes its point only where there is something to restore. */
const armFor = (bench: Bench, point: FaultPoint, worker: number): void => {
  if (point === 'restore-batch') bench.loseDisk(worker)
}

/** Dies at each point; the same worker comes back, or another one takes over and the dead one comes back later. */
const killAtEachPoint = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  await bench.start(2)
  const chosen = shuffled(bench.random, faultPoints).slice(0, bench.short ? 4 : faultPoints.length)
  let open = 0
  for (const [index, point] of chosen.entries()) {
    const fault = faultAt(bench, point, 'kill')
    const planned = `kill at ${point}, hit ${fault.hit}`
    armFor(bench, point, 1)
    const { ended } = await bench.worker(1).start(fault, index % 2 === 0)
    const end = await bench.within(planned, 60_000, ended)
    bench.expect(end.signal === 'SIGKILL', planned, 'the end by SIGKILL', JSON.stringify(end))
    if (bench.worker(1).killLine()?.transaction === 'open') open++
    bench.keepSnapshot(1, `after the ${planned}`)
    // Odd ones: an operator takes the dead member out, so that the other worker has its tasks and its open transaction.
    if (index % 2 === 1) {
      await bench.judge.removeMember(bench.applicationId, bench.instanceOf(1))
      await sleep(1500)
    }
  }
  await bench.start(1)
  await bench.finish()
  return `${chosen.length} kills, ${open} inside an open transaction`
}

const signalAtEachPoint = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  const chosen = shuffled(bench.random, faultPoints).slice(0, bench.short ? 3 : faultPoints.length)
  let slowestMs = 0
  for (const point of chosen) {
    const fault = faultAt(bench, point, 'term')
    armFor(bench, point, 1)
    const { ended } = await bench.worker(1).start(fault)
    const end = await bench.within(`SIGTERM at ${point}, hit ${fault.hit}`, 60_000, ended)
    const line = bench.worker(1).killLine()
    // A worker that is told to close before it ran says so by an error; either way it has given everything back.
    const closedInTime = point === 'restore-batch' || end.code === 0
    bench.expect(closedInTime, `SIGTERM at ${point}`, 'exit code 0', JSON.stringify(end))
    bench.expect(line?.text === 'term', `SIGTERM at ${point}`, 'a line about it', JSON.stringify(line))
    slowestMs = Math.max(slowestMs, (bench.log(1).at(-1)?.at ?? 0) - (line?.at ?? 0))
    const state = await bench.transactionState(1)
    bench.expect(state !== 'Ongoing', `transaction after SIGTERM at ${point}`, 'none open', state)
  }
  bench.expect(slowestMs < 5000, 'the slowest end', 'within 5000 ms', slowestMs)
  await bench.start(1)
  await bench.finish()
  return `SIGTERM at ${chosen.length} points, the slowest end took ${slowestMs} ms`
}

/** Stands still for so long at a point, and wakes up. */
const haltAt = async (bench: Bench, point: FaultPoint, forMs: number): Promise<void> => {
  const fault = faultAt(bench, point, 'stop')
  await bench.start(1, fault)
  await bench.until(`SIGSTOP at ${point}`, () => bench.worker(1).killLine() !== undefined)
  await sleep(forMs)
  bench.worker(1).signal('SIGCONT')
}

const shortHalt = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  const point = shuffled(bench.random, [
    'mid-batch',
    'after-produce',
    'end-txn-sent',
  ] as const)[0] as FaultPoint
  await haltAt(bench, point, 3000)
  await sleep(1000)
  await bench.finish({ recovered: [0, 0] })
  bench.expect(bench.logged('tasks assigned') === 1, 'assignments', 1, bench.logged('tasks assigned'))
  return `3 s at ${point}, nobody noticed`
}

/** Is put out of the group while it stands still inside its transaction: another one has its tasks when it wakes up. */
const zombie = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  const points = ['before-offset-commit', 'after-produce', 'after-offset-commit', 'before-end-txn'] as const
  const chosen = shuffled(bench.random, points).slice(0, bench.short ? 1 : points.length)
  for (const point of chosen) {
    const fault = { ...faultAt(bench, point, 'stop'), afterMs: 500 }
    await bench.start(1, fault)
    await bench.until(`SIGSTOP at ${point}`, () => bench.worker(1).killLine() !== undefined)
    await bench.judge.removeMember(bench.applicationId, bench.instanceOf(1))
    const other = await bench.worker(2).start()
    // The other one waits for the end of our transaction; in the meantime we wake up.
    await sleep(4000)
    bench.worker(1).signal('SIGCONT')
    bench.expect(
      await bench.within('the start of the other worker', 40_000, other.whenRunning),
      'the other worker',
      'it runs',
      'an end',
    )
    await sleep(2000)
    bench.expect(bench.worker(1).isRunning, `the worker that woke up after ${point}`, 'it runs', 'an end')
    await bench.worker(1).close('leave')
    await bench.worker(2).close('leave')
  }
  await bench.start(1)
  await bench.finish()
  // One that had sent its offsets may still commit, and learns from the next heartbeat.
  const noticed = bench
    .log(1)
    .filter(
      ({ text, error }) =>
        text === 'the membership is over' ||
        text === 'the transaction is aborted' ||
        (text === 'a heartbeat was answered' && error === 'UNKNOWN_MEMBER_ID'),
    ).length
  bench.expect(noticed > 0, 'the worker that woke up', 'it noticed', 'nothing in its log')
  return `woke up in another's time, at ${chosen.join(', ')}`
}

/**
 * Its session ends while it stands still, and its transaction would be open for another minute: the leader of the group
 * aborts it, so that nobody waits, and it wakes up to a commit that is refused.
 */
const zombieOfShortSession = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  await bench.start(2)
  const points = ['before-offset-commit', 'after-produce', 'after-offset-commit', 'before-end-txn'] as const
  const chosen = shuffled(bench.random, points).slice(0, bench.short ? 1 : points.length)
  const fenced = (): number =>
    bench.logged('a worker that is gone left a transaction open, which is aborted', 2)
  for (const point of chosen) {
    const before = fenced()
    await bench.start(1, { ...faultAt(bench, point, 'stop'), afterMs: 500 })
    await bench.until(`SIGSTOP at ${point}`, () => bench.worker(1).killLine() !== undefined)
    await bench.until('the end of what it left open', () => fenced() > before, 15_000)
    await sleep(1000)
    bench.worker(1).signal('SIGCONT')
    await sleep(2000)
    bench.expect(bench.worker(1).isRunning, `the worker that woke up after ${point}`, 'it runs', 'an end')
    await bench.within('its close', 30_000, bench.worker(1).close('leave'))
  }
  await bench.finish()
  const recovered = bench.logged('the worker recovers', 2)
  bench.expect(recovered === 0, 'recoveries of the worker that went on', 0, recovered)
  return `taken over after 6 s with a transaction of 60 s, at ${chosen.join(', ')}`
}

const longHalt = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  await bench.start(2)
  const chosen: readonly FaultPoint[] = bench.short
    ? ['mid-batch']
    : shuffled(bench.random, ['end-txn-sent', 'mid-batch', 'offset-commit-sent'])
  for (const point of chosen) {
    await haltAt(bench, point, bench.short ? 6000 : 15_000)
    await sleep(3000)
    bench.expect(bench.worker(1).isRunning, `the worker after ${point}`, 'it runs', 'an end')
    await bench.worker(1).close()
  }
  await bench.start(1)
  await bench.finish()
  const recovered = bench.logged('the worker recovers', 1)
  return `longer than the transaction's time at ${chosen.join(', ')}; ${recovered} recoveries`
}

/** 1 -> 4 -> 1 workers while input goes on; some leave in good order, one is killed and its session runs out. */
const scale = async (bench: Bench): Promise<string> => {
  const pauseMs = bench.short ? 1000 : 5000
  bench.feeder.start()
  for (const number of [1, 2, 3, 4]) {
    await bench.start(number)
    await sleep(pauseMs)
  }
  const [killed, ...leaving] = shuffled(bench.random, [2, 3, 4])
  for (const number of leaving) {
    const end = await bench.within(`worker ${number} leaves`, 30_000, bench.worker(number).close('leave'))
    bench.expect(end?.code === 0, `the end of worker ${number}`, 'exit code 0', JSON.stringify(end))
    await sleep(pauseMs)
  }
  await bench.worker(killed as number).kill()
  await bench.finish()
  return `1 to 4 to 1 workers, ${bench.logged('tasks assigned')} assignments`
}

/** The same identity twice: one of them goes, with an error that says why; the other one works on. */
const twins = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  const { ended } = await bench.start(1)
  await sleep(1000)
  const twin = bench.worker(2, { instanceId: bench.instanceOf(1) })
  const second = await twin.start()
  const first = await bench.within('the end of one of the twins', 40_000, Promise.race([ended, second.ended]))
  bench.expect(first.code === 1, 'the end of one twin', 'exit code 1', JSON.stringify(first))
  await sleep(3000)
  const running = [1, 2].filter((number) => bench.worker(number).isRunning)
  bench.expect(running.length === 1, 'twins that run', 1, running.length)
  const said = bench.log().filter(({ text }) => text === 'the worker failed')
  bench.expect(
    said.length === 1 && /group\.instance\.id|INSTANCE_FENCED|same/.test(JSON.stringify(said[0])),
    'what the other one said',
    'that it has a twin',
    JSON.stringify(said),
  )
  await bench.finish()
  return `worker ${running[0] === 1 ? 'one' : 'two'} of the twins works on`
}

/** Somebody takes our transactional id: we take it back, and the thief cannot commit. */
const hijack = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  await bench.start(1)
  const thefts = bench.short ? 2 : 6
  for (let theft = 0; theft < thefts; theft++) {
    await sleep(700)
    const thief = await bench.judge.openProducer({ transactionalId: bench.transactionalIdOf(1) })
    await sleep(1500)
    const outcome = await thief
      .begin()
      .then(() => thief.send(bench.output, [{ key: 'thief', value: '{"id":"thief","part":"theft"}' }]))
      .then(() => thief.commit())
      .then(
        () => 'committed',
        () => 'fenced',
      )
    await thief.abandon().catch(() => undefined)
    bench.expect(outcome === 'fenced', 'the thief', 'fenced', outcome)
    bench.expect(bench.worker(1).isRunning, 'the worker', 'it runs', 'an end')
  }
  await bench.finish()
  return `${thefts} thefts of the transactional id, ${bench.logged('the worker recovers')} recoveries`
}

const abortOften = async (bench: Bench): Promise<string> => {
  await bench.start(1, { point: 'before-offset-commit', hit: 4, action: 'abort' })
  for (let round = 0; round < (bench.short ? 4 : 12); round++) await bench.feeder.feedRound()
  await bench.finish({ recovered: [0, 0] })
  const aborted = bench.logged('the transaction is aborted')
  bench.expect(aborted > 0, 'aborted transactions', 'some', aborted)
  return `${aborted} transactions aborted after their outputs were written`
}

/** A foreign transaction stays open on the input: it holds us up, and nothing of it comes through. */
const foreignTransaction = async (bench: Bench): Promise<string> => {
  await bench.start(1)
  await bench.feeder.feedRound()
  const stranger = await bench.judge.openProducer({
    transactionalId: `stranger-of-${bench.applicationId}`,
    settings: { 'transaction.timeout.ms': '5000' },
  })
  await stranger.begin()
  const records = Array.from({ length: 4 }, (_, partition) => ({
    partition,
    key: 'ABORTED',
    value: '{"id":"ABORTED-stranger","kind":"count"}',
  }))
  await stranger.send(bench.input, records)
  await stranger.abandon()
  const before = await bench.judge.offsets(bench.input)
  await bench.feeder.feedRound()
  const during = await bench.judge.offsets(bench.input)
  for (const [index, { partition, lastStable }] of during.entries())
    bench.expect(
      lastStable === before[index]?.lastStable,
      `last stable offset of ${partition}`,
      before[index]?.lastStable,
      lastStable,
    )
  await bench.feeder.feedRound()
  await bench.finish({ recovered: [0, 0] })
  return 'held up until the broker aborted it'
}

/**
 * The owner stands still between its TxnOffsetCommit and its EndTxn, another one asks for the offsets at once, and only
 * then the owner commits, which nobody forbids: whoever did not wait for it does its records again.
 */
const pendingCommit = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  await bench.start(2)
  const points: readonly FaultPoint[] = ['after-offset-commit', 'before-end-txn']
  const halts = bench.short ? 1 : 4
  for (let halt = 0; halt < halts; halt++) {
    const point = points[halt % points.length] as FaultPoint
    await bench.start(1, { ...faultAt(bench, point, 'stop'), afterMs: 500 })
    await bench.until(`SIGSTOP at ${point}`, () => bench.worker(1).killLine() !== undefined)
    await bench.judge.removeMember(bench.applicationId, bench.instanceOf(1))
    await sleep(2500)
    bench.worker(1).signal('SIGCONT')
    await sleep(2500)
    await bench.within('the close of the one who waited', 30_000, bench.worker(1).close('leave'))
  }
  await bench.finish()
  return `${halts} commits while another one waited for them`
}

/** 33,000 transactions of one producer: its epochs run out at 32,767 and it gets another id. */
const manyTransactions = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  await bench.start(1)
  const idOf = async (): Promise<number | undefined> =>
    (await bench.judge.describeTransactions(bench.transactionalIdOf(1)))[0]?.producerId
  const first = await idOf()
  const committed = async (): Promise<number> => {
    const offsets = await bench.judge.groupOffsets(bench.applicationId)
    return Math.max(0, ...offsets.map(({ metadata }) => Number(metadata?.split(';')[3] ?? 0)))
  }
  const wanted = 33_000
  await bench.until(
    `${wanted} transactions`,
    async () => {
      await sleep(2000)
      return (await committed()) > wanted
    },
    3_600_000,
  )
  const last = await idOf()
  bench.expect(first !== last, 'the producer id', `another than ${first}`, last)
  await bench.finish({ recovered: [0, 0] })
  return `producer id ${first} was followed by ${last}`
}

export const processRows: readonly BenchRow[] = [
  { id: 'F1', title: 'kill -9 at each fault point', short: true, run: killAtEachPoint },
  {
    id: 'F7',
    title: 'a pause shorter than every timeout',
    short: true,
    settings: { transactionTimeoutMs: 10_000, sessionTimeoutMs: 30_000 },
    run: shortHalt,
  },
  {
    id: 'F8',
    title: 'a pause, and another one has the tasks meanwhile',
    short: true,
    settings: { transactionTimeoutMs: 12_000, sessionTimeoutMs: 30_000 },
    run: zombie,
  },
  {
    id: 'F8',
    title: 'a pause longer than a short session',
    short: false,
    settings: { transactionTimeoutMs: 60_000, sessionTimeoutMs: 6000, rebalanceTimeoutMs: 4000 },
    run: zombieOfShortSession,
  },
  { id: 'F9', title: 'a pause longer than the transaction may take', short: true, run: longHalt },
  {
    id: 'F11',
    title: 'taken over while the commit is pending',
    short: true,
    settings: { transactionTimeoutMs: 12_000, sessionTimeoutMs: 30_000 },
    run: pendingCommit,
  },
  { id: 'F12', title: '1 to 4 to 1 workers', short: true, pauseMs: 40, run: scale },
  { id: 'F13', title: 'twins', short: true, run: twins },
  { id: 'F13', title: 'a stolen transactional id', short: true, run: hijack },
  { id: 'F14', title: 'aborts after some outputs', short: true, run: abortOften },
  {
    id: 'F16',
    title: 'an open transaction of a stranger on the input',
    short: true,
    run: foreignTransaction,
  },
  {
    id: 'F33',
    title: 'the epochs of a producer id run out',
    short: false,
    settings: { commitIntervalMs: 1 },
    pauseMs: 0,
    recordsPerChunk: 2,
    run: manyTransactions,
  },
  { id: 'F34', title: 'SIGTERM at each fault point', short: true, run: signalAtEachPoint },
]
