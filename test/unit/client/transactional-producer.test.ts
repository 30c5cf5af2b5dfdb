// A transactional producer that is given up: what it waits for ends, in whichever state it is, and it can be used again.
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Ports, TimerHandle } from '../../../src/base/ports.ts'
import { TransactionalProducer } from '../../../src/client/transactional-producer.ts'
import { send } from '../../support/transactional-producer.ts'
import { forPartitions, idle, type Script, scriptedCluster } from './scripted-cluster.ts'

const CONCURRENT_TRANSACTIONS = 51
const INVALID_TXN_STATE = 48

const settings = {
  transactionalId: 'one.0',
  transactionTimeoutMs: 30_000,
  requestTimeoutMs: 10_000,
  requestBytesMax: 1 << 20,
  compression: 'none',
  markerWaitMs: 0,
} as const

const graceMs = 5000

/** Everything works. */
const fine: Script = (api, request) => {
  switch (api) {
    case 'DescribeTransactions':
      return { transactions: [{ errorCode: 0, state: 'Empty', producerId: 7, producerEpoch: 0 }] }
    case 'DescribeProducers':
      return forPartitions(request, { errorCode: 0, producers: [] })
    case 'Produce':
    case 'TxnOffsetCommit':
    case 'AddPartitionsToTxn':
      return forPartitions(request, { errorCode: 0, baseOffset: 0 })
    default:
      return { errorCode: 0, producerId: 7, producerEpoch: 1 }
  }
}

/** `fine`, with this one request another way. */
const but =
  (which: string, answer: unknown): Script =>
  (api, request, broker) =>
    api === which ? answer : fine(api, request, broker)

const producerOf = (transactionVersion: 1 | 2, script: Script = fine) => {
  const timers = new Set<TimerHandle>()
  const ports: Ports = {
    ...nodePorts,
    timers: {
      ...nodePorts.timers,
      set: (callback, delayMs) => {
        const handle = nodePorts.timers.set(callback, delayMs)
        timers.add(handle)
        return handle
      },
      clear: (handle) => {
        timers.delete(handle)
        nodePorts.timers.clear(handle)
      },
    },
  }
  const scripted = scriptedCluster(transactionVersion, script)
  const producer = new TransactionalProducer(scripted.cluster, ports, settings, silentLogger)
  return { producer, scripted, timers }
}

/** With a record in an open transaction. */
const opened = async (transactionVersion: 1 | 2, script: Script) => {
  const made = producerOf(transactionVersion)
  await made.producer.init(true)
  made.scripted.sent.length = 0
  made.scripted.script = script
  made.producer.begin()
  send(made.producer, 't', 0, 'v')
  await idle()
  return made
}

describe('an init that is given up', () => {
  it.each([
    [
      'while the transaction before is being ended',
      1,
      'InitProducerId',
      { errorCode: CONCURRENT_TRANSACTIONS },
    ],
    ['while the coordinator is silent', 1, 'InitProducerId', undefined],
    ['while the last transaction is looked up', 2, 'DescribeTransactions', undefined],
  ] as const)('%s ends, and can be repeated', async (_when, version, api, answer) => {
    const { producer, scripted, timers } = producerOf(version, but(api, answer))
    const first = producer.init(true)
    await idle()
    producer.giveUp('the group waits', graceMs)
    await expect(first).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
    expect(producer.lost).toBe(true)
    expect(timers.size).toBe(0)
    scripted.script = fine
    await producer.init(true)
    producer.begin()
    expect(producer.inTransaction).toBe(true)
  })

  it('while a produce of the transaction before is in flight ends that as well', async () => {
    const { producer, scripted } = await opened(2, but('Produce', undefined))
    const first = producer.init(false)
    await idle()
    producer.giveUp('the group waits', graceMs)
    await expect(first).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
    scripted.script = fine
    await producer.init(false)
    expect(producer.lost).toBe(false)
  })
})

it('an abort after which a request may still arrive leaves InitProducerId to who comes after the join', async () => {
  const { producer, scripted } = await opened(1, but('Produce', undefined))
  producer.giveUp('the group waits', graceMs)
  scripted.script = but('InitProducerId', undefined)
  await producer.abort()
  expect(producer.lost).toBe(true)
  expect(scripted.sent).toContain('EndTxn')
  expect(scripted.sent).not.toContain('InitProducerId')
})

it('an abort that is refused leaves no timer of what was given up', async () => {
  const { producer, scripted, timers } = await opened(2, fine)
  const answer = Promise.withResolvers<object>()
  scripted.script = but('EndTxn', answer.promise)
  const ended = producer.abort()
  await idle()
  producer.giveUp('the group waits', graceMs)
  answer.resolve({ errorCode: INVALID_TXN_STATE })
  await ended
  expect(producer.lost).toBe(true)
  expect(timers.size).toBe(0)
})
