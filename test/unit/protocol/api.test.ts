import { describe, expect, it } from 'vitest'
import { negotiate, requestHeaderHasTags, responseHeaderHasTags } from '../../../src/protocol/api.ts'
import { apiVersions } from '../../../src/protocol/api-versions.ts'
import { endTxn } from '../../../src/protocol/end-txn.ts'
import { fetch } from '../../../src/protocol/fetch.ts'
import { produce } from '../../../src/protocol/produce.ts'
import { txnOffsetCommit } from '../../../src/protocol/txn-offset-commit.ts'
import { Reader, Writer } from '../../../src/protocol/wire.ts'
import { fixtures } from './fixtures.ts'

// The ranges that brokers 3.9 and 4.3 advertise, from ApiKeys of kafka-clients 3.9.1 and 4.3.1 (4.3: Produce as
// advertised, from v0 on; see KAFKA-18659).
const brokers: Readonly<Record<string, Readonly<Record<number, readonly [number, number]>>>> = {
  '3.9': {
    0: [0, 11],
    1: [0, 17],
    2: [0, 9],
    3: [0, 12],
    8: [0, 9],
    9: [0, 9],
    10: [0, 6],
    11: [0, 9],
    12: [0, 4],
    13: [0, 5],
    14: [0, 5],
    15: [0, 5],
    18: [0, 4],
    19: [0, 7],
    21: [0, 2],
    22: [0, 5],
    24: [0, 5],
    25: [0, 4],
    26: [0, 4],
    27: [0, 1],
    28: [0, 4],
    32: [0, 4],
    61: [0, 0],
    65: [0, 0],
    66: [0, 1],
  },
  '4.3': {
    0: [0, 13],
    1: [4, 18],
    2: [1, 11],
    3: [0, 13],
    8: [2, 10],
    9: [1, 10],
    10: [0, 6],
    11: [0, 9],
    12: [0, 4],
    13: [0, 5],
    14: [0, 5],
    15: [0, 6],
    18: [0, 4],
    19: [2, 7],
    21: [0, 2],
    22: [0, 5],
    24: [0, 5],
    25: [0, 4],
    26: [0, 5],
    27: [1, 2],
    28: [0, 5],
    32: [1, 4],
    61: [0, 0],
    65: [0, 0],
    66: [0, 2],
  },
}

describe('versions', () => {
  for (const [name, ranges] of Object.entries(brokers)) {
    for (const transactionsV2 of [false, true]) {
      it(`every API has a version in common with broker ${name}, transactions v${transactionsV2 ? 2 : 1}`, () => {
        for (const { api } of fixtures) {
          const [min, max] = ranges[api.key] ?? [99, 99]
          const version = negotiate(api, { min, max }, transactionsV2)
          expect(`${api.name} ${version}`).toMatch(/ \d+$/)
        }
      })
    }
  }

  it('keeps away from the versions that mean transactions version 2 until that is finalized', () => {
    const broker = { min: 0, max: 99 }
    const highest = (v2: boolean) =>
      [produce, txnOffsetCommit, endTxn].map((api) => negotiate(api, broker, v2))
    expect(highest(false)).toEqual([11, 4, 4])
    expect(highest(true)).toEqual([12, 5, 5])
    expect(negotiate(fetch, broker, false)).toBe(12)
  })

  it('finds none where the ranges do not meet or the broker does not know the API', () => {
    expect(negotiate(fetch, { min: 13, max: 18 }, true)).toBeUndefined()
    expect(negotiate(fetch, { min: 0, max: 10 }, true)).toBeUndefined()
    expect(negotiate(produce, { min: 12, max: 13 }, false)).toBeUndefined()
    expect(negotiate(fetch, undefined, true)).toBeUndefined()
  })
})

describe('headers', () => {
  it('have a tag section from the first flexible version on', () => {
    for (const { api } of fixtures) {
      if (api === (apiVersions as unknown)) continue
      for (const has of [requestHeaderHasTags, responseHeaderHasTags]) {
        expect([has(api, api.flexibleFrom - 1), has(api, api.flexibleFrom)]).toEqual([false, true])
      }
    }
  })

  it('of an ApiVersions response never have one', () => {
    expect([requestHeaderHasTags(apiVersions, 4), responseHeaderHasTags(apiVersions, 4)]).toEqual([
      true,
      false,
    ])
  })
})

describe('records', () => {
  it('are not copied into a produce request', () => {
    const records = Buffer.alloc(50_000, 7)
    const writer = new Writer()
    const topics = [{ topic: 't', partitions: [{ partition: 0, records }] }]
    produce.encode(writer, 12, { transactionalId: 'x', acks: -1, timeoutMs: 1000, topics })
    expect(writer.parts().some((part) => part.buffer === records.buffer)).toBe(true)
  })

  it('are not copied out of a fetch response', () => {
    const response = fixtures.find(({ api }) => api.name === 'Fetch')
    expect(response).toBeDefined()
    // throttle, error, session; one topic "t"; one partition without aborted transactions and with records 01 02 03
    const head = `${'00'.repeat(10)}020274${'02'}${'00'.repeat(30)}00ffffffff04`
    const frame = Buffer.from(`${head}010203${'000000'}`, 'hex')
    const partition = fetch.decode(new Reader(frame), 12).topics[0]?.partitions[0]
    expect([...(partition?.records ?? [])]).toEqual([1, 2, 3])
    expect(partition?.records.buffer).toBe(frame.buffer)
  })
})
