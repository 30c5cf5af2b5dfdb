// Other people's clients against the embedded broker over TCP, as they are: kafkajs with the versions of the protocol
// that it knows, Kafka's own Java clients and command-line tools with the newest ones. That its answers are those of a
// real broker in detail is the contract suite's matter.
import { type Admin, CompressionTypes, type Consumer, Kafka, logLevel, Partitioners } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EmbeddedKafka } from '../../src/embedded/embedded-kafka.ts'
import { type JavaTools, javaTools } from '../support/java-tools.ts'
import { type Judge, startJudge } from '../support/judge.ts'

let broker: EmbeddedKafka

beforeAll(async () => {
  broker = await EmbeddedKafka.start({ nodes: 2, settings: { defaultPartitions: 3 } })
})

afterAll(async () => {
  await broker?.close()
})

describe('kafkajs', () => {
  let kafka: Kafka
  let admin: Admin

  beforeAll(async () => {
    kafka = new Kafka({ clientId: 'smoke', brokers: [...broker.brokers], logLevel: logLevel.NOTHING })
    admin = kafka.admin()
    await admin.connect()
  })

  afterAll(async () => {
    await admin?.disconnect()
  })

  const createTopic = async (topic: string, numPartitions = 4): Promise<void> => {
    expect(await admin.createTopics({ topics: [{ topic, numPartitions }] })).toBe(true)
  }

  /** Partition-offset: value of everything that a consumer gives, until `done` says so. */
  const reading = async (
    groupId: string,
    topic: string,
    seen: Map<string, string>,
    readUncommitted = false,
  ): Promise<Consumer> => {
    const consumer = kafka.consumer({ groupId, readUncommitted, maxWaitTimeInMs: 50, heartbeatInterval: 300 })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ partition, message: { offset, value } }) => {
        seen.set(`${partition}-${offset}`, String(value))
      },
    })
    return consumer
  }

  it('makes topics, describes and changes them, and removes them', async () => {
    await createTopic('admin', 2)
    await admin.createPartitions({ topicPartitions: [{ topic: 'admin', count: 3 }] })
    const { topics } = await admin.fetchTopicMetadata({ topics: ['admin'] })
    expect(topics[0]?.partitions.map(({ partitionId }) => partitionId).sort()).toEqual([0, 1, 2])
    const leaders = new Set(topics[0]?.partitions.map(({ leader }) => leader))
    expect([...leaders].sort()).toEqual([1, 2])
    const { brokers, controller } = await admin.describeCluster()
    expect(brokers.map(({ host, port }) => `${host}:${port}`).sort()).toEqual([...broker.brokers].sort())
    expect([1, 2]).toContain(controller)
    const resource = { type: 2, name: 'admin' } as const
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '12345' }] }],
    })
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ ...resource, configNames: ['retention.ms', 'cleanup.policy'] }],
    })
    const settings = resources[0]?.configEntries.map(({ configName, configValue }) => [
      configName,
      configValue,
    ])
    expect(Object.fromEntries(settings ?? [])).toEqual({
      'retention.ms': '12345',
      'cleanup.policy': 'delete',
    })
    await admin.deleteTopics({ topics: ['admin'] })
    expect(await admin.listTopics()).not.toContain('admin')
    await expect(admin.fetchTopicMetadata({ topics: ['admin'] })).rejects.toMatchObject({
      type: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
  })

  it('produces, and a group of two consumers shares what there is', async () => {
    await createTopic('shared')
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, idempotent: true })
    await producer.connect()
    const send = async (from: number, to: number): Promise<void> => {
      const messages = Array.from({ length: to - from }, (_, index) => ({
        key: `k${from + index}`,
        value: `v${from + index}`,
        headers: { h: 'x' },
      }))
      await producer.send({ topic: 'shared', messages, compression: CompressionTypes.GZIP })
    }
    await send(0, 50)
    const [one, two] = [new Map<string, string>(), new Map<string, string>()]
    const first = await reading('sharing', 'shared', one)
    await expect.poll(() => one.size, { timeout: 20_000 }).toBe(50)
    const second = await reading('sharing', 'shared', two)
    const members = async (): Promise<string[]> => {
      const { groups } = await admin.describeGroups(['sharing'])
      return groups.map(({ state, members: all }) => `${state} ${all.length}`)
    }
    await expect.poll(members, { timeout: 20_000 }).toEqual(['Stable 2'])
    await send(50, 150)
    await expect.poll(() => one.size + two.size, { timeout: 20_000 }).toBe(150)
    expect(two.size).toBeGreaterThan(0)
    await second.disconnect()
    await send(150, 200)
    await expect.poll(() => one.size + two.size, { timeout: 20_000 }).toBe(200)
    expect(new Set([...one.values(), ...two.values()]).size).toBe(200)
    await first.disconnect()
    const [committed] = await admin.fetchOffsets({ groupId: 'sharing', topics: ['shared'] })
    const total = committed?.partitions.reduce((sum, { offset }) => sum + Number(offset), 0)
    expect(total).toBe(200)
    await admin.resetOffsets({ groupId: 'sharing', topic: 'shared', earliest: true })
    expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).toContain('sharing')
    await admin.deleteGroups(['sharing'])
    expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).not.toContain('sharing')
    await producer.disconnect()
  }, 60_000)

  it('commits transactions with offsets, and aborts others', async () => {
    await createTopic('transactions', 1)
    const producer = kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      transactionalId: 'smoke-1',
      maxInFlightRequests: 1,
      idempotent: true,
    })
    await producer.connect()
    for (const round of [1, 2, 3, 4]) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: 'transactions', messages: [{ value: `round ${round}` }] })
      await transaction.sendOffsets({
        consumerGroupId: 'transactional',
        topics: [{ topic: 'transactions', partitions: [{ partition: 0, offset: `${round}` }] }],
      })
      if (round % 2 === 0) await transaction.abort()
      else await transaction.commit()
    }
    await producer.disconnect()
    const [offsets] = await admin.fetchOffsets({ groupId: 'transactional', topics: ['transactions'] })
    expect(offsets?.partitions).toMatchObject([{ partition: 0, offset: '3' }])
    const seen = new Map<string, string>()
    const all = new Map<string, string>()
    const committed = await reading('committed', 'transactions', seen)
    const uncommitted = await reading('uncommitted', 'transactions', all, true)
    await expect.poll(() => all.size, { timeout: 20_000 }).toBe(4)
    await expect.poll(() => [...seen.values()], { timeout: 20_000 }).toEqual(['round 1', 'round 3'])
    await Promise.all([committed.disconnect(), uncommitted.disconnect()])
  }, 60_000)
})

