// Rows about the network between a worker and its broker, and about the broker itself.
import { setTimeout as sleep } from 'node:timers/promises'
import type { JvmKafkaHandle } from '../../../src/testing/kafka/start-kafka.ts'
import { apiKeys, KafkaProxy, type ProxyRules, readEndTxn } from '../../support/proxy.ts'
import { below, shuffled } from '../../support/random.ts'
import type { Bench } from './bench.ts'
import type { BenchRow } from './row.ts'

/** Worker 1 behind a proxy for each broker. */
const behindProxies = async (bench: Bench): Promise<KafkaProxy[]> => {
  const upstreams = bench.kafkas.flatMap(({ brokers }) => brokers)
  const proxies = await Promise.all(upstreams.map((upstream) => KafkaProxy.start(upstream)))
  for (const proxy of proxies) proxy.peers = proxies.filter((other) => other !== proxy)
  bench.worker(1, { brokers: proxies.map(({ address }) => address) })
  return proxies
}

/** Lets everything through again, and ends the worker before its proxies. */
const takeAway = async (bench: Bench, proxies: readonly KafkaProxy[]): Promise<void> => {
  for (const proxy of proxies) proxy.rules = {}
  await bench.worker(1).kill()
  for (const proxy of proxies) await proxy.stop()
}

interface Losses {
  readonly rules: ProxyRules
  lost: number
  lookedUp: number
}

/**
 * Loses one commit of five on one side. Of a third of those every further try is lost too, so that the outcome has to be
 * looked up (the producer begins anew); the others are repeated.
 */
const lossesOf = (bench: Bench, side: 'request' | 'answer'): Losses => {
  const silenced = new Set<string>()
  const decide = (commit: ReturnType<typeof readEndTxn>): 'pass' | 'cut' | 'drop' => {
    if (silenced.has(commit.producer)) return 'cut'
    if (!commit.committed || bench.random() >= 0.2) return 'pass'
    losses.lost++
    if (bench.random() < 0.33) {
      silenced.add(commit.producer)
      losses.lookedUp++
    }
    return bench.random() < 0.2 ? 'drop' : 'cut'
  }
  const losses: Losses = {
    lost: 0,
    lookedUp: 0,
    rules: {
      request: (request) => {
        if (request.apiKey !== apiKeys.EndTxn) return 'pass'
        const commit = readEndTxn(request)
        // The first try of a lost answer has to arrive; those after it may not tell.
        return side === 'request' ? decide(commit) : silenced.has(commit.producer) ? 'cut' : 'pass'
      },
      answer: (request) =>
        side === 'answer' && request.apiKey === apiKeys.EndTxn ? decide(readEndTxn(request)) : 'pass',
    },
  }
  return losses
}

const lostCommits =
  (side: 'request' | 'answer') =>
  async (bench: Bench): Promise<string> => {
    const proxies = await behindProxies(bench)
    try {
      bench.feeder.start()
      await bench.start(1)
      const losses = lossesOf(bench, side)
      for (const proxy of proxies) proxy.rules = losses.rules
      const wanted = bench.short ? 10 : 60
      // One time in sixty none of the first ten was to be looked up.
      const isEnough = (): boolean => losses.lost >= wanted && losses.lookedUp > 0
      await bench.until(`${wanted} lost commits, one of them looked up`, isEnough, 120_000)
      for (const proxy of proxies) proxy.rules = {}
      await bench.finish()
      return `${losses.lost} commits without an answer, ${losses.lookedUp} of them silenced until the producer began anew`
    } finally {
      await takeAway(bench, proxies)
    }
  }

const dropAll: ProxyRules = { request: () => 'drop' }
const dropAnswers: ProxyRules = { answer: () => 'drop' }

/**
 * Worker 1 is cut off, one way or both, for less and more than its transaction and its session may take; of three brokers
 * from one at a time: the coordinator of its group or its transactions, or a leader.
 */
