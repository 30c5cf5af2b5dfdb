// The commit of at-least-once: under which membership, and what is known of it when it is given up.
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { IdempotentProducer } from '../../../src/client/idempotent-producer.ts'
import type { Membership, MembershipSource } from '../../../src/client/producer.ts'
import { connectionLost, forPartitions, idle, type Script, scriptedCluster } from './scripted-cluster.ts'

const ILLEGAL_GENERATION = 22

const settings = {
  deliveryTimeoutMs: 60_000,
  requestTimeoutMs: 10_000,
  requestBytesMax: 1 << 20,
  compression: 'none',
} as const

const initialised = { errorCode: 0, producerId: 7, producerEpoch: 0 }
const offsets = [{ topic: 't', partition: 0, offset: 5, metadata: '' }]

const under = (generationId: number): Membership => ({
  groupId: 'g',
  memberId: 'm',
  generationId,
  instanceId: undefined,
})

const stays: MembershipSource = {
  current: () => Promise.resolve(under(1)),
  outlives: () => Promise.resolve(false),
}

/** One that is open, on a cluster that does with OffsetCommit as the script says. */
const opened = async (script: Script) => {
  const scripted = scriptedCluster(2, () => initialised)
  const producer = new IdempotentProducer(scripted.cluster, nodePorts, settings, silentLogger)
  await producer.init()
  scripted.sent.length = 0
  scripted.script = script
  producer.begin()
  return { producer, scripted }
}

describe('offsets that are given up', () => {
  it('have an unknown outcome once they were sent, and are not sent again', async () => {
    const answer = Promise.withResolvers<never>()
    const { producer, scripted } = await opened(() => answer.promise)
    const committed = producer.commitOffsets(stays, offsets)
    await idle()
    producer.giveUp('the group waits')
    await expect(committed).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT', reaction: 'retry' })
    answer.reject(connectionLost())
    await idle()
    expect(scripted.sent).toEqual(['OffsetCommit'])
  })

  it('are not sent at all while the membership is waited for', async () => {
    const { producer, scripted } = await opened(() => undefined)
    const joined = Promise.withResolvers<Membership>()
    const committed = producer.commitOffsets({ ...stays, current: () => joined.promise }, offsets)
    await idle()
    producer.giveUp('the group waits')
    await expect(committed).rejects.toMatchObject({ code: 'TRANSACTION_ABORTABLE' })
    joined.resolve(under(2))
    await idle()
    expect(scripted.sent).toEqual([])
  })

  it('are not waited for in the generation after the one that was refused', async () => {
    const { producer } = await opened((_, request) =>
      forPartitions(request, { errorCode: ILLEGAL_GENERATION }),
    )
    const committed = producer.commitOffsets({ ...stays, outlives: () => new Promise(() => {}) }, offsets)
    await idle()
    producer.giveUp('the group waits')
    await expect(committed).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
  })
})

it('offsets that met the answer to a join are committed in the generation after it', async () => {
  const generations: number[] = []
  const { producer } = await opened((_, request) => {
    const { generationId } = request as { generationId: number }
    generations.push(generationId)
    return forPartitions(request, { errorCode: generationId === 2 ? 0 : ILLEGAL_GENERATION })
  })
  let generation = 1
  await producer.commitOffsets(
    {
      current: () => Promise.resolve(under(generation)),
      outlives: ({ generationId }) => Promise.resolve(++generation > generationId),
    },
    offsets,
  )
  expect(generations).toEqual([1, 2])
})

it('an init can be given up, and repeated', async () => {
  const scripted = scriptedCluster(2, () => undefined)
  const producer = new IdempotentProducer(scripted.cluster, nodePorts, settings, silentLogger)
  const first = producer.init()
  await idle()
  producer.giveUp('the worker is to close')
  await expect(first).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
  expect(producer.lost).toBe(true)
  scripted.script = () => initialised
  await producer.init()
  expect(producer.lost).toBe(false)
  producer.begin()
})
