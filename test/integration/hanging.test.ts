// KAFKA-20734 on real brokers: a coordinator that ends a transaction while a partition of it has no leader leaves the
// marker out there for ever, and the producer's next marker would end those records, too. Fixed brokers write the marker
// when the partition is back; then there is nothing to be seen here, and nothing to be repaired.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { LeftOpen } from '../../src/client/left-open.ts'
import { Endings } from '../../src/client/marker-guard.ts'
import type { TransactionalProducer } from '../../src/client/transactional-producer.ts'
import { MillstreamError } from '../../src/errors.ts'
import type { JvmKafkaHandle } from '../../src/testing/kafka/start-kafka.ts'
import { connect, inMs } from '../support/client.ts'
import type { Judge } from '../support/judge.ts'
import { uniqueTopic } from '../support/kafka.ts'
import { commit, producerOn, send } from '../support/transactional-producer.ts'
import { openGrounds } from '../system/faults/grounds.ts'

const resources = new AsyncDisposableStack()
let kafkas: readonly JvmKafkaHandle[]
let judge: Judge
let cluster: Cluster

beforeAll(async () => {
  const grounds = await openGrounds({ brokers: 3 }, resources, () => {})
  ;({ kafkas, judge } = grounds)
  cluster = await connect({ brokers: kafkas.flatMap((kafka) => kafka.brokers) })
  resources.defer(() => cluster.close())
})

afterAll(async () => {
  await resources.disposeAsync()
})

const leaderOf = async (topic: string, partition: number): Promise<number | undefined> => {
  await cluster.refreshMetadata([topic]).catch(() => {})
  const leader = cluster.partition(topic, partition)?.leader ?? -1
  return leader < 0 ? undefined : leader
}

interface Left {
  readonly topic: string
  readonly partition: number
  readonly transactionalId: string
  readonly producer: TransactionalProducer
  /** Whether the broker has the fault: the aborted record is still open. */
  readonly isOpen: boolean
}

/** A transaction that was aborted while the only replica of a partition of it was down; that is back now. */
const leftOpen = async (name: string): Promise<Left> => {
  const topic = uniqueTopic(name)
  const transactionalId = `${topic}.one.0`
  await judge.createTopics({ name: topic, partitions: 6, replicationFactor: 1 })
  const producer = producerOn(cluster, transactionalId)
  await producer.init(true)
  const coordinator = await cluster.coordinator('transaction', transactionalId)
  let partition = 0
  while ([undefined, coordinator].includes(await leaderOf(topic, partition))) partition = (partition + 1) % 6
  const leader = await leaderOf(topic, partition)
  const kafka = kafkas[(leader as number) - 1] as JvmKafkaHandle

  producer.begin()
  send(producer, topic, partition, 'aborted')
  await producer.flush()
  await kafka.kill('SIGKILL')
  await expect.poll(() => leaderOf(topic, partition), { timeout: 30_000 }).toBe(undefined)
  await producer.abort()
  const state = async (): Promise<string | undefined> =>
    (await judge.describeTransactions(transactionalId))[0]?.state
  await expect.poll(state, { timeout: 30_000 }).toMatch(/CompleteAbort|PrepareAbort/)
  // A broker without the fault waits here, and has not ended it.
  await nodePorts.timers.sleep(1000)
  await kafka.restart()
  await expect.poll(() => leaderOf(topic, partition), { timeout: 60_000 }).toBe(leader)
  await expect.poll(state, { timeout: 30_000 }).toBe('CompleteAbort')
  const open = (await judge.describeProducers(topic, partition)).some(
    ({ openTransactionStart }) => openTransactionStart !== null,
  )
  return { topic, partition, transactionalId, producer, isOpen: open }
}

const committedValues = async ({ topic }: Pick<Left, 'topic'>): Promise<unknown[]> =>
  (await judge.dump(topic)).records.map(({ value }) => String(value))

describe('a transaction that the coordinator has aborted, and a partition has not', () => {
  it('is ended before the next one begins there, by the producer itself and by its next life', async () => {
    for (const nextLife of [false, true]) {
      const left = await leftOpen(nextLife ? 'hanging-restart' : 'hanging')
      const producer = nextLife ? producerOn(cluster, left.transactionalId) : left.producer
      if (nextLife) await producer.init(true)
      producer.begin()
      send(producer, left.topic, left.partition, 'committed')
      await producer.flush()
      await commit(producer, left.topic)
      await expect.poll(() => committedValues(left), { timeout: 20_000 }).toEqual(['committed'])
    }
  }, 240_000)

  it('is ended by whoever waits for it to end', async () => {
    const { topic, partition } = await leftOpen('hanging-waited-for')
    const strangers = await connect({ brokers: kafkas.flatMap((kafka) => kafka.brokers) })
    const settings = { requestTimeoutMs: 10_000, isOurs: (id: string) => id.startsWith(topic) }
    const waiting = new LeftOpen(strangers, nodePorts, settings, new Endings(), silentLogger)
    const since = inMs(0)
    const isOpen = async (): Promise<boolean> => {
      waiting.suspect([{ topic, partition }], since)
      return (await judge.describeProducers(topic, partition)).some(
        ({ openTransactionStart }) => openTransactionStart !== null,
      )
    }
    await expect.poll(isOpen, { timeout: 30_000, interval: 200 }).toBe(false)
    waiting.close()
    await strangers.close()
    expect(await committedValues({ topic })).toEqual([])
  }, 120_000)

  it('stops a producer that cannot know how it ended', async () => {
    const left = await leftOpen('hanging-unknown')
    // Of a life that wrote nothing: the coordinator has forgotten the end by now.
    await producerOn(cluster, left.transactionalId).init(true)
    const producer = producerOn(cluster, left.transactionalId)
    await producer.init(true)
    producer.begin()
    send(producer, left.topic, left.partition, 'never')
    const error = await producer.flush().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!left.isOpen) return expect(error).toBe(undefined)
    expect(error).toBeInstanceOf(MillstreamError)
    expect(error).toMatchObject({ code: 'TRANSACTION_HANGING', where: { partition: left.partition } })
    expect(await committedValues(left)).toEqual([])
  }, 120_000)
})