const cutOff = async (bench: Bench): Promise<string> => {
  const proxies = await behindProxies(bench)
  try {
    bench.feeder.start()
    await bench.start(1)
    await bench.start(2)
    const [brief, long] = shuffled(bench.random, [dropAll, dropAnswers]) as [ProxyRules, ProxyRules]
    const phases: [ProxyRules, number][] = [
      [brief, 1000 + below(bench.random, 1000)],
      [long, 5000],
      ...(bench.short ? [] : ([[brief, 18_000]] as [ProxyRules, number][])),
    ]
    for (const [index, [rules, forMs]] of phases.entries()) {
      const proxy = proxies[index % proxies.length] as KafkaProxy
      proxy.rules = rules
      await sleep(forMs)
      proxy.rules = {}
      // What was swallowed is never answered: the connections of a broken network end some time.
      proxy.cutAll()
      await sleep(bench.short ? 2000 : 4000)
      bench.expect(bench.worker(1).isRunning, 'the worker that was cut off', 'it runs', 'an end')
    }
    await bench.finish()
    return `cut off for ${phases.map(([, forMs]) => `${forMs} ms`).join(', ')}`
  } finally {
    await takeAway(bench, proxies)
  }
}

/** A broker dies and comes back on the same port and data; of three, one after the other. */
const brokersDie = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  await bench.start(1)
  await bench.start(2)
  const several = bench.kafkas.length > 1
  const deaths = several ? bench.kafkas.length : bench.short ? 1 : 4
  for (let death = 0; death < deaths; death++) {
    const kafka = bench.kafkas[death % bench.kafkas.length] as JvmKafkaHandle
    await sleep(1000 + below(bench.random, 1000))
    // Of three, each second one ends in good order, as in a roll.
    const inOrder = several && death % 2 === 1
    if (!inOrder) await kafka.kill('SIGKILL')
    await sleep(below(bench.random, 3000))
    await kafka.restart()
    if (several) await inSync(bench)
    else await sleep(2000)
    for (const number of [1, 2])
      bench.expect(bench.worker(number).isRunning, `worker ${number} after the death`, 'it runs', 'an end')
  }
  await bench.finish()
  const ended = bench.logged('the coordinator had left a transaction open in a partition; it was ended now')
  return `${deaths} deaths of ${several ? 'brokers' : 'the broker'}, ${ended} markers written that the coordinator had left out`
}

/** Waits until every replica is in sync: to end the next broker sooner would be two deaths at once. */
const inSync = async (bench: Bench): Promise<void> =>
  await bench.until(
    'all replicas in sync',
    () =>
      bench.judge.underReplicated().then(
        (count) => count === 0,
        () => false,
      ),
    90_000,
  )

/** The feature is raised while a worker runs: it goes on with the old way or takes up the new one, and loses nothing. */
const raisedTransactionVersion = async (bench: Bench): Promise<string> => {
  const level = async (): Promise<number> => (await bench.judge.features())['transaction.version'] ?? 0
  await bench.judge.setTransactionVersion(1)
  try {
    await bench.until('transaction.version 1', async () => (await level()) === 1)
    bench.feeder.start()
    await bench.start(1)
    await sleep(3000)
    await bench.judge.setTransactionVersion(2)
    await bench.until('transaction.version 2', async () => (await level()) === 2)
    await sleep(3000)
    await bench.start(2)
    await sleep(2000)
    bench.expect(bench.worker(1).isRunning, 'the worker', 'it runs', 'an end')
    await bench.finish({ epochs: 'shared' })
    return `raised under a running worker, ${bench.logged('the worker recovers')} recoveries`
  } finally {
    await bench.judge.setTransactionVersion(2)
  }
}

export const networkRows: readonly BenchRow[] = [
  {
    id: 'F2',
    title: 'EndTxn applied, its answer lost',
    short: true,
    settings: { requestTimeoutMs: 500 },
    run: lostCommits('answer'),
  },
  {
    id: 'F3',
    title: 'EndTxn lost on its way',
    short: true,
    settings: { requestTimeoutMs: 500 },
    run: lostCommits('request'),
  },
  {
    id: 'F20',
    title: 'a worker cut off from its broker',
    short: true,
    settings: { requestTimeoutMs: 2000 },
    run: cutOff,
  },
  {
    id: 'F20',
    title: 'a worker cut off from one of three brokers',
    short: false,
    brokers: 3,
    settings: { requestTimeoutMs: 2000 },
    run: cutOff,
  },
  { id: 'F18', title: 'the broker dies and comes back', short: true, run: brokersDie },
  { id: 'F18', title: 'three brokers die one after the other', short: false, brokers: 3, run: brokersDie },
  {
    id: 'F35',
    title: 'transaction.version raised while running',
    short: true,
    run: raisedTransactionVersion,
  },
]
