// Commits whose outcome the worker does not learn: a proxy in front of a real broker lets EndTxn through, swallows the
// answer to one that was applied, loses the request, or delivers it late, in random order, while a worker counts words.
// Then the Java consumer reads everything and it is counted again. Nothing may be lost, doubled or wiped, and the worker
// must not stop.
//
// Two ways on: the next try of the same EndTxn gets through ("repeated"), or none does until the worker gives up and finds
// out by InitProducerId and OffsetFetch what became of the transaction ("looked up").
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type JvmKafkaHandle, startKafka } from '../../src/testing/kafka/start-kafka.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import {
  apiKeys,
  KafkaProxy,
  type ProxiedRequest,
  type ProxyRules,
  readEndTxn,
  type Verdict,
} from '../support/proxy.ts'
import { below, type Random, runSeed, seededRandom, shuffled } from '../support/random.ts'
import {
  createWordCountTopics,
  expectExactCounts,
  isDrained,
  type WordCount,
  wordCount,
} from '../support/word-count.ts'
import { startWorker, temporaryDirectory, type TestWorker } from '../support/worker.ts'

/** Short, so that silence costs little time; far above what a request takes. */
const requestTimeoutMs = 150
const partitions = 3

type Outcome = 'answered' | 'applied, unanswered' | 'never arrived' | 'arrived late'

interface Step {
  readonly outcome: Outcome
  /** How the client finds out: the connection ends, or nothing comes until its own timeout. */
  readonly silence: 'cut' | 'drop'
  readonly ending: 'repeated' | 'looked up'
}

/** `times` steps of each outcome. Of 20 in trouble 2 are looked up and 2 are silent, one of them both: those take long. */
const stepsOf = (times: number): Step[] => {
  const outcomes: [Outcome, number][] = [
    ['answered', times],
    ['applied, unanswered', times],
    ['never arrived', times],
    ['arrived late', times / 5],
  ]
  return outcomes.flatMap(([outcome, length]) =>
    Array.from(
      { length },
      (_, index): Step => ({
        outcome,
        silence: index % 20 < 2 ? 'drop' : 'cut',
        ending: index % 20 === 1 || index % 20 === 2 ? 'looked up' : 'repeated',
      }),
    ),
  )
}

/** Deals out the steps, one per transaction that is committed. */
class EndTxnFaults implements Faults {
  readonly done: Step[] = []
  readonly #random: Random
  readonly #steps: Step[]
  #current: { readonly producer: string; readonly step: Step; tries: number; answered: boolean } | undefined

  constructor(random: Random, times: number) {
    this.#random = random
    this.#steps = shuffled(random, stepsOf(times))
  }

  get isOver(): boolean {
    return this.#steps.length === 0 && this.#current === undefined
  }

  get dealt(): number {
    return this.done.length
  }

