// ApiVersions: what a client learns first, and how a client that is too new is answered.
import { describe, expect } from 'vitest'
import { addOffsetsToTxn } from '../../src/protocol/add-offsets-to-txn.ts'
import { addPartitionsToTxn } from '../../src/protocol/add-partitions-to-txn.ts'
import { apiVersions } from '../../src/protocol/api-versions.ts'
import { createTopics } from '../../src/protocol/create-topics.ts'
import { deleteRecords } from '../../src/protocol/delete-records.ts'
import { describeConfigs } from '../../src/protocol/describe-configs.ts'
import { describeGroups } from '../../src/protocol/describe-groups.ts'
import { describeProducers } from '../../src/protocol/describe-producers.ts'
import { describeTransactions } from '../../src/protocol/describe-transactions.ts'
import { endTxn } from '../../src/protocol/end-txn.ts'
import { findCoordinator } from '../../src/protocol/find-coordinator.ts'
import { heartbeat } from '../../src/protocol/heartbeat.ts'
import { initProducerId } from '../../src/protocol/init-producer-id.ts'
import { joinGroup } from '../../src/protocol/join-group.ts'
import { leaveGroup } from '../../src/protocol/leave-group.ts'
import { listOffsets } from '../../src/protocol/list-offsets.ts'
import { listTransactions } from '../../src/protocol/list-transactions.ts'
import { offsetCommit } from '../../src/protocol/offset-commit.ts'
import { offsetFetch } from '../../src/protocol/offset-fetch.ts'
import { produce } from '../../src/protocol/produce.ts'
import { syncGroup } from '../../src/protocol/sync-group.ts'
import { txnOffsetCommit } from '../../src/protocol/txn-offset-commit.ts'
import { Writer } from '../../src/protocol/wire.ts'
import { writeTxnMarkers } from '../../src/protocol/write-txn-markers.ts'
import { contract } from '../support/contract/contract.ts'
import { nameOf } from '../support/contract/names.ts'
import type { Wire } from '../support/contract/wire.ts'

const key = 18
const ours = { clientSoftwareName: 'contract', clientSoftwareVersion: '1.0' }

interface Offered {
  readonly error: string
  readonly apis: readonly { readonly key: number; readonly min: number; readonly max: number }[]
}

/** The answer in the layout of v0. */
const askV0 = async (wire: Wire, version: number, body: Buffer): Promise<Offered> => {
  const reader = await wire.askBytes(key, version, version >= 3, body)
  reader.begin('the answer', false)
  const error = nameOf(reader.int16())
  const apis = reader.structs(() => ({ key: reader.int16(), min: reader.int16(), max: reader.int16() }))
  reader.finish()
  return { error, apis }
}

/** By their keys, the versions that kafkajs 2.2.4 picks from. */
const ofKafkajs: readonly (readonly [key: number, min: number, max: number])[] = [
  [0, 3, 7],
  [1, 4, 11],
  [2, 1, 3],
  [3, 0, 6],
  [8, 2, 5],
  [9, 1, 5],
  [10, 0, 2],
  [11, 2, 5],
  [12, 0, 3],
  [13, 0, 3],
  [14, 0, 3],
  [15, 0, 2],
  [16, 0, 3],
  [18, 0, 2],
  [19, 2, 3],
  [20, 1, 1],
  [21, 0, 1],
  [22, 0, 1],
  [24, 0, 1],
  [25, 0, 1],
  [26, 0, 1],
  [28, 0, 1],
  [32, 1, 2],
  [33, 0, 1],
  [37, 0, 1],
  [42, 0, 1],
]

describe('ApiVersions', () => {
  contract('v0 is the bare list', async ({ wire }) => {
    const { error, apis } = await askV0(wire, 0, Buffer.alloc(0))
    expect(error).toBe('NONE')
    const numbers = apis.map((one) => one.key)
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(apis.every(({ min, max }) => min >= 0 && min <= max)).toBe(true)
    expect(apis.find((one) => one.key === key)).toEqual({ key, min: 0, max: 4 })
  })

  contract('v3 tells the finalized features', async ({ wire }) => {
    const answer = await wire.ask(apiVersions, ours, 3)
    expect(nameOf(answer.errorCode)).toBe('NONE')
    const found = answer.finalizedFeatures.find(({ name }) => name === 'transaction.version')
    expect(found).toEqual({ name: 'transaction.version', minLevel: 2, maxLevel: 2 })
    expect(answer.finalizedFeaturesEpoch).toBeGreaterThanOrEqual(0)
  })

  contract('v4 tells of supported features that begin at 0, v3 leaves them out', async ({ wire }) => {
    const [three, four] = [await wire.ask(apiVersions, ours, 3), await wire.ask(apiVersions, ours, 4)]
    expect(four.apis).toEqual(three.apis)
    expect(four.finalizedFeatures).toEqual(three.finalizedFeatures)
    const supported = { name: 'transaction.version', minVersion: 0, maxVersion: 2 }
    expect(four.supportedFeatures).toContainEqual(supported)
    expect(three.supportedFeatures.map(({ name }) => name)).not.toContain('transaction.version')
  })

  contract(
    'in a version too new is answered in v0, with the range that is spoken (KIP-511)',
    async ({ wire }) => {
      const { error, apis } = await askV0(wire, 99, Buffer.from('a body of some later time'))
      expect(error).toBe('UNSUPPORTED_VERSION')
      expect(apis.find((one) => one.key === key)).toEqual({ key, min: 0, max: 4 })
      // The connection serves on.
      expect(nameOf((await wire.ask(apiVersions, ours)).errorCode)).toBe('NONE')
    },
  )

  contract('refuses a client software that names itself with anything but words', async ({ wire }) => {
    const answer = await wire.ask(apiVersions, { clientSoftwareName: ' no ', clientSoftwareVersion: '1' })
    expect(nameOf(answer.errorCode)).toBe('INVALID_REQUEST')
  })

  contract('offers the versions that millstream speaks', async ({ wire }) => {
    const { apis } = await wire.ask(apiVersions, ours)
    const all = [
      ...[addOffsetsToTxn, addPartitionsToTxn, createTopics, deleteRecords, describeConfigs, describeGroups],
      ...[describeProducers, describeTransactions, endTxn, findCoordinator, heartbeat, initProducerId],
      ...[joinGroup, leaveGroup, listOffsets, listTransactions, offsetCommit, offsetFetch, produce],
      ...[syncGroup, txnOffsetCommit, writeTxnMarkers],
    ]
    for (const { name, key: number, versions } of all) {
      const found = apis.find((one) => one.key === number)
      expect(found, name).toBeDefined()
      expect(found?.min, name).toBeLessThanOrEqual(versions[0])
      expect(found?.max, name).toBeGreaterThanOrEqual(versions[1])
    }
  })

  contract('offers the versions that kafkajs speaks', async ({ wire }) => {
    const { apis } = await wire.ask(apiVersions, ours)
    for (const [number, min, max] of ofKafkajs) {
      const found = apis.find((one) => one.key === number)
      expect(found, `key ${number}`).toBeDefined()
      // Some version of its own is enough.
      expect(found?.min, `key ${number}`).toBeLessThanOrEqual(max)
      expect(found?.max, `key ${number}`).toBeGreaterThanOrEqual(min)
    }
  })

  contract('is answered again on the same connection, whenever it is asked', async ({ wire }) => {
    const writer = new Writer()
    for (let times = 0; times < 3; times++)
      expect((await askV0(wire, 0, writer.toBuffer())).error).toBe('NONE')
  })
})
