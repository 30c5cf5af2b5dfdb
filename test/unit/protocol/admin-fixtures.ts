// The fixtures of requests about topics and groups as a whole; fixtures.ts has the others and says what they are.
import { createTopics } from '../../../src/protocol/create-topics.ts'
import { deleteRecords } from '../../../src/protocol/delete-records.ts'
import { describeConfigs } from '../../../src/protocol/describe-configs.ts'
import { describeGroups } from '../../../src/protocol/describe-groups.ts'
import { type Fixture, fixture, none, topicId } from './fixture.ts'

export const adminFixtures: Fixture[] = [
  fixture(
    createTopics,
    {
      topics: [
        {
          topic: 'words-counts-changelog',
          partitions: 6,
          replicationFactor: -1,
          configs: { 'cleanup.policy': 'compact', 'segment.bytes': null },
        },
      ],
      timeoutMs: 30_000,
      validateOnly: true,
    },
    (version) => ({
      throttleTimeMs: 18,
      topics: [
        {
          topic: 'a',
          topicId: version >= 7 ? topicId : null,
          errorCode: 0,
          errorMessage: null,
          partitions: 6,
          replicationFactor: 1,
          configs: [
            { name: 'cleanup.policy', value: 'compact', isSensitive: false },
            { name: 'secret', value: null, isSensitive: true },
          ],
        },
        {
          topic: 'b',
          topicId: null,
          errorCode: 36,
          errorMessage: 'exists',
          partitions: -1,
          replicationFactor: -1,
          configs: null,
        },
      ],
    }),
  ),
  fixture(
    describeConfigs,
    {
      resources: [
        { type: 2, name: 'a', keys: ['cleanup.policy'] },
        { type: 4, name: '1', keys: null },
      ],
    },
    () => ({
      throttleTimeMs: 19,
      resources: [
        {
          errorCode: 0,
          errorMessage: null,
          type: 2,
          name: 'a',
          configs: [
            { name: 'cleanup.policy', value: 'compact', readOnly: false, source: 1, isSensitive: false },
            { name: 'x', value: null, readOnly: true, source: 5, isSensitive: true },
          ],
        },
        { errorCode: 3, errorMessage: 'no topic', type: 2, name: 'b', configs: [] },
      ],
    }),
  ),
  fixture(
    deleteRecords,
    { topics: [{ topic: 'a', partitions: [{ partition: 0, offset: 2 ** 40 }] }], timeoutMs: 30_000 },
    () => ({
      throttleTimeMs: 20,
      topics: [
        {
          topic: 'a',
          partitions: [
            { partition: 0, lowWatermark: 2 ** 40, errorCode: 0 },
            { partition: 1, lowWatermark: -1, errorCode: 6 },
          ],
        },
      ],
    }),
  ),
  fixture(describeGroups, { groupIds: ['words', 'größe'] }, (version) => ({
    throttleTimeMs: 20,
    groups: [
      {
        errorCode: 0,
        errorMessage: null,
        groupId: 'words',
        state: 'Stable',
        protocolType: 'consumer',
        protocolName: 'millstream',
        members: [
          {
            memberId: 'm-1',
            groupInstanceId: 'pod-9',
            clientId: 'words',
            clientHost: '/10.0.0.7',
            metadata: Buffer.from([0, 3]),
            assignment: Buffer.from([0, 3, 5]),
          },
          {
            memberId: 'm-2',
            groupInstanceId: null,
            clientId: '',
            clientHost: '/10.0.0.8',
            metadata: none,
            assignment: none,
          },
        ],
      },
      {
        errorCode: 69,
        errorMessage: version >= 6 ? 'no such group' : null,
        groupId: 'größe',
        state: 'Dead',
        protocolType: '',
        protocolName: '',
        members: [],
      },
    ],
  })),
]