  readonly rules: ProxyRules = {
    request: (request) => (request.apiKey === apiKeys.EndTxn ? this.#request(request) : 'pass'),
    answer: (request, answer) => {
      // Some transactions are aborted: only there does it show that a late commit met the wrong transaction.
      if (request.apiKey === apiKeys.TxnOffsetCommit && below(this.#random, 16) === 0) {
        return { replaceBy: refuseOffsets(answer) }
      }
      return request.apiKey === apiKeys.EndTxn ? this.#answer(request, answer) : 'pass'
    },
  }

  #request(request: ProxiedRequest): Verdict {
    const { producer, committed } = readEndTxn(request)
    if (!committed) return 'pass'
    // Another epoch: the worker gave the last one up, or (TV2) its commit was answered.
    if (this.#current !== undefined && (this.#current.answered || this.#current.producer !== producer))
      this.#finish()
    if (this.#current === undefined) {
      const step = this.#steps.shift()
      if (step === undefined) return 'pass'
      this.#current = { producer, step, tries: 0, answered: false }
    }
    this.#current.tries++
    if (!this.#isTroubled) return 'pass'
    const { outcome, silence } = this.#current.step
    // Late means: while the client repeats it, looks it up, or (mostly) is in the middle of a later transaction.
    if (outcome === 'arrived late') return { ghostMs: below(this.#random, 100) }
    return outcome === 'never arrived' ? silence : 'pass'
  }

  #answer(request: ProxiedRequest, answer: Buffer): Verdict {
    if (this.#current === undefined || !readEndTxn(request).committed) return 'pass'
    if (this.#isTroubled && this.#current.step.outcome === 'applied, unanswered')
      return this.#current.step.silence
    // Anything but NONE (CONCURRENT_TRANSACTIONS, for instance) is repeated by the client and belongs to this step.
    this.#current.answered = errorOf(request, answer) === 0
    if (this.#current.answered && this.#steps.length === 0) this.#finish()
    return 'pass'
  }

  get #isTroubled(): boolean {
    const { step, tries } = this.#current as { step: Step; tries: number }
    return step.outcome !== 'answered' && (tries === 1 || step.ending === 'looked up')
  }

  #finish(): void {
    if (this.#current !== undefined) this.done.push(this.#current.step)
    this.#current = undefined
  }
}

/** Loses so many answers of each of these APIs, and as many requests (some come late), once per transaction at most. */
class RequestFaults implements Faults {
  readonly lost = new Map<string, number>()
  readonly #random: Random
  readonly #left: {
    readonly name: string
    readonly apiKey: number
    readonly side: 'request' | 'answer'
    times: number
  }[]
  #isQuiet = false

  constructor(random: Random, apis: Readonly<Partial<Record<keyof typeof apiKeys, number>>>) {
    this.#random = random
    this.#left = Object.entries(apis).flatMap(([name, times]) =>
      (['request', 'answer'] as const).map((side) => ({
        name,
        apiKey: apiKeys[name as keyof typeof apiKeys],
        side,
        times,
      })),
    )
  }

  get isOver(): boolean {
    return this.#left.every(({ times }) => times === 0)
  }

  get dealt(): number {
    return [...this.lost.values()].reduce((sum, count) => sum + count, 0)
  }

  readonly rules: ProxyRules = {
    request: (request) => {
      // The end of a transaction: the next one may be troubled again.
      if (request.apiKey === apiKeys.EndTxn) this.#isQuiet = false
      return this.#verdict(request, 'request')
    },
    answer: (request) => this.#verdict(request, 'answer'),
  }

  #verdict(request: ProxiedRequest, side: 'request' | 'answer'): Verdict {
    const left = this.#left.find((one) => one.apiKey === request.apiKey && one.side === side && one.times > 0)
    if (left === undefined || this.#isQuiet || this.#random() < 0.5) return 'pass'
    left.times--
    this.#isQuiet = true
    const name = `${left.name} ${side}`
    this.lost.set(name, (this.lost.get(name) ?? 0) + 1)
    const how = below(this.#random, 4)
    if (how === 0) return 'drop'
    return how < 3 || side === 'answer' ? 'cut' : { ghostMs: below(this.#random, 100) }
  }
}

/** Answer to EndTxn: correlation id int32 · tags (v3+) · throttle_time_ms int32 · error_code int16 */
const errorOf = ({ apiVersion }: ProxiedRequest, answer: Buffer): number =>
  answer.readInt16BE(apiVersion >= 3 ? 9 : 8)

/**
 * The answer to TxnOffsetCommit v3+, with UNKNOWN_SERVER_ERROR for its first partition: correlation id int32 · tags
 * · throttle_time_ms int32 · topics [ name string · partitions [ index int32 · error_code int16 · tags ] · tags ] · tags
 */
const refuseOffsets = (answer: Buffer): Buffer => {
  const refused = Buffer.from(answer)
  const nameAt = 10
  refused.writeInt16BE(-1, nameAt + answer.readUInt8(nameAt) + 5)
  return refused
}

const vocabulary = Array.from({ length: 40 }, (_, index) => `word${index}`)
const randomLine = (random: Random): string =>
  Array.from({ length: 1 + below(random, 4) }, () => vocabulary[below(random, vocabulary.length)]).join(' ')

/** What deals out the faults. */
interface Faults {
  readonly rules: ProxyRules
  readonly isOver: boolean
  /** Grows with each fault. */
  readonly dealt: number
}

const stallMs = 20_000

/** Writes lines, a few at a time, as long as faults are to come, unless the worker stops or stands still. */
const feed = async (
  judge: Judge,
  app: WordCount,
  random: Random,
  faults: Faults,
  test: TestWorker,
): Promise<void> => {
  const producer = await judge.openProducer()
  let dealt = 0
  let dealtAtMs = performance.now()
  while (!faults.isOver && test.failure() === undefined && performance.now() - dealtAtMs < stallMs) {
    if (faults.dealt > dealt) dealtAtMs = performance.now()
    dealt = faults.dealt
    const records = Array.from({ length: 6 }, (_, index) => ({
      partition: index % partitions,
      key: 'k',
      value: randomLine(random),
    }))
    await producer.send(app.lines, records)
    await sleep(5)
  }
  await producer.close()
}

describe.each([
  ['4.3', 2, 200],
  ['3.9', 1, 40],
])('on Kafka %s (transaction version %i)', (version, level, times) => {
  let kafka: JvmKafkaHandle
  let judge: Judge

  beforeAll(async () => {
    kafka = await startKafka({ backend: 'jvm', version })
    judge = await startJudge(kafka.brokers)
  })

  afterAll(async () => {
    await judge?.stop()
    await kafka?.stop()
  })

  /** Runs a word count through a proxy until the faults are over, and judges it. */
  const run = async (seed: number, faults: Faults): Promise<TestWorker> => {
    const random = seededRandom(seed)
    const app = wordCount('outcome')
    await createWordCountTopics(judge, app, partitions)
    // A broker that has just come up answers before it knows the features of its cluster.
    const known = async (): Promise<number> =>
      Math.max(1, (await judge.features())['transaction.version'] ?? 1)
    await expect.poll(known, { timeout: 10_000 }).toBe(level)
    const proxy = await KafkaProxy.start(kafka.brokers[0] as string)
    using state = temporaryDirectory()
    await using test = await startWorker(app.topology, {
      brokers: [proxy.address],
      stateDir: state.path,
      requestTimeoutMs,
      fetchWaitMs: requestTimeoutMs / 2,
      commitIntervalMs: 10,
    })
    proxy.rules = faults.rules
    await feed(judge, app, random, faults, test)
    proxy.rules = {}
    const deadline = performance.now() + 20_000
    while (test.failure() === undefined && performance.now() < deadline && !(await isDrained(judge, app)))
      await sleep(50)
    expect(test.failure()).toBe(undefined)
    const words = await expectExactCounts(judge, app)
    expect(test.worker.state).toBe('running')
    expectNothingWiped(
      test,
      [...words.values()].reduce((sum, count) => sum + count, 0),
    )
    await test.worker.close()
    await proxy.stop()
    return test
  }

  it(`survives ${times} answered, ${times} unanswered, ${times} lost and ${times / 5} late commits`, async () => {
    const seed = runSeed()
    console.log(`outcome ${version}: MILLSTREAM_SEED=${seed}`)
    const faults = new EndTxnFaults(seededRandom(seed), times)
    const startedMs = performance.now()
    const { worker, log } = await run(seed, faults)
    const sorted = (steps: readonly Step[]): string[] => steps.map((step) => JSON.stringify(step)).sort()
    expect(sorted(faults.done)).toEqual(sorted(stepsOf(times)))
    const lookedUp = faults.done.filter(
      ({ outcome, ending }) => outcome !== 'answered' && ending === 'looked up',
    ).length
    // As many transactions were looked up, at the least: on a busy machine a request more may go unanswered.
    expect(worker.counts.recovered).toBeGreaterThanOrEqual(lookedUp)
    expect(log.with('EndTxn was not answered and is repeated').length).toBeGreaterThanOrEqual(2 * times)
    expect(worker.counts.aborted).toBeGreaterThanOrEqual(times / 20)
    console.log(
      `outcome ${version}: ${faults.done.length} commits, ${worker.counts.aborted} aborts, ${worker.counts.recovered} looked up, in ${Math.round(performance.now() - startedMs)} ms`,
    )
  }, 240_000)

  it('survives 20 lost requests and 20 lost answers of Produce and TxnOffsetCommit', async () => {
    const seed = runSeed()
    console.log(`requests ${version}: MILLSTREAM_SEED=${seed}`)
    const added = level === 2 ? {} : { AddPartitionsToTxn: 10, AddOffsetsToTxn: 10 }
    const apis = { Produce: 20, TxnOffsetCommit: 20, ...added }
    const faults = new RequestFaults(seededRandom(seed), apis)
    const startedMs = performance.now()
    const { log } = await run(seed, faults)
    const sides = Object.entries(apis).flatMap(([name, count]) => [
      [`${name} request`, count],
      [`${name} answer`, count],
    ])
    expect([...faults.lost].sort()).toEqual(sides.sort())
    console.log(`requests ${version}: done in ${Math.round(performance.now() - startedMs)} ms`)
    expect(log.with('a produce was not answered and is repeated').length).toBeGreaterThanOrEqual(40)
    expect(log.with('TxnOffsetCommit was not answered and is repeated').length).toBeGreaterThanOrEqual(40)
  }, 120_000)
})

/** No store was rebuilt, and what was replayed were tails: a few records each, although the changelog holds thousands. */
const expectNothingWiped = ({ log }: TestWorker, words: number): void => {
  expect(log.with('a store is rebuilt')).toEqual([])
  const replayed = log.with('restored').map(({ fields }) => Number(fields['records']))
  expect(words).toBeGreaterThan(1000)
  expect(Math.max(0, ...replayed)).toBeLessThan(words / 10)
}
