// The requests about topics, in every version that the client speaks: asked with its codecs, decoded and answered by the
// broker's. The contract suite holds the answers against those of Kafka.
import { describe, expect, it } from 'vitest'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import { settingsProblem } from '../../../src/embedded/topic-settings.ts'
import { apiVersions } from '../../../src/protocol/api-versions.ts'
import { createTopics } from '../../../src/protocol/create-topics.ts'
import { describeConfigs, TOPIC_RESOURCE } from '../../../src/protocol/describe-configs.ts'
import { findCoordinator } from '../../../src/protocol/find-coordinator.ts'
import { metadata } from '../../../src/protocol/metadata.ts'
import { RawClient } from './raw-client.ts'

const start = (settings = {}, nodes = 1): RawClient =>
  new RawClient(EmbeddedKafka.inMemory({ settings, nodes }))

const versionsOf = ({ versions: [min, max] }: { versions: readonly [number, number] }): number[] =>
  Array.from({ length: max - min + 1 }, (_, at) => min + at)

const toCreate = (topic: string, configs: Record<string, string | null> = {}) => ({
  topics: [{ topic, partitions: 2, replicationFactor: 1, configs }],
  timeoutMs: 1000,
  validateOnly: false,
})

it.each(versionsOf(createTopics))('CreateTopics v%i', (version) => {
  const client = start()
  const request = toCreate('one', { 'cleanup.policy': 'compact' })
  const [created] = client.ask(createTopics, version, request).topics
  expect(created).toMatchObject({ topic: 'one', errorCode: 0, errorMessage: null, partitions: 2 })
  expect(created?.configs).toContainEqual({ name: 'cleanup.policy', value: 'compact', isSensitive: false })
  expect(created?.topicId === null).toBe(version < 7)
  const [again] = client.ask(createTopics, version, request).topics
  expect(again).toMatchObject({ errorCode: 36, errorMessage: "Topic 'one' already exists." })
})

it.each(versionsOf(metadata))('Metadata v%i', (version) => {
  const client = start({}, 3)
  client.ask(createTopics, 7, toCreate('one'))
  const answer = client.ask(metadata, version, { topics: ['one', 'none', 'no name'] })
  expect(answer.brokers.map(({ nodeId }) => nodeId)).toEqual([1, 2, 3])
  expect(answer.topics.map(({ topic, errorCode }) => [topic, errorCode])).toEqual([
    ['one', 0],
    ['none', 3],
    ['no name', 17],
  ])
  expect(answer.topics[0]?.partitions).toMatchObject([
    { partition: 0, errorCode: 0, replicas: [1, 2, 3], isr: [1, 2, 3], offlineReplicas: [] },
    { partition: 1, errorCode: 0 },
  ])
  expect(client.ask(metadata, version, { topics: null }).topics).toHaveLength(1)
  expect(client.ask(metadata, version, { topics: [] }).topics).toEqual([])
})

it.each(versionsOf(findCoordinator))('FindCoordinator v%i', (version) => {
  const [found] = start().ask(findCoordinator, version, { keyType: 'group', keys: ['g'] }).coordinators
  expect(found).toMatchObject({ errorCode: 0, nodeId: 1, host: '127.0.0.1', port: 9092 })
})

it.each(versionsOf(describeConfigs))('DescribeConfigs v%i', (version) => {
  const client = start({ defaultPartitions: 9 })
  client.ask(createTopics, 7, toCreate('one', { 'retention.ms': '77' }))
  const resources = [
    { type: TOPIC_RESOURCE, name: 'one', keys: ['retention.ms', 'segment.bytes', 'nothing'] },
    { type: TOPIC_RESOURCE, name: 'none', keys: null },
    { type: 4, name: '1', keys: ['num.partitions'] },
  ]
  const [topic, none, node] = client.ask(describeConfigs, version, { resources }).resources
  const common = { readOnly: false, isSensitive: false }
  expect(topic?.configs).toEqual([
    { ...common, name: 'retention.ms', value: '77', source: 1 },
    { ...common, name: 'segment.bytes', value: '1073741824', source: 5 },
  ])
  expect(none?.errorCode).toBe(3)
  expect(node?.configs).toMatchObject([{ name: 'num.partitions', value: '9', readOnly: true }])
})

it.each(versionsOf(apiVersions))('ApiVersions v%i', (version) => {
  const ours = { clientSoftwareName: 'millstream', clientSoftwareVersion: '1.0' }
  const finalized = (transactionVersion: 1 | 2) =>
    start({ transactionVersion }).ask(apiVersions, version, ours).finalizedFeatures
  expect(finalized(2)).toMatchObject([{ name: 'transaction.version', maxLevel: 2 }])
  expect(finalized(1)).toMatchObject([{ name: 'transaction.version', maxLevel: 1 }])
})

describe('settings of a topic', () => {
  it.each([
    ['retention.ms', '-1', undefined],
    ['retention.ms', ' 5 ', undefined],
    ['retention.ms', '-2', 'Invalid value -2 for configuration retention.ms: Value must be at least -1'],
    ['retention.ms', '1.5', 'Invalid value 1.5 for configuration retention.ms: Not a number of type LONG'],
    ['flush.messages', '9223372036854775807', undefined],
    [
      'flush.messages',
      '9223372036854775808',
      'Invalid value 9223372036854775808 for configuration flush.messages: Not a number of type LONG',
    ],
    [
      'segment.bytes',
      '2147483648',
      'Invalid value 2147483648 for configuration segment.bytes: Not a number of type INT',
    ],
    ['cleanup.policy', 'compact, delete', undefined],
    [
      'cleanup.policy',
      'compact,forget',
      'Invalid value forget for configuration cleanup.policy: String must be one of: compact, delete',
    ],
    [
      'min.cleanable.dirty.ratio',
      'half',
      'Invalid value half for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE',
    ],
    ['preallocate', 'TRUE', undefined],
    ['toString', '1', 'Unknown topic config name: toString'],
  ])('%s = %j', (name, value, problem) => {
    expect(settingsProblem(new Map([[name, value]]))).toBe(problem)
  })
})
