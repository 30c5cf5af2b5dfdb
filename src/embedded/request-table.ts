// The requests that the broker takes, by their keys: what ApiVersions offers.
import type { AnyHandler } from './request-handler.ts'
import { addOffsetsToTxnHandler } from './requests/add-offsets-to-txn.ts'
import { addPartitionsToTxnHandler } from './requests/add-partitions-to-txn.ts'
import { alterConfigsHandler } from './requests/alter-configs.ts'
import { apiVersionsHandler } from './requests/api-versions.ts'
import { createPartitionsHandler } from './requests/create-partitions.ts'
import { createTopicsHandler } from './requests/create-topics.ts'
import { deleteGroupsHandler } from './requests/delete-groups.ts'
import { deleteRecordsHandler } from './requests/delete-records.ts'
import { deleteTopicsHandler } from './requests/delete-topics.ts'
import { describeClusterHandler } from './requests/describe-cluster.ts'
import { describeConfigsHandler } from './requests/describe-configs.ts'
import { describeGroupsHandler } from './requests/describe-groups.ts'
import { describeProducersHandler } from './requests/describe-producers.ts'
import { describeTransactionsHandler } from './requests/describe-transactions.ts'
import { endTxnHandler } from './requests/end-txn.ts'
import { fetchHandler } from './requests/fetch.ts'
import { findCoordinatorHandler } from './requests/find-coordinator.ts'
import { heartbeatHandler } from './requests/heartbeat.ts'
import { incrementalAlterConfigsHandler } from './requests/incremental-alter-configs.ts'
import { initProducerIdHandler } from './requests/init-producer-id.ts'
import { joinGroupHandler } from './requests/join-group.ts'
import { leaveGroupHandler } from './requests/leave-group.ts'
import { listGroupsHandler } from './requests/list-groups.ts'
import { listOffsetsHandler } from './requests/list-offsets.ts'
import { listTransactionsHandler } from './requests/list-transactions.ts'
import { metadataHandler } from './requests/metadata.ts'
import { offsetCommitHandler } from './requests/offset-commit.ts'
import { offsetDeleteHandler } from './requests/offset-delete.ts'
import { offsetFetchHandler } from './requests/offset-fetch.ts'
import { offsetForLeaderEpochHandler } from './requests/offset-for-leader-epoch.ts'
import { produceHandler } from './requests/produce.ts'
import { syncGroupHandler } from './requests/sync-group.ts'
import { txnOffsetCommitHandler } from './requests/txn-offset-commit.ts'
import { writeTxnMarkersHandler } from './requests/write-txn-markers.ts'

const handlers: readonly AnyHandler[] = [
  apiVersionsHandler(() => offeredVersions()),
  addOffsetsToTxnHandler,
  addPartitionsToTxnHandler,
  alterConfigsHandler,
  createPartitionsHandler,
  createTopicsHandler,
  deleteGroupsHandler,
  deleteRecordsHandler,
  deleteTopicsHandler,
  describeClusterHandler,
  describeConfigsHandler,
  describeGroupsHandler,
  describeProducersHandler,
  describeTransactionsHandler,
  endTxnHandler,
  fetchHandler,
  findCoordinatorHandler,
  heartbeatHandler,
  incrementalAlterConfigsHandler,
  initProducerIdHandler,
  joinGroupHandler,
  leaveGroupHandler,
  listGroupsHandler,
  listOffsetsHandler,
  listTransactionsHandler,
  metadataHandler,
  offsetCommitHandler,
  offsetDeleteHandler,
  offsetFetchHandler,
  offsetForLeaderEpochHandler,
  produceHandler,
  syncGroupHandler,
  txnOffsetCommitHandler,
  writeTxnMarkersHandler,
]

const byKey = new Map(handlers.map((handler) => [handler.key, handler]))

export const handlerOf = (key: number): AnyHandler | undefined => byKey.get(key)

/** What a broker says of itself: each request with the versions that it takes. */
const offeredVersions = (): { key: number; min: number; max: number }[] =>
  [...byKey.values()]
    .map(({ key, versions: [min, max] }) => ({ key, min, max }))
    .sort((a, b) => a.key - b.key)
