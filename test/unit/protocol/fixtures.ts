// The values behind golden/cases.json in our own field names, for every API: what we encode, and what we must decode
// from the bytes that Kafka's own classes wrote (golden/golden.json, made by golden/Golden.java with kafka-clients
// 4.3.1). A field that a version does not carry has its documented default.
import { addOffsetsToTxn } from '../../../src/protocol/add-offsets-to-txn.ts'
import { addPartitionsToTxn } from '../../../src/protocol/add-partitions-to-txn.ts'
import type { Api } from '../../../src/protocol/api.ts'
import { apiVersions } from '../../../src/protocol/api-versions.ts'
import { endTxn } from '../../../src/protocol/end-txn.ts'
import { fetch } from '../../../src/protocol/fetch.ts'
import { findCoordinator } from '../../../src/protocol/find-coordinator.ts'
import { heartbeat } from '../../../src/protocol/heartbeat.ts'
import { initProducerId } from '../../../src/protocol/init-producer-id.ts'
import { joinGroup } from '../../../src/protocol/join-group.ts'
import { leaveGroup } from '../../../src/protocol/leave-group.ts'
import { EARLIEST_TIMESTAMP, listOffsets } from '../../../src/protocol/list-offsets.ts'
import { metadata } from '../../../src/protocol/metadata.ts'
import { offsetCommit } from '../../../src/protocol/offset-commit.ts'
import { offsetFetch } from '../../../src/protocol/offset-fetch.ts'
import { produce } from '../../../src/protocol/produce.ts'
import { syncGroup } from '../../../src/protocol/sync-group.ts'
import { txnOffsetCommit } from '../../../src/protocol/txn-offset-commit.ts'
import { adminFixtures } from './admin-fixtures.ts'
import { type Fixture, fixture, identity, none, records, topicId } from './fixture.ts'

const offsets = [
  {
    topic: 'in',
    partitions: [
      { partition: 0, offset: 2 ** 40, leaderEpoch: -1, metadata: 'w:1' },
      { partition: 2, offset: 0, leaderEpoch: 8, metadata: null },
    ],
  },
]

const committed = (throttleTimeMs: number) => () => ({
  throttleTimeMs,
  topics: [
    {
      topic: 'in',
      partitions: [
        { partition: 0, errorCode: 0 },
        { partition: 2, errorCode: 22 },
      ],
    },
  ],
})

const discovery: Fixture[] = [
  fixture(apiVersions, { clientSoftwareName: 'millstream', clientSoftwareVersion: '0.1.0' }, () => ({
    errorCode: 0,
    apis: [
      { key: 0, min: 3, max: 13 },
      { key: 26, min: 0, max: 5 },
    ],
    throttleTimeMs: 7,
    supportedFeatures: [{ name: 'transaction.version', minVersion: 1, maxVersion: 2 }],
    finalizedFeaturesEpoch: 4_294_967_301,
    finalizedFeatures: [
      { name: 'metadata.version', minLevel: 29, maxLevel: 29 },
      { name: 'transaction.version', minLevel: 2, maxLevel: 2 },
    ],
  })),
  fixture(metadata, { topics: ['in', 'größe'] }, (version) => ({
    throttleTimeMs: 1,
    brokers: [
      { nodeId: 1, host: 'b1.example', port: 9092, rack: null },
      { nodeId: 2, host: 'b2.example', port: 9093, rack: 'r' },
    ],
    clusterId: 'cluster',
    controllerId: 2,
    topics: [
      {
        errorCode: 0,
        topic: 'in',
        topicId: version >= 10 ? topicId : null,
        isInternal: false,
        partitions: [
          {
            errorCode: 0,
            partition: 1,
            leaderId: 2,
            leaderEpoch: 5,
            replicas: [2, 1],
            isr: [2],
            offlineReplicas: [1],
          },
          {
            errorCode: 5,
            partition: 0,
            leaderId: -1,
            leaderEpoch: 4,
            replicas: [1],
            isr: [],
            offlineReplicas: [],
          },
        ],
      },
      { errorCode: 3, topic: 'gone', topicId: null, isInternal: true, partitions: [] },
    ],
  })),
  fixture(findCoordinator, { keyType: 'transaction', keys: ['words'] }, (version) => {
    const missing = { nodeId: -1, host: '', port: -1, errorCode: 15, errorMessage: 'none here' }
    const found = { key: 'words', nodeId: 3, host: 'b3', port: 9094, errorCode: 0, errorMessage: null }
    const coordinators = version >= 4 ? [found, { key: 'x', ...missing }] : [{ key: null, ...missing }]
    return { throttleTimeMs: 2, coordinators }
  }),
]