describe("Kafka's Java clients", () => {
  it('produce in transactions, and read what was committed', async () => {
    await using judge: Judge = await startJudge(broker.brokers)
    await judge.createTopics({ name: 'java', partitions: 2 })
    const producer = await judge.openProducer({ transactionalId: 'java-1', compression: 'zstd' })
    for (const round of [1, 2, 3]) {
      await producer.begin()
      await producer.send('java', [{ partition: round % 2, value: `round ${round}` }])
      if (round === 2) await producer.abort()
      else await producer.commit()
    }
    const values = ({ records }: { records: { value: Buffer | null }[] }): string[] =>
      records.map(({ value }) => String(value)).sort()
    expect(values(await judge.dump('java'))).toEqual(['round 1', 'round 3'])
    const dumped = await judge.dump('java', { isolation: 'read_uncommitted' })
    expect(values(dumped)).toEqual(['round 1', 'round 2', 'round 3'])
  }, 60_000)
})

describe("Kafka's command-line tools", () => {
  let tools: JavaTools

  beforeAll(async () => {
    tools = await javaTools()
  })

  const run = async (
    tool: Parameters<JavaTools['run']>[0],
    args: readonly string[],
    input = '',
  ): Promise<string> => {
    const at = ['--bootstrap-server', broker.brokers.join(',')]
    const { exitCode, stdout, stderr } = await tools.run(tool, [...at, ...args], { input, timeoutMs: 45_000 })
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' })
    return stdout
  }

  it('make a topic, write to it, read it in a group, and show all of it', async () => {
    const topic = ['--topic', 'tools']
    await run('kafka-topics', [...topic, '--create', '--partitions', '2', '--config', 'retention.ms=98765'])
    const lines = Array.from({ length: 20 }, (_, index) => `k${index}\tv${index}`)
    const keyed = ['--reader-property', 'parse.key=true']
    const [described] = await Promise.all([
      run('kafka-topics', [...topic, '--describe']),
      run('kafka-console-producer', [...topic, ...keyed], `${lines.join('\n')}\n`),
    ])
    expect(described).toMatch(/Topic: tools\s.*PartitionCount: 2\s.*Configs: retention\.ms=98765/)
    const read = await run('kafka-console-consumer', [
      ...topic,
      ...['--from-beginning', '--max-messages', '20', '--group', 'tools', '--timeout-ms', '30000'],
      ...['--formatter-property', 'print.key=true', '--isolation-level', 'read_committed'],
    ])
    expect(read.trimEnd().split('\n').sort()).toEqual([...lines].sort())
    const [group, transactions] = await Promise.all([
      run('kafka-consumer-groups', ['--describe', '--group', 'tools']),
      run('kafka-transactions', ['list']),
    ])
    const rows = group.split('\n').filter((line) => line.startsWith('tools'))
    const lags = rows.map((line) => line.split(/\s+/).slice(1, 6))
    const total = lags.reduce((sum, [, , current]) => sum + Number(current), 0)
    expect(total).toBe(20)
    expect(lags.map(([name, , , , lag]) => [name, lag])).toEqual([
      ['tools', '0'],
      ['tools', '0'],
    ])
    expect(transactions).toMatch(/TransactionalId\s+Coordinator\s+ProducerId\s+TransactionState/)
  }, 180_000)

  it('set the offsets of a group, the settings of a topic, and remove both', async () => {
    const group = ['--group', 'set', '--topic', 'tools']
    const set = await run('kafka-consumer-groups', [...group, '--reset-offsets', '--to-latest', '--execute'])
    expect(set).toMatch(/set\s+tools\s+0\s+\d+/)
    const entity = ['--entity-type', 'topics', '--entity-name', 'tools']
    const [, described] = await Promise.all([
      run('kafka-consumer-groups', ['--delete', '--group', 'set']),
      run('kafka-configs', [...entity, '--describe']),
    ])
    expect(described).toContain('retention.ms=98765')
    await run('kafka-topics', ['--topic', 'tools', '--delete'])
    expect(await run('kafka-topics', ['--list'])).not.toMatch(/^tools$/m)
  }, 180_000)
})
