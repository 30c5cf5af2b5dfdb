// KAFKA-20734 in the partition with the offsets of a group: a transaction that was ended while that partition had no leader
// stays open there, and whoever asks for stable offsets waits for ever. Fixed brokers write the marker when the partition is
// back; then there is nothing to be repaired, and the same comes out.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { LeftOpen } from '../../src/client/left-open.ts'
import { Endings, offsetsPartition, offsetsTopic } from '../../src/client/marker-guard.ts'
import { fetchCommitted } from '../../src/client/offsets.ts'
import type { TransactionalProducer } from '../../src/client/transactional-producer.ts'
import type { MillstreamError } from '../../src/errors.ts'
import type { JvmKafkaHandle } from '../../src/testing/kafka/start-kafka.ts'
import { connect, inMs } from '../support/client.ts'
import type { Judge } from '../support/judge.ts'
import { uniqueTopic } from '../support/kafka.ts'
import { groupOf, nobodyOf, producerOn, send } from '../support/transactional-producer.ts'
import { openGrounds } from '../system/faults/grounds.ts'

const resources = new AsyncDisposableStack()
let kafkas: readonly JvmKafkaHandle[]
let judge: Judge
let cluster: Cluster
/** Of the test itself: what is tested has to find out by itself where a leader is. */
let watching: Cluster

beforeAll(async () => {
  const brokerSettings = { 'offsets.topic.replication.factor': '1' }
  const grounds = await openGrounds({ brokers: 3, brokerSettings }, resources, () => {})
  ;({ kafkas, judge } = grounds)
  cluster = await connect({ brokers: kafkas.flatMap((kafka) => kafka.brokers) })
  resources.defer(() => cluster.close())
  watching = await connect({ brokers: kafkas.flatMap((kafka) => kafka.brokers) })
  resources.defer(() => watching.close())
})

afterAll(async () => {
  await resources.disposeAsync()
})

const leaderOfOffsets = async (partition: number): Promise<number | undefined> => {
  await watching.refreshMetadata([offsetsTopic]).catch(() => {})
  const leader = watching.partition(offsetsTopic, partition)?.leader ?? -1
  return leader < 0 ? undefined : leader
}

interface Apart {
  readonly topic: string
  readonly transactionalId: string
  /** Of the offsets of its group. */
  readonly partition: number
  readonly leader: number
}

/** A topic and a producer whose transactions are coordinated by another broker than the one that leads the group's offsets. */
const apart = async (): Promise<Apart> => {
  const topic = uniqueTopic('hanging-offsets')
  await watching.coordinator('group', groupOf(topic))
  let partition: number | undefined
  let leader: number | undefined
  // The coordinator is found before every broker shows the topic that was just created, and before it shows the leaders.
  const look = async (): Promise<number | undefined> => {
    partition = await offsetsPartition(watching, groupOf(topic))
    leader = partition === undefined ? undefined : await leaderOfOffsets(partition)
    return leader
  }
  await expect.poll(look, { timeout: 30_000 }).toBeTypeOf('number')
  // The number goes through all partitions of the coordinators. The name of the topic alone does not: the hashes of a group and
  // of an id that are made of one name are equal modulo four, or differ by the same for each name.
  for (let number = 0; number < 100; number++) {
    const transactionalId = `${topic}.one.${number}`
    if ((await watching.coordinator('transaction', transactionalId)) !== leader)
      return { topic, transactionalId, partition: Number(partition), leader: Number(leader) }
  }
  throw new Error(`broker ${leader} coordinates the transactions of every partition`)
}

interface Left {
  readonly topic: string
  readonly producer: TransactionalProducer
  readonly endings: Endings
}

/** A transaction that was ended while the partition of its offsets had no leader; that is back now. Its offset is 2. */
const leftOpen = async (end: 'commit' | 'abort'): Promise<Left> => {
  const { topic, transactionalId, partition, leader } = await apart()
  await judge.createTopics({ name: topic, replicationFactor: 3 })
  const kafka = kafkas[leader - 1] as JvmKafkaHandle
  const endings = new Endings()
  const producer = producerOn(cluster, transactionalId, endings)
  const offsetAt = async (offset: number): Promise<void> => {
    producer.begin()
    send(producer, topic, 0, 'v')
    await producer.flush()
    await producer.commitOffsets(nobodyOf(topic), [{ topic, partition: 0, offset, metadata: '' }])
  }
  await producer.init(true)
  await offsetAt(1)
  await producer.commit()
  await offsetAt(2)

  await kafka.kill('SIGKILL')
  await expect.poll(() => leaderOfOffsets(partition), { timeout: 30_000 }).toBe(undefined)
  await producer[end]()
  const state = async (): Promise<string | undefined> =>
    (await judge.describeTransactions(transactionalId))[0]?.state
  // A broker without the fault waits here, and has not ended it.
  await expect.poll(state, { timeout: 30_000 }).toMatch(/^(Prepare|Complete)/)
  await nodePorts.timers.sleep(1000)
  await kafka.restart()
  await expect.poll(() => leaderOfOffsets(partition), { timeout: 60_000 }).toBe(leader)
  return { topic, producer, endings }
}

const committed = async (
  topic: string,
  endings: Endings,
  isOurs = (id: string): boolean => id.startsWith(topic),
): Promise<number | undefined> => {
  const settings = { requestTimeoutMs: 10_000, isOurs }
  const waiting = new LeftOpen(cluster, nodePorts, settings, endings, silentLogger)
  const [found] = await fetchCommitted(
    cluster,
    nodePorts,
    groupOf(topic),
    [{ topic, partition: 0 }],
    inMs(15_000),
    waiting,
  )
  waiting.close()
  return found?.offset
}

it.each([
  ['commit', 2],
  ['abort', 1],
] as const)(
  'offsets whose %s is missing are found by whoever needs them',
  async (end, offset) => {
    const { topic } = await leftOpen(end)
    expect(await committed(topic, new Endings())).toBe(offset)
  },
  120_000,
)

it.each([
  ['commit', 2],
  ['abort', 1],
] as const)(
  'and by their own producer after it began anew, when the coordinator has forgotten the %s',
  async (end, offset) => {
    const { topic, producer, endings } = await leftOpen(end)
    await producer.init(false)
    expect(await committed(topic, endings)).toBe(offset)
  },
  120_000,
)

it("but nobody ends what is a stranger's", async () => {
  const { topic } = await leftOpen('commit')
  const answer = await committed(topic, new Endings(), () => false).catch(({ code }: MillstreamError) => code)
  // A broker without the fault has ended it by itself.
  expect(['REQUEST_TIMED_OUT', 2]).toContain(answer)
  expect(await committed(topic, new Endings())).toBe(2)
}, 120_000)