const transactions: Fixture[] = [
  fixture(
    initProducerId,
    {
      transactionalId: 'words-0',
      transactionTimeoutMs: 10_000,
      producerId: Number.MAX_SAFE_INTEGER,
      producerEpoch: 32_767,
    },
    () => ({ throttleTimeMs: 3, errorCode: 51, producerId: -1, producerEpoch: -1 }),
  ),
  fixture(
    addPartitionsToTxn,
    {
      ...identity,
      topics: [
        { topic: 'a', partitions: [0, 7] },
        { topic: 'b', partitions: [3] },
      ],
    },
    () => ({
      throttleTimeMs: 4,
      topics: [
        {
          topic: 'a',
          partitions: [
            { partition: 0, errorCode: 0 },
            { partition: 7, errorCode: 55 },
          ],
        },
      ],
    }),
  ),
  fixture(addOffsetsToTxn, { ...identity, groupId: 'words' }, () => ({ throttleTimeMs: 5, errorCode: 90 })),
  fixture(
    produce,
    {
      transactionalId: 'words-0',
      acks: -1,
      timeoutMs: 30_000,
      topics: [
        {
          topic: 'out',
          partitions: [
            { partition: 0, records },
            { partition: 1, records: none },
          ],
        },
      ],
    },
    () => ({
      topics: [
        {
          topic: 'out',
          partitions: [
            {
              partition: 0,
              errorCode: 0,
              baseOffset: 2 ** 32,
              logAppendTimeMs: -1,
              logStartOffset: 17,
              recordErrors: [],
              errorMessage: null,
            },
            {
              partition: 1,
              errorCode: 87,
              baseOffset: -1,
              logAppendTimeMs: -1,
              logStartOffset: -1,
              recordErrors: [
                { batchIndex: 2, message: 'null key' },
                { batchIndex: 3, message: null },
              ],
              errorMessage: 'bad',
            },
          ],
        },
      ],
      throttleTimeMs: 6,
    }),
  ),
  fixture(
    txnOffsetCommit,
    {
      ...identity,
      groupId: 'words',
      generationId: 3,
      memberId: 'm-1',
      groupInstanceId: 'pod-0',
      topics: offsets,
    },
    committed(8),
  ),
  fixture(endTxn, { ...identity, committed: true }, (version) => ({
    throttleTimeMs: 9,
    errorCode: 0,
    producerId: version >= 5 ? 4_000_000_001 : -1,
    producerEpoch: version >= 5 ? 0 : -1,
  })),
]

