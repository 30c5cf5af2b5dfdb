// Metadata, CreateTopics, DeleteTopics, CreatePartitions, FindCoordinator and DescribeCluster.
import { describe, expect } from 'vitest'
import { createTopics, type CreatedTopic } from '../../src/protocol/create-topics.ts'
import { type Coordinator, findCoordinator } from '../../src/protocol/find-coordinator.ts'
import { metadata } from '../../src/protocol/metadata.ts'
import { Writer } from '../../src/protocol/wire.ts'
import { type Broker, contract } from '../support/contract/contract.ts'
import { fetchFrom, produceTo, valuesIn } from '../support/contract/log.ts'
import { nameOf, unique } from '../support/contract/names.ts'
import {
  createPartitions,
  deleteTopics,
  describeCluster,
  metadataById,
  metadataWithCreation,
} from '../support/contract/other-apis.ts'
import { createTopic, describeTopic, untilLed } from '../support/contract/topics.ts'
import { settled } from '../support/contract/waits.ts'
import type { Wire } from '../support/contract/wire.ts'

describe('Metadata', () => {
  contract('names the brokers, the controller and the cluster', async ({ wire, address }) => {
    const answer = await wire.ask(metadata, { topics: [] })
    expect(answer.topics).toEqual([])
    expect(answer.brokers).toMatchObject([{ nodeId: answer.controllerId, rack: null }])
    expect(`${answer.brokers[0]?.host}:${answer.brokers[0]?.port}`).toBe(address)
    expect(answer.clusterId).toMatch(/^[\w-]{22}$/)
  })

  contract('shows each partition with its leader and replicas', async (broker) => {
    const topic = await broker.topic(3)
    const { brokers } = await broker.wire.ask(metadata, { topics: [] })
    const nodeId = brokers[0]?.nodeId ?? -1
    const found = await describeTopic(broker.wire, topic)
    expect(found).toMatchObject({ errorCode: 0, topic, isInternal: false })
    expect(found.topicId).toMatch(/^[\w-]{22}$/)
    const partitions = [...found.partitions].sort((a, b) => a.partition - b.partition)
    const common = { errorCode: 0, leaderId: nodeId, leaderEpoch: 0 }
    const replicas = { replicas: [nodeId], isr: [nodeId], offlineReplicas: [] }
    expect(partitions).toEqual([0, 1, 2].map((partition) => ({ partition, ...common, ...replicas })))
  })

  contract('of an unknown topic says so, and does not make it', async ({ wire }) => {
    const topic = unique('unknown')
    for (let times = 0; times < 2; times++) {
      const found = await describeTopic(wire, topic)
      expect(found).toMatchObject({ topic, partitions: [], topicId: null })
      expect(nameOf(found.errorCode)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    }
  })

  contract('makes a topic where the client lets it', async ({ wire }) => {
    const topic = unique('auto')
    const { topics } = await wire.ask(metadataWithCreation, { topics: [topic] })
    // Made, but not led yet; or led already.
    expect(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE', 'NONE']).toContain(
      nameOf(topics[0]?.errorCode),
    )
    await untilLed(wire, topic, 3)
  })

  contract('of a name that no topic can have', async ({ wire }) => {
    for (const name of ['a topic', '', '.', '..', 'a/b', 'x'.repeat(250)]) {
      const { topics } = await wire.ask(metadata, { topics: [name] })
      expect([name, nameOf(topics[0]?.errorCode)]).toEqual([name, 'INVALID_TOPIC_EXCEPTION'])
    }
  })

  contract('of all topics', async (broker) => {
    const mine = [await broker.topic(), await broker.topic(2)]
    const { topics } = await broker.wire.ask(metadata, { topics: null })
    const names = topics.map(({ topic }) => topic)
    expect(names).toEqual(expect.arrayContaining(mine))
    expect(new Set(names).size).toBe(names.length)
  })

  contract('of a topic by its id', async (broker) => {
    const topic = await broker.topic(2)
    const { topicId } = await describeTopic(broker.wire, topic)
    expect(await broker.wire.ask(metadataById, { topicId: topicId ?? '' })).toEqual({
      ...{ errorCode: 0, name: topic, partitions: 2 },
    })
    const unknown = await broker.wire.ask(metadataById, {
      topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
    })
    expect(nameOf(unknown.errorCode)).toBe('UNKNOWN_TOPIC_ID')
  })
})

const create = async (
  wire: Wire,
  topics: readonly {
    topic: string
    partitions?: number
    replicationFactor?: number
    configs?: Record<string, string>
  }[],
  validateOnly = false,
): Promise<CreatedTopic[]> => {
  const request = topics.map((one) => ({ partitions: 1, replicationFactor: 1, configs: {}, ...one }))
  return (await wire.ask(createTopics, { topics: request, timeoutMs: 10_000, validateOnly })).topics
}

const errorsOf = (created: readonly CreatedTopic[]): string[] =>
  created.map(({ errorCode }) => nameOf(errorCode))

describe('CreateTopics', () => {
  contract('answers the id, partitions and settings of the topic', async ({ wire }) => {
    const topic = unique('created')
    const [created] = await create(wire, [{ topic, partitions: 2, configs: { 'cleanup.policy': 'compact' } }])
    expect(created).toMatchObject({ topic, errorCode: 0, partitions: 2, replicationFactor: 1 })
    expect(created?.configs?.find(({ name }) => name === 'cleanup.policy')?.value).toBe('compact')
    expect(created?.configs?.find(({ name }) => name === 'retention.ms')?.value).toBe('604800000')
    await untilLed(wire, topic, 2)
    expect((await describeTopic(wire, topic)).topicId).toBe(created?.topicId)
  })

  contract('refuses a name that is taken', async (broker) => {
    const topic = await broker.topic()
    expect(errorsOf(await create(broker.wire, [{ topic }]))).toEqual(['TOPIC_ALREADY_EXISTS'])
  })

  contract('refuses a name that no topic can have', async ({ wire }) => {
    const names = ['a topic', '', '.', '..', 'x'.repeat(250), 'a/b', 'ä']
    const created = await create(
      wire,
      names.map((topic) => ({ topic })),
    )
    expect(errorsOf(created)).toEqual(names.map(() => 'INVALID_TOPIC_EXCEPTION'))
  })

  contract('refuses a name that differs from another by dots and underscores alone', async ({ wire }) => {
    const name = unique('dots')
    await createTopic(wire, `${name}.a`, 1, {})
    expect(errorsOf(await create(wire, [{ topic: `${name}_a` }]))).toEqual(['INVALID_TOPIC_EXCEPTION'])
  })

  contract('refuses no partitions, and too many replicas', async ({ wire }) => {
    const [partitions, replicas, none] = [unique('none'), unique('replicas'), unique('zero')]
    const created = await create(wire, [
      { topic: partitions, partitions: 0 },
      { topic: replicas, replicationFactor: 3 },
      { topic: none, replicationFactor: 0 },
    ])
    expect(Object.fromEntries(created.map((one) => [one.topic, nameOf(one.errorCode)]))).toEqual({
      [partitions]: 'INVALID_PARTITIONS',
      [replicas]: 'INVALID_REPLICATION_FACTOR',
      [none]: 'INVALID_REPLICATION_FACTOR',
    })
  })

  contract('refuses settings that there are not, and values that they cannot have', async ({ wire }) => {
    const bad: Record<string, string>[] = [
      { 'no.such.setting': '1' },
      { 'cleanup.policy': 'sometimes' },
      { 'retention.ms': 'long' },
      { 'max.message.bytes': '-1' },
      { 'min.cleanable.dirty.ratio': '2' },
    ]
    const created = await create(
      wire,
      bad.map((configs) => ({ topic: unique('setting'), configs })),
    )
    expect(errorsOf(created)).toEqual(bad.map(() => 'INVALID_CONFIG'))
  })

  contract('only checks where that is asked for', async (broker) => {
    const topic = unique('validated')
    expect(errorsOf(await create(broker.wire, [{ topic }], true))).toEqual(['NONE'])
    expect(nameOf((await describeTopic(broker.wire, topic)).errorCode)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    const existing = await broker.topic()
    expect(errorsOf(await create(broker.wire, [{ topic: existing }], true))).toEqual(['TOPIC_ALREADY_EXISTS'])
  })

  contract('takes the broker for partitions and replicas of -1', async ({ wire }) => {
    const topic = unique('default')
    const [created] = await create(wire, [{ topic, partitions: -1, replicationFactor: -1 }])
    expect(created).toMatchObject({ errorCode: 0, partitions: 3, replicationFactor: 1 })
    await untilLed(wire, topic, 3)
  })

  contract('refuses a topic that it names twice', async ({ wire }) => {
    const topic = unique('twice')
    expect([...new Set(errorsOf(await create(wire, [{ topic }, { topic }])))]).toEqual(['INVALID_REQUEST'])
    expect(nameOf((await describeTopic(wire, topic)).errorCode)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  contract('makes what it can where one of several is refused', async ({ wire }) => {
    const [good, bad] = [unique('good'), unique('bad')]
    const created = await create(wire, [{ topic: bad, partitions: 0 }, { topic: good }])
    expect(created.find(({ topic }) => topic === good)?.errorCode).toBe(0)
    await untilLed(wire, good, 1)
  })
})

const remove = async (wire: Wire, name: string, version?: number): Promise<string> =>
  nameOf((await wire.ask(deleteTopics, { names: [name] }, version))[0]?.errorCode)

const untilGone = async (wire: Wire, topic: string): Promise<string> =>
  await settled(
    async () => nameOf((await describeTopic(wire, topic)).errorCode),
    (error) => error !== 'NONE',
  )

describe('DeleteTopics', () => {
  contract('takes a topic away, with its records', async (broker) => {
    const { wire } = broker
    const topic = await broker.topic()
    const before = await describeTopic(wire, topic)
    await produceTo(wire, topic, ['a'])
    expect(await remove(wire, topic)).toBe('NONE')
    expect(await untilGone(wire, topic)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect((await fetchFrom(wire, topic)).error).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    await createTopic(wire, topic, 1, {})
    expect((await describeTopic(wire, topic)).topicId).not.toBe(before.topicId)
    expect(await valuesIn(wire, topic)).toEqual([])
  })

  contract('of an unknown topic', async ({ wire }) => {
    expect(await remove(wire, unique('unknown'))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(await remove(wire, unique('unknown'), 1)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })
})

const grow = async (broker: Broker, topic: string, count: number, validateOnly = false): Promise<string> =>
  nameOf((await broker.wire.ask(createPartitions, { topic, count, validateOnly }))[0]?.errorCode)

describe('CreatePartitions', () => {
  contract('adds partitions, and keeps those that are there', async (broker) => {
    const topic = await broker.topic()
    await produceTo(broker.wire, topic, ['a'])
    expect(await grow(broker, topic, 3)).toBe('NONE')
    await untilLed(broker.wire, topic, 3)
    expect(await valuesIn(broker.wire, topic)).toEqual(['a'])
    expect((await produceTo(broker.wire, topic, ['b'], { partition: 2 })).error).toBe('NONE')
  })

  contract('takes none away, and does nothing for the same count', async (broker) => {
    const topic = await broker.topic(2)
    expect(await grow(broker, topic, 1)).toBe('INVALID_PARTITIONS')
    expect(await grow(broker, topic, 2)).toBe('INVALID_PARTITIONS')
    expect(await grow(broker, topic, 0)).toBe('INVALID_PARTITIONS')
    expect((await describeTopic(broker.wire, topic)).partitions).toHaveLength(2)
  })

  contract('of an unknown topic', async (broker) => {
    expect(await grow(broker, unique('unknown'), 2)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  contract('only checks where that is asked for', async (broker) => {
    const topic = await broker.topic()
    expect(await grow(broker, topic, 5, true)).toBe('NONE')
    expect((await describeTopic(broker.wire, topic)).partitions).toHaveLength(1)
  })
})

/** Once the internal topic is there, which the first of these requests makes. */
const coordinatorsOf = async (
  wire: Wire,
  keyType: 'group' | 'transaction',
  keys: readonly string[],
  version: number,
): Promise<Coordinator[]> =>
  await settled(
    async () => (await wire.ask(findCoordinator, { keyType, keys }, version)).coordinators,
    (found) => found.every(({ errorCode }) => nameOf(errorCode) !== 'COORDINATOR_NOT_AVAILABLE'),
  )

describe('FindCoordinator', () => {
  contract('names a broker for groups and for transactional ids', async ({ wire, address }) => {
    for (const keyType of ['group', 'transaction'] as const) {
      const coordinators = await coordinatorsOf(wire, keyType, ['one'], 3)
      expect(coordinators).toMatchObject([{ errorCode: 0, key: null }])
      expect(`${coordinators[0]?.host}:${coordinators[0]?.port}`).toBe(address)
    }
  })

  contract('answers several keys at once', async ({ wire }) => {
    const keys = ['one', 'two', 'three']
    const coordinators = await coordinatorsOf(wire, 'group', keys, 4)
    expect(coordinators.map(({ key, errorCode }) => [key, errorCode])).toEqual(keys.map((key) => [key, 0]))
  })

  contract('of a type that there is not', async ({ wire }) => {
    const body = new Writer().string('key').int8(9).toBuffer()
    const reader = await wire.askBytes(10, 1, false, body)
    reader.begin('the answer', false)
    reader.int32()
    expect(nameOf(reader.int16())).toBe('INVALID_REQUEST')
  })
})

describe('DescribeCluster', () => {
  contract('says what Metadata says', async ({ wire }) => {
    const { clusterId, brokers } = await wire.ask(metadata, { topics: [] })
    const described = await wire.ask(describeCluster, null)
    const nodeIds = brokers.map(({ nodeId }) => nodeId)
    expect(described).toEqual({ errorCode: 0, clusterId, brokers: nodeIds })
  })
})
