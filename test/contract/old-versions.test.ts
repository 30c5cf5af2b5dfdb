// Requests in the versions that kafkajs speaks, which are older than ours: each that a broker offers is asked for, and
// the answer is one that kafkajs reads and takes for a success.
import { describe, expect } from 'vitest'
import { contract } from '../support/contract/contract.ts'
import { askAsKafkajs } from '../support/contract/kafkajs-requests.ts'
import { boundsOf, produceTo, valuesIn } from '../support/contract/log.ts'
import { commitOnce, fetchOffset, joinOnce, Member } from '../support/contract/members.ts'
import { unique } from '../support/contract/names.ts'
import { initOnce, Producer } from '../support/contract/producers.ts'
import { createTopic, untilLed } from '../support/contract/topics.ts'
import { settled } from '../support/contract/waits.ts'

const subscription = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0])

describe('kafkajs', () => {
  contract('asks for the versions', async ({ wire }) => {
    const answers = await askAsKafkajs(wire, 'ApiVersions', () => ({}))
    for (const answer of answers.values()) {
      expect(answer).toMatchObject({ errorCode: 0 })
      expect(answer).toHaveProperty('apiVersions')
    }
  })

  contract('asks for metadata', async (broker) => {
    const topic = await broker.topic(2)
    const answers = await askAsKafkajs(broker.wire, 'Metadata', () => ({ topics: [topic] }))
    for (const answer of answers.values()) {
      const { topicMetadata } = answer as { topicMetadata: { topic: string; partitionMetadata: unknown[] }[] }
      expect(topicMetadata.map((one) => [one.topic, one.partitionMetadata.length])).toEqual([[topic, 2]])
    }
  })

  contract('makes topics, partitions, and deletes topics', async ({ wire }) => {
    const topics: string[] = []
    await askAsKafkajs(wire, 'CreateTopics', () => {
      const topic = unique('kafkajs')
      topics.push(topic)
      const configEntries = [{ name: 'cleanup.policy', value: 'compact' }]
      return { topics: [{ topic, numPartitions: 1, replicationFactor: 1, configEntries }], timeout: 5000 }
    })
    const [topic = ''] = topics.slice(-1)
    await untilLed(wire, topic, 1)
    let count = 1
    await askAsKafkajs(wire, 'CreatePartitions', () => {
      count++
      return { topicPartitions: [{ topic, count, assignments: [[1]] }], timeout: 5000 }
    })
    await askAsKafkajs(wire, 'DeleteTopics', async () => {
      const name = unique('deleted')
      await createTopic(wire, name, 1, {})
      return { topics: [name], timeout: 5000 }
    })
  })

  contract('describes and alters settings', async (broker) => {
    const topic = await broker.topic()
    const resource = { type: 2, name: topic }
    await askAsKafkajs(broker.wire, 'AlterConfigs', (version) => ({
      resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: String(5000 + version) }] }],
    }))
    const answers = await askAsKafkajs(broker.wire, 'DescribeConfigs', () => ({
      resources: [{ ...resource, configNames: ['retention.ms'] }],
    }))
    for (const answer of answers.values()) {
      const { resources } = answer as { resources: { configEntries: { configName: string }[] }[] }
      expect(resources[0]?.configEntries.map(({ configName }) => configName)).toEqual(['retention.ms'])
    }
  })

  contract('produces', async (broker) => {
    const topic = await broker.topic()
    const answers = await askAsKafkajs(broker.wire, 'Produce', (version) => {
      // Kafka 4 names them in its list for the sake of old clients, and ends the connection when one is used.
      if (version < 3) return undefined
      const value = `v${version}`
      const messages = [{ key: 'k', value, headers: {} }]
      const partitions = [{ partition: 0, firstSequence: -1, messages }]
      return { acks: -1, timeout: 5000, producerEpoch: -1, topicData: [{ topic, partitions }] }
    })
    const seen = await valuesIn(broker.wire, topic)
    expect(seen).toEqual([...answers.keys()].map((version) => `v${version}`))
  })

  contract('fetches', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['aborted'])
    await producer.end(false)
    await producer.complete()
    await produceTo(broker.wire, topic, ['a', 'b'])
    await settled(
      () => boundsOf(broker.wire, topic),
      ([, stable]) => stable === 4,
    )
    const partitions = [{ partition: 0, currentLeaderEpoch: -1, fetchOffset: 0, maxBytes: 100_000 }]
    const answers = await askAsKafkajs(broker.wire, 'Fetch', () => ({
      ...{
        maxWaitTime: 100,
        minBytes: 1,
        maxBytes: 100_000,
        isolationLevel: 1,
        topics: [{ topic, partitions }],
      },
    }))
    for (const answer of answers.values()) {
      const { responses } = answer as {
        responses: { partitions: { highWatermark: unknown; messages: unknown[] }[] }[]
      }
      const [found] = responses[0]?.partitions ?? []
      expect(String(found?.highWatermark)).toBe('4')
      expect(found?.messages).toHaveLength(4)
    }
  })

  contract('lists offsets', async (broker) => {
    const topic = await broker.topic()
    await produceTo(broker.wire, topic, ['a', 'b'])
    for (const [timestamp, offset] of [
      [-1, '2'],
      [-2, '0'],
    ] as const) {
      const answers = await askAsKafkajs(broker.wire, 'ListOffsets', () => ({
        ...{
          replicaId: -1,
          isolationLevel: 1,
          topics: [{ topic, partitions: [{ partition: 0, timestamp }] }],
        },
      }))
      for (const answer of answers.values()) {
        const { responses } = answer as { responses: { partitions: { offset: unknown }[] }[] }
        expect(String(responses[0]?.partitions[0]?.offset)).toBe(offset)
      }
    }
  })

  contract('finds coordinators', async ({ wire }) => {
    const answers = await askAsKafkajs(wire, 'GroupCoordinator', () => ({
      groupId: 'any',
      coordinatorType: 0,
    }))
    for (const answer of answers.values())
      expect((answer as { coordinator: { host: string } }).coordinator.host).toBe('127.0.0.1')
  })

  contract('joins, syncs, beats and leaves', async ({ wire }) => {
    const common = { sessionTimeout: 10_000, rebalanceTimeout: 5000, protocolType: 'consumer' }
    const groupProtocols = [{ name: 'range', metadata: subscription }]
    let groupId = ''
    const joined = await askAsKafkajs(wire, 'JoinGroup', async (version) => {
      groupId = unique('group')
      // From v4 on an id is given first.
      const memberId = version < 4 ? '' : (await joinOnce(wire, { groupId })).memberId
      return { ...common, groupId, memberId, groupInstanceId: null, groupProtocols }
    })
    const last = [...joined.values()].at(-1) as { generationId: number; memberId: string; leaderId: string }
    const { generationId, memberId } = last
    expect(last).toMatchObject({ generationId: 1, leaderId: memberId })
    const groupAssignment = [{ memberId, memberAssignment: Buffer.from('all') }]
    const synced = await askAsKafkajs(wire, 'SyncGroup', () => ({
      groupId,
      generationId,
      memberId,
      groupAssignment,
    }))
    for (const answer of synced.values())
      expect((answer as { memberAssignment: Buffer }).memberAssignment.toString()).toBe('all')
    await askAsKafkajs(wire, 'Heartbeat', () => ({ groupId, groupGenerationId: generationId, memberId }))
    const topics = [{ topic: 'none', partitions: [] }]
    await askAsKafkajs(wire, 'OffsetCommit', () => ({
      groupId,
      groupGenerationId: generationId,
      memberId,
      topics,
    }))
    await askAsKafkajs(wire, 'DescribeGroups', () => ({ groupIds: [groupId] }))
    await askAsKafkajs(wire, 'ListGroups', () => ({}))
  })

  contract('leaves', async (broker) => {
    await askAsKafkajs(broker.wire, 'LeaveGroup', async () => {
      const { groupId, memberId } = await (await Member.open(broker)).lead()
      return { groupId, memberId, members: [{ memberId }] }
    })
  })

  contract('commits offsets and reads them', async (broker) => {
    const topic = await broker.topic()
    const member = await (await Member.open(broker)).lead()
    const { groupId, memberId, generationId } = member
    const committed = await askAsKafkajs(broker.wire, 'OffsetCommit', (version) => ({
      ...{ groupId, groupGenerationId: generationId, memberId, retentionTime: -1 },
      topics: [{ topic, partitions: [{ partition: 0, offset: `${10 + version}`, metadata: 'note' }] }],
    }))
    const highest = 10 + Math.max(...committed.keys())
    expect(await fetchOffset(broker.wire, groupId, topic)).toMatchObject({
      offset: highest,
      metadata: 'note',
    })
    const answers = await askAsKafkajs(broker.wire, 'OffsetFetch', () => ({
      ...{ groupId, topics: [{ topic, partitions: [{ partition: 0 }] }] },
    }))
    for (const answer of answers.values()) {
      const { responses } = answer as { responses: { partitions: { offset: unknown; metadata: string }[] }[] }
      expect(String(responses[0]?.partitions[0]?.offset)).toBe(String(highest))
      expect(responses[0]?.partitions[0]?.metadata).toBe('note')
    }
  })

  contract('runs transactions', async (broker) => {
    const { wire } = broker
    const topic = await broker.topic()
    const ids: string[] = []
    await askAsKafkajs(wire, 'InitProducerId', () => {
      const transactionalId = unique('kafkajs')
      ids.push(transactionalId)
      return { transactionalId, transactionTimeout: 10_000 }
    })
    for (const transactionalId of ids) {
      const identity = await settled(
        () => initOnce(wire, transactionalId),
        ({ error }) => error === 'NONE',
      )
      const groupId = unique('group')
      const owner = {
        transactionalId,
        producerId: identity.producerId,
        producerEpoch: identity.producerEpoch,
      }
      await askAsKafkajs(wire, 'AddPartitionsToTxn', () => ({
        ...owner,
        topics: [{ topic, partitions: [0] }],
      }))
      await askAsKafkajs(wire, 'AddOffsetsToTxn', () => ({ ...owner, groupId }))
      const partitions = [{ partition: 0, offset: 7, metadata: 'note' }]
      await askAsKafkajs(wire, 'TxnOffsetCommit', () => ({
        ...owner,
        groupId,
        topics: [{ topic, partitions }],
      }))
      const [last] = [
        ...(await askAsKafkajs(wire, 'EndTxn', () => ({ ...owner, transactionResult: true }))).values(),
      ]
      expect(last).toMatchObject({ errorCode: 0 })
      const found = await settled(
        () => fetchOffset(wire, groupId, topic),
        ({ error }) => error === 'NONE',
      )
      expect(found).toMatchObject({ offset: 7, metadata: 'note' })
    }
  })

  contract('deletes records and groups', async (broker) => {
    const topic = await broker.topic()
    await produceTo(broker.wire, topic, ['a', 'b', 'c'])
    await askAsKafkajs(broker.wire, 'DeleteRecords', (version) => ({
      topics: [{ topic, partitions: [{ partition: 0, offset: String(version + 1) }] }],
    }))
    expect((await boundsOf(broker.wire, topic))[0]).toBeGreaterThan(0)
    await askAsKafkajs(broker.wire, 'DeleteGroups', async () => {
      const groupId = unique('group')
      await commitOnce(broker.wire, groupId, topic, 1)
      return [groupId]
    })
  })
})
