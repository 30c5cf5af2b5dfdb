// The stage of one scenario: an application, the lives of its workers, each behind a proxy of its own, and the end, at
// which everything is drained, closed and checked. It makes no assertion: what is wrong comes out as violations.
import { setTimeout as sleep } from 'node:timers/promises'
import type { SettingsInput } from '../../src/config/settings.ts'
import { brokerAddress, impatiently } from '../support/each-once.ts'
import type { Judge } from '../support/judge.ts'
import { putOut, recoveryKeys } from '../support/lost-commit.ts'
import { apiKeys, KafkaProxy, type ProxyRules } from '../support/proxy.ts'
import { below, type Random, seededRandom } from '../support/random.ts'
import { temporaryDirectory, type TestWorker, testWorker } from '../support/worker.ts'
import { type Application, createApplication } from './application.ts'
import { committedOffsets, storeViolations, tickViolations, type Violation, violationsOf } from './checker.ts'
import type { Invariant } from './expected.ts'

/** An unchanged build on a busy machine; what takes longer is a violation. */
const drainedWithinMs = 20_000
const closedWithinMs = 6000

/** What the checker has to find is not to be found by the worker before it; unless the scenario is about that. */
const withoutDigest = { stateDigest: 'off' } as const

/** For scenarios that hold requests up: nothing is given up meanwhile. */
export const patient = {
  requestTimeoutMs: 10_000,
  transactionTimeoutMs: 20_000,
  sessionTimeoutMs: 45_000,
} as const

const groupKeys: readonly number[] = [recoveryKeys.Heartbeat, recoveryKeys.JoinGroup, recoveryKeys.SyncGroup]

const dropping = (keys: readonly number[]): ProxyRules => ({
  request: ({ apiKey }) => (keys.includes(apiKey) ? 'drop' : 'pass'),
})
/** The worker learns nothing of its group. */
export const withoutGroup: ProxyRules = dropping(groupKeys)
/** The worker learns nothing of its group, and gets no records. */
export const withoutGroupAndRecords: ProxyRules = dropping([...groupKeys, apiKeys.Fetch])
export const withoutRecords: ProxyRules = dropping([apiKeys.Fetch])

/** Whether it came true in time. */
export const eventually = async (
  check: () => boolean | Promise<boolean>,
  timeoutMs: number = drainedWithinMs,
): Promise<boolean> => {
  const deadline = performance.now() + timeoutMs
  while (!(await check())) {
    if (performance.now() > deadline) return false
    await sleep(20)
  }
  return true
}

/** One life of a worker. */
export class Life {
  readonly test: TestWorker
  readonly proxy: KafkaProxy
  readonly stateDir: string

  constructor(test: TestWorker, proxy: KafkaProxy, stateDir: string) {
    this.test = test
    this.proxy = proxy
    this.stateDir = stateDir
  }

  /** From now on, for connections that are open and those to come. */
  obey(rules: ProxyRules): void {
    this.proxy.rules = rules
    this.proxy.cutAll()
  }

  said(text: string): number {
    return this.test.log.with(text).length
  }

  /** It has committed something more, or was told that it may not. */
  async decided(committedBefore: number): Promise<void> {
    await eventually(
      () => this.test.worker.counts.committed > committedBefore || this.said('the membership is over') > 0,
    )
  }

  async close(): Promise<void> {
    const closed = this.test.worker.close({ leave: true }).catch(() => {})
    const late = new AbortController()
    await Promise.race([closed, sleep(closedWithinMs, undefined, { signal: late.signal }).catch(() => {})])
    late.abort()
  }
}

export interface StageOptions {
  readonly kind?: 'numbering' | 'ticking'
  readonly partitions?: number
  /** Of every worker. */
  readonly settings?: Omit<SettingsInput, 'stateDir'>
}

export class Stage {
  readonly judge: Judge
  readonly app: Application
  readonly #random: Random
  readonly #kind: 'numbering' | 'ticking'
  readonly #settings: Omit<SettingsInput, 'stateDir'>
  readonly #lives: Life[] = []
  readonly #directories = new Map<string, ReturnType<typeof temporaryDirectory>>()
  readonly #noted: Violation[] = []
  #hangs = false

  private constructor(
    judge: Judge,
    app: Application,
    { kind = 'numbering', settings = withoutDigest }: StageOptions,
    random: Random,
  ) {
    this.judge = judge
    this.app = app
    this.#kind = kind
    this.#settings = settings
    this.#random = random
  }

