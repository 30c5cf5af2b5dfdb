// The fixtures of requests about topics and groups as a whole; fixtures.ts has the others and says what they are.
import { createTopics } from '../../../src/protocol/create-topics.ts'
import { deleteRecords } from '../../../src/protocol/delete-records.ts'
import { describeConfigs } from '../../../src/protocol/describe-configs.ts'
import { describeGroups } from '../../../src/protocol/describe-groups.ts'
import { describeProducers } from '../../../src/protocol/describe-producers.ts'
import { describeTransactions } from '../../../src/protocol/describe-transactions.ts'
import { listTransactions } from '../../../src/protocol/list-transactions.ts'
import { writeTxnMarkers } from '../../../src/protocol/write-txn-markers.ts'
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
  fixture(describeProducers, { topics: [{ topic: 'in', partitions: [0, 7] }] }, () => ({
    throttleTimeMs: 21,
    topics: [
      {
        topic: 'in',
        partitions: [
          {
            partition: 0,
            errorCode: 0,
            errorMessage: null,
            producers: [
              {
                producerId: 2 ** 40 + 1,
                producerEpoch: 12,
                lastSequence: 41,
                lastTimestamp: 1_700_000_000_000,
                coordinatorEpoch: 3,
                currentTransactionStart: 2 ** 32 + 1,
              },
              {
                producerId: 8,
                producerEpoch: 0,
                lastSequence: -1,
                lastTimestamp: -1,
                coordinatorEpoch: -1,
                currentTransactionStart: -1,
              },
            ],
          },
          { partition: 7, errorCode: 6, errorMessage: 'moved', producers: [] },
        ],
      },
    ],
  })),
  fixture(describeTransactions, { transactionalIds: ['words.pod-9.0', 'größe'] }, () => ({
    throttleTimeMs: 22,
    transactions: [
      {
        errorCode: 0,
        transactionalId: 'words.pod-9.0',
        state: 'Ongoing',
        timeoutMs: 10_000,
        startTimeMs: 1_700_000_000_000,
        producerId: 2 ** 40 + 1,
        producerEpoch: 12,
        topics: [{ topic: 'out', partitions: [0, 3] }],
      },
      {
        errorCode: 105,
        transactionalId: 'größe',
        state: '',
        timeoutMs: 0,
        startTimeMs: -1,
        producerId: -1,
        producerEpoch: -1,
        topics: [],
      },
    ],
  })),
  fixture(
    writeTxnMarkers,
    {
      markers: [
        {
          producerId: 2 ** 40 + 1,
          producerEpoch: 12,
          committed: true,
          topics: [{ topic: 'out', partitions: [0, 3] }],
          coordinatorEpoch: 3,
        },
      ],
    },
    () => ({
      markers: [
        {
          producerId: 2 ** 40 + 1,
          topics: [
            {
              topic: 'out',
              partitions: [
                { partition: 0, errorCode: 0 },
                { partition: 3, errorCode: 31 },
              ],
            },
          ],
        },
      ],
    }),
  ),
  fixture(listTransactions, { states: ['Ongoing', 'PrepareAbort'] }, () => ({
    throttleTimeMs: 21,
    errorCode: 14,
    unknownStates: ['Asleep'],
    transactions: [
      { transactionalId: 'words.pod-9.0', producerId: 4_000_000_000, state: 'Ongoing' },
      { transactionalId: 'größe', producerId: 7, state: 'PrepareAbort' },
    ],
  })),
]
