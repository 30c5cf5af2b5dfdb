// Measured under steady input with three workers: how long partitions go without a commit in a rolling restart, and how
// long a take-over takes. Reports: judged as any run is judged, but not by their times, which belong to the machine.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import type { BenchRow } from './row.ts'

const workers = [1, 2, 3] as const
const lookEveryMs = 20
/** Before and after each restart, so that commits frame it. */
const aroundMs = 1000

/** When the committed offset of each partition (`<topic>/<partition>`) was seen to move. */
class CommitTimes {
  readonly #bench: Bench
  readonly #moved = new Map<string, { offset: number; readonly times: number[] }>()
  readonly #running: Promise<void>
  #stopped = false

  constructor(bench: Bench) {
    this.#bench = bench
    this.#running = this.#run()
    // Whoever stops it is told.
    this.#running.catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  /** The longest time between two commits of a partition that touch this period, ms. */
  longestPauseMs(partition: string, fromMs: number, toMs: number): number {
    const times = this.#moved.get(partition)?.times ?? []
    const before = times.findLast((time) => time <= fromMs) ?? fromMs
    const after = times.find((time) => time >= toMs) ?? toMs
    const inside = [before, ...times.filter((time) => time > before && time < after), after]
    return Math.max(...inside.slice(1).map((time, index) => time - (inside[index] as number)))
  }

  /** The first commit of a partition after this time, undefined where there is none yet. */
  firstAfterMs(partition: string, afterMs: number): number | undefined {
    return this.#moved.get(partition)?.times.find((time) => time > afterMs)
  }

  async #run(): Promise<void> {
    const { judge, applicationId } = this.#bench
    while (!this.#stopped) {
      const offsets = await judge.groupOffsets(applicationId)
      const now = performance.now()
      for (const { topic, partition, offset } of offsets) {
        const id = `${topic}/${partition}`
        const known = this.#moved.get(id) ?? { offset: -1, times: [] }
        if (offset !== known.offset) known.times.push(now)
        known.offset = offset
        this.#moved.set(id, known)
      }
      await sleep(lookEveryMs)
    }
  }
}

/** Owner of each partition (`<topic>/<partition>`), by instance id, once the group has come to rest. */
const ownersOf = async (bench: Bench): Promise<ReadonlyMap<string, string>> => {
  let owners = new Map<string, string>()
  await bench.until('a stable group', async () => {
    const { state, members } = await bench.judge.describeGroup(bench.applicationId)
    owners = new Map(
      members.flatMap(({ instanceId, partitions }) =>
        partitions.map(([topic, partition]) => [`${topic}/${partition}`, instanceId ?? '(none)'] as const),
      ),
    )
    return state.toLowerCase() === 'stable'
  })
  return owners
}

interface Pauses {
  /** Longest, ms: of partitions that stayed where they were, and of those that moved or whose owner was restarted. */
  stayed: number
  others: number
}

const roll = async (bench: Bench, times: CommitTimes, how: 'close' | 'leave'): Promise<Pauses> => {
  const pauses: Pauses = { stayed: 0, others: 0 }
  for (const number of workers) {
    await sleep(aroundMs)
    const beganMs = performance.now()
    const before = await ownersOf(bench)
    await bench.within(`the close of worker ${number}`, 30_000, bench.worker(number).close(how))
    const meanwhile = how === 'leave' ? await ownersOf(bench) : before
    await bench.start(number)
    await sleep(aroundMs)
    const after = await ownersOf(bench)
    const endedMs = performance.now()
    await sleep(aroundMs)
    for (const [partition, owner] of before) {
      // Credits come from other tasks: without them there is nothing to commit.
      if (!partition.startsWith(`${bench.input}/`)) continue
      const stayed =
        owner !== bench.instanceOf(number) &&
        [meanwhile, after].every((owners) => owners.get(partition) === owner)
      const pauseMs = times.longestPauseMs(partition, beganMs, endedMs)
      if (stayed) pauses.stayed = Math.max(pauses.stayed, pauseMs)
      else pauses.others = Math.max(pauses.others, pauseMs)
    }
  }
  return pauses
}

const shown = (what: string, { stayed, others }: Pauses): string =>
  `${what}: ${Math.round(stayed)} ms where nothing moved, ${Math.round(others)} ms elsewhere`

/** Three workers with tasks, under steady input. */
const measured =
  (measure: (bench: Bench, times: CommitTimes) => Promise<string>) =>
  async (bench: Bench): Promise<string> => {
    bench.feeder.start()
    for (const number of workers) await bench.start(number)
    await bench.until(
      'tasks for every worker',
      async () => new Set((await ownersOf(bench)).values()).size === workers.length,
    )
    const times = new CommitTimes(bench)
    try {
      const told = await measure(bench, times)
      await times.stop()
      await bench.finish()
      return told
    } finally {
      await times.stop().catch(() => undefined)
    }
  }

const rollingRestart = async (bench: Bench, times: CommitTimes): Promise<string> => {
  const restarted = await roll(bench, times, 'close')
  const left = await roll(bench, times, 'leave')
  return `longest time without a commit; ${shown('restarted', restarted)}; ${shown('left and came back', left)}`
}

/** Each worker dies once; from the moment when the group knows of it, until each of its partitions has a commit again. */
const takeOver = async (bench: Bench, times: CommitTimes): Promise<string> => {
  const tookMs: number[] = []
  for (const number of workers) {
    await sleep(aroundMs)
    const instance = bench.instanceOf(number)
    const own = [...(await ownersOf(bench))].filter(([, owner]) => owner === instance)
    await bench.worker(number).kill()
    // What the end of the session does, without the wait for it.
    await bench.judge.removeMember(bench.applicationId, instance)
    const noticedMs = performance.now()
    const waitsMs = (): number[] =>
      own.map(([partition]) => (times.firstAfterMs(partition, noticedMs) ?? Number.NaN) - noticedMs)
    await bench.until('a commit in each partition', () => !waitsMs().some(Number.isNaN), 60_000)
    tookMs.push(Math.max(0, ...waitsMs()))
    await bench.start(number)
  }
  const shownMs = tookMs.map((ms) => `${Math.round(ms)} ms`).join(', ')
  return `from the group's notice until every partition of the dead had a commit: ${shownMs}`
}

const settings = { transactionTimeoutMs: 10_000, sessionTimeoutMs: 45_000 }
const steady = { short: false, settings, recordsPerChunk: 40, pauseMs: 20 }

export const measuredRows: readonly BenchRow[] = [
  { ...steady, id: 'ROLLING', title: 'a rolling restart of three workers', run: measured(rollingRestart) },
  { ...steady, id: 'TAKEOVER', title: 'three workers die one after the other', run: measured(takeOver) },
  {
    ...steady,
    id: 'TAKEOVER',
    title: 'three workers with standbys and short sessions die one after the other',
    // A removal stands for the end of a session: with long ones the transaction of the dead would be over by then.
    settings: { ...settings, sessionTimeoutMs: 15_000, standbyReplicas: 1 },
    run: measured(takeOver),
  },
]