  static async open(judge: Judge, seed: number, options: StageOptions = {}): Promise<Stage> {
    const { kind = 'numbering', partitions = 1 } = options
    const app = await createApplication(judge, kind, partitions)
    return new Stage(judge, app, options, seededRandom(seed))
  }

  note(invariant: Invariant, evidence: string): void {
    this.#noted.push({ invariant, evidence })
  }

  /** A worker hangs: nothing is waited for any more. */
  hangs(evidence: string): void {
    this.note('I10', evidence)
    this.#hangs = true
  }

  /** Makes a worker and does not start it. The name is its instance id, and that of its disk: a second life has both. */
  async prepare(by: string, settings: Omit<SettingsInput, 'stateDir'> = {}): Promise<Life> {
    const directory = this.#directories.get(by) ?? temporaryDirectory()
    this.#directories.set(by, directory)
    const proxy = await KafkaProxy.start(brokerAddress())
    const test = testWorker(this.app.topology(by), {
      ...impatiently(proxy.address, directory.path),
      instanceId: by,
      ...this.#settings,
      ...settings,
    })
    const life = new Life(test, proxy, directory.path)
    this.#lives.push(life)
    return life
  }

  async start(by: string, settings?: Omit<SettingsInput, 'stateDir'>): Promise<Life> {
    const life = await this.prepare(by, settings)
    await life.test.worker.start()
    return life
  }

  /** A few records more for each partition: two to six, by the seed. */
  async feed(): Promise<void> {
    await this.app.feed(2 + below(this.#random, 5))
  }

  async fedAndDrained(): Promise<void> {
    await this.feed()
    await this.drained()
  }

  /** The group has committed the end of every input partition; a violation of I10 when it has not in time. */
  async drained(): Promise<void> {
    let state = ''
    const isDrained = async (): Promise<boolean> => {
      const committed = await committedOffsets(this.judge, this.app)
      const ends = (await this.judge.offsets(this.app.input)).map(({ highWatermark }) => highWatermark)
      state = `committed ${committed} of ${ends}`
      return committed.every((offset, partition) => offset >= (ends[partition] ?? 0))
    }
    if (!(await eventually(isDrained))) this.note('I10', `not drained after ${drainedWithinMs} ms: ${state}`)
  }

  /** Of workers that are closed: what their disks hold. */
  async checkStores(): Promise<void> {
    const stateDirs = [...this.#directories.values()].map(({ path }) => path)
    this.#noted.push(...(await storeViolations(this.judge, this.app, stateDirs)))
  }

  async putOut(by: string): Promise<void> {
    await putOut(this.app.applicationId, by)
  }

  /** After the trouble: works a little more, closes everything, and checks it. */
  async violations(): Promise<Violation[]> {
    for (const life of this.#lives) life.proxy.cutAll()
    if (this.#kind === 'numbering' && !this.#hangs) await this.fedAndDrained()
    for (const { test } of this.#lives) {
      const failure = test.failure()
      if (failure !== undefined) this.note('I10', `a worker stopped: ${failure.message}`)
      for (const { fields } of test.log.with('a store is rebuilt')) this.note('I11', String(fields['reason']))
    }
    await this.#close()
    const check = this.#kind === 'numbering' ? violationsOf : tickViolations
    await this.checkStores()
    return [...(await check(this.judge, this.app)), ...this.#noted]
  }

  /** Stores that a worker found to be something else than what was committed. */
  diverged(): number {
    return this.#lives.reduce((sum, { test }) => sum + test.worker.status().diverged, 0)
  }

  /** The end of what each worker wrote into its log. */
  log(): string {
    return this.#lives
      .flatMap(({ test }, index) =>
        test.log.lines
          .slice(-25)
          .map(({ level, text, fields }) => `life ${index + 1}: ${level} ${text} ${JSON.stringify(fields)}`),
      )
      .join('\n')
  }

  async #close(): Promise<void> {
    await Promise.all(this.#lives.map((life) => life.close()))
  }

  /** Leaves nothing behind, also after a scenario that broke off. */
  async dispose(): Promise<void> {
    await this.#close()
    await Promise.all(this.#lives.map(({ proxy }) => proxy.stop()))
    for (const directory of this.#directories.values()) directory[Symbol.dispose]()
  }
}
