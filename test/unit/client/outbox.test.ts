// An outbox that is given up: nothing is sent afterwards, and nothing of it is waited for. And when the memory of a batch
// comes back: with its acknowledgement, and not before.
import { expect, it, vi } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Cluster } from '../../../src/client/cluster.ts'
import { Outbox } from '../../../src/client/outbox.ts'
import { MillstreamError } from '../../../src/errors.ts'
import { BatchBuilder, batchMemory } from '../../../src/record/batch-builder.ts'
import type { ProduceRequest } from '../../../src/protocol/produce.ts'
import { connectionLost, forPartitions, idle, scriptedCluster } from './scripted-cluster.ts'

/** With one batch on its way. */
const outboxOn = (cluster: Cluster, before = Promise.resolve(), memory = batchMemory()): Outbox => {
  const settings = { requestTimeoutMs: 10_000, requestBytesMax: 1 << 20, compression: 'none' } as const
  const outbox = new Outbox(cluster, nodePorts, settings, silentLogger, {
    identity: () => ({ transactionalId: null, producerId: 7, producerEpoch: 0 }),
    beforeProduce: () => before,
    unanswered: () => {},
    doubted: () => {},
    deadlineMs: () => Number.POSITIVE_INFINITY,
    failed: () => {},
  })
  const builder = new BatchBuilder(1024, memory)
  const bytes = Buffer.from('v')
  builder.append(Date.now(), bytes, 0, bytes.length, bytes, 0, bytes.length, [])
  outbox.send('t', 0, builder)
  return outbox
}

const given = (): MillstreamError => new MillstreamError('TRANSACTION_ABORTABLE', { what: 'it is given up' })

it('what is made ready for a produce is not sent any more', async () => {
  const { cluster, sent } = scriptedCluster(2, () => undefined)
  const ready = Promise.withResolvers<void>()
  const outbox = outboxOn(cluster, ready.promise)
  outbox.giveUp(given())
  ready.resolve()
  expect(await outbox.quiesce()).toBe(true)
  expect(sent).toEqual([])
})

it('leaders that are being looked up are not waited for', async () => {
  const scripted = scriptedCluster(2, () => undefined)
  scripted.leader = -1
  const outbox = outboxOn(scripted.cluster)
  await idle()
  outbox.giveUp(given())
  expect(await outbox.quiesce()).toBe(true)
})

const recordsOf = (request: unknown): Buffer => {
  const records = (request as ProduceRequest).topics[0]?.partitions[0]?.records
  return Buffer.from(records as Uint8Array)
}

it.each([
  ['taken', { errorCode: 0, baseOffset: 0 }],
  ['known from before', { errorCode: 46, baseOffset: -1 }],
])('the memory of a batch that is sent again comes back once it is %s', async (_, answer) => {
  const memory = batchMemory()
  const sent: { readonly free: number; readonly records: Buffer }[] = []
  const { cluster } = scriptedCluster(2, (api, request) => {
    if (api !== 'Produce') return {}
    sent.push({ free: memory.freeBytes, records: recordsOf(request) })
    return sent.length === 1 ? Promise.reject(connectionLost()) : forPartitions(request, answer)
  })
  const outbox = outboxOn(cluster, undefined, memory)
  await vi.waitFor(() => expect(outbox.unacknowledgedBytes).toBe(0))
  expect(sent.map(({ free }) => free)).toEqual([0, 0])
  expect(sent[1]?.records.equals(sent[0]?.records as Buffer)).toBe(true)
  expect(memory.freeBytes).toBe(1024)
})

it('the memory of a batch that was given up does not come back', async () => {
  const memory = batchMemory()
  const outbox = outboxOn(scriptedCluster(2, () => undefined).cluster, undefined, memory)
  await idle()
  outbox.giveUp(given())
  await outbox.quiesce()
  expect(memory.freeBytes).toBe(0)
})