const positions: Fixture[] = [
  fixture(
    offsetFetch,
    { groupId: 'words', topics: [{ topic: 'in', partitions: [0, 2] }], requireStable: true },
    () => ({
      throttleTimeMs: 10,
      errorCode: 14,
      topics: [
        {
          topic: 'in',
          partitions: [
            { partition: 0, offset: 2 ** 40, leaderEpoch: -1, metadata: 'w:1', errorCode: 0 },
            { partition: 2, offset: -1, leaderEpoch: -1, metadata: null, errorCode: 88 },
          ],
        },
      ],
    }),
  ),
  fixture(
    offsetCommit,
    { groupId: 'words', generationId: 3, memberId: 'm-1', groupInstanceId: null, topics: offsets },
    committed(11),
  ),
  fixture(
    listOffsets,
    {
      isolationLevel: 'read_committed',
      topics: [
        {
          topic: 'in',
          partitions: [
            { partition: 0, currentLeaderEpoch: -1, timestamp: EARLIEST_TIMESTAMP },
            { partition: 1, currentLeaderEpoch: 4, timestamp: 1_700_000_000_000 },
          ],
        },
      ],
    },
    () => ({
      throttleTimeMs: 12,
      topics: [
        {
          topic: 'in',
          partitions: [
            { partition: 0, errorCode: 0, timestamp: -1, offset: 5, leaderEpoch: 2 },
            { partition: 1, errorCode: 78, timestamp: -1, offset: -1, leaderEpoch: -1 },
          ],
        },
      ],
    }),
  ),
  fixture(
    fetch,
    {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 52_428_800,
      isolationLevel: 'read_committed',
      rackId: 'r',
      topics: [
        {
          topic: 'in',
          partitions: [{ partition: 0, currentLeaderEpoch: 3, fetchOffset: 42, maxBytes: 1_048_576 }],
        },
      ],
    },
    () => ({
      throttleTimeMs: 13,
      errorCode: 0,
      topics: [
        {
          topic: 'in',
          partitions: [
            {
              partition: 0,
              errorCode: 0,
              highWatermark: 99,
              lastStableOffset: 90,
              logStartOffset: 1,
              abortedTransactions: [
                { producerId: 4_000_000_000, firstOffset: 50 },
                { producerId: 7, firstOffset: 45 },
              ],
              preferredReadReplica: -1,
              records,
            },
            {
              partition: 1,
              errorCode: 1,
              highWatermark: -1,
              lastStableOffset: -1,
              logStartOffset: -1,
              abortedTransactions: [],
              preferredReadReplica: 2,
              records: none,
            },
          ],
        },
      ],
    }),
  ),
]

const member = { groupId: 'words', generationId: 3, memberId: 'm-1' }

const groups: Fixture[] = [
  fixture(
    joinGroup,
    {
      groupId: 'words',
      sessionTimeoutMs: 45_000,
      rebalanceTimeoutMs: 30_000,
      memberId: 'm-1',
      groupInstanceId: 'pod-0',
      protocolType: 'consumer',
      protocols: [{ name: 'sticky', metadata: Buffer.from([0, 1]) }],
      reason: 'why',
    },
    (version) => ({
      throttleTimeMs: 14,
      errorCode: 0,
      generationId: 3,
      protocolType: version >= 7 ? 'consumer' : null,
      protocolName: 'sticky',
      leader: 'm-1',
      skipAssignment: version >= 9,
      memberId: 'm-1',
      members: [
        { memberId: 'm-1', groupInstanceId: 'pod-0', metadata: Buffer.from([0, 1]) },
        { memberId: 'm-2', groupInstanceId: null, metadata: none },
      ],
    }),
  ),
  fixture(
    syncGroup,
    {
      ...member,
      groupInstanceId: null,
      protocolType: 'consumer',
      protocolName: 'sticky',
      assignments: [{ memberId: 'm-1', assignment: Buffer.from([0, 2]) }],
    },
    (version) => ({
      throttleTimeMs: 15,
      errorCode: 27,
      protocolType: version >= 5 ? 'consumer' : null,
      protocolName: null,
      assignment: Buffer.from([0, 3]),
    }),
  ),
  fixture(heartbeat, { ...member, groupInstanceId: 'pod-0' }, () => ({ throttleTimeMs: 16, errorCode: 27 })),
  fixture(
    leaveGroup,
    {
      groupId: 'words',
      members: [
        { memberId: '', groupInstanceId: 'pod-9', reason: 'scaled down' },
        { memberId: 'm-1', groupInstanceId: null, reason: null },
      ],
    },
    () => ({
      throttleTimeMs: 17,
      errorCode: 0,
      members: [{ memberId: 'm-1', groupInstanceId: 'pod-9', errorCode: 25 }],
    }),
  ),
]

export const fixtures: readonly Fixture[] = [
  ...discovery,
  ...transactions,
  ...positions,
  ...groups,
  ...adminFixtures,
]

export const versionsOf = (api: Api<never, unknown>): number[] => {
  const [min, max] = api.versions
  return Array.from({ length: max - min + 1 }, (_, i) => min + i)
}
