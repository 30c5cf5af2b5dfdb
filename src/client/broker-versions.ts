// What the brokers must speak, and which version of transactions they allow.

import { MillstreamError } from '../errors.ts'
import { addOffsetsToTxn } from '../protocol/add-offsets-to-txn.ts'
import { addPartitionsToTxn } from '../protocol/add-partitions-to-txn.ts'
import { type Api, negotiate, type VersionRange } from '../protocol/api.ts'
import type { ApiVersionsResponse } from '../protocol/api-versions.ts'
import { createTopics } from '../protocol/create-topics.ts'
import { deleteRecords } from '../protocol/delete-records.ts'
import { describeConfigs } from '../protocol/describe-configs.ts'
import { endTxn } from '../protocol/end-txn.ts'
import { fetch } from '../protocol/fetch.ts'
import { findCoordinator } from '../protocol/find-coordinator.ts'
import { heartbeat } from '../protocol/heartbeat.ts'
import { initProducerId } from '../protocol/init-producer-id.ts'
import { joinGroup } from '../protocol/join-group.ts'
import { leaveGroup } from '../protocol/leave-group.ts'
import { listOffsets } from '../protocol/list-offsets.ts'
import { metadata } from '../protocol/metadata.ts'
import { offsetCommit } from '../protocol/offset-commit.ts'
import { offsetFetch } from '../protocol/offset-fetch.ts'
import { produce } from '../protocol/produce.ts'
import { syncGroup } from '../protocol/sync-group.ts'
import { finalizedLevel, TRANSACTION_VERSION } from '../protocol/tag.ts'
import { txnOffsetCommit } from '../protocol/txn-offset-commit.ts'
import type { BrokerAddress } from './connection.ts'

type AnyApi = Api<never, unknown>

/** All that the runtime asks of a broker. DeleteRecords and the like are here too: found out late they would stop a worker. */
const required: readonly AnyApi[] = [
  addOffsetsToTxn,
  addPartitionsToTxn,
  createTopics,
  deleteRecords,
  describeConfigs,
  endTxn,
  fetch,
  findCoordinator,
  heartbeat,
  initProducerId,
  joinGroup,
  leaveGroup,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  produce,
  syncGroup,
  txnOffsetCommit,
]

/** Those in which version 2 of transactions shows (KIP-890); each says from which version on. */
const transactional: readonly AnyApi[] = [produce, txnOffsetCommit, endTxn]

export const versionsOf = (answer: ApiVersionsResponse, api: AnyApi): VersionRange | undefined =>
  answer.apis.find(({ key }) => key === api.key)

/** Whether this broker sees transaction.version 2 as finalized and speaks all that it takes. */
export const speaksTransactionsV2 = (answer: ApiVersionsResponse): boolean =>
  finalizedLevel(answer, TRANSACTION_VERSION) >= 2 &&
  transactional.every((api) => (versionsOf(answer, api)?.max ?? -1) >= (api.tv2From ?? 0))

/** @throws MillstreamError BROKER_TOO_OLD, naming the broker, every API that is missing and the versions */
export const checkVersions = (
  answer: ApiVersionsResponse,
  address: BrokerAddress,
  transactionVersion: 1 | 2,
): void => {
  const missing = required.filter((api) => negotiate(api, versionsOf(answer, api), false) === undefined)
  if (missing.length > 0) throw tooOld(address, answer, missing)
  if (
    transactionVersion === 2 &&
    !transactional.every((api) => (versionsOf(answer, api)?.max ?? -1) >= (api.tv2From ?? 0))
  ) {
    throw tooOld(address, answer, transactional)
  }
}

export const tooOld = (
  address: BrokerAddress,
  answer: ApiVersionsResponse,
  apis: readonly AnyApi[],
): MillstreamError => {
  const gaps = apis.map((api) => {
    const range = versionsOf(answer, api)
    const theirs = range === undefined ? 'does not have it' : `has v${range.min} to v${range.max}`
    return `${api.name} v${api.versions[0]} to v${api.versions[1]} is needed and the broker ${theirs}`
  })
  return new MillstreamError('BROKER_TOO_OLD', {
    what: gaps.join('; '),
    where: { broker: `${address.host}:${address.port}` },
    fix: 'Update the broker (Kafka 3.9 is the oldest version that is tested), or millstream when the broker is the newer one.',
  })
}
