// An outbox that is given up: nothing is sent afterwards, and nothing of it is waited for.
import { expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Cluster } from '../../../src/client/cluster.ts'
import { Outbox } from '../../../src/client/outbox.ts'
import { MillstreamError } from '../../../src/errors.ts'
import { BatchBuilder } from '../../../src/record/batch-builder.ts'
import { idle, scriptedCluster } from './scripted-cluster.ts'

/** With one batch on its way. */
const outboxOn = (cluster: Cluster, before = Promise.resolve()): Outbox => {
  const settings = { requestTimeoutMs: 10_000, requestBytesMax: 1 << 20, compression: 'none' } as const
  const outbox = new Outbox(cluster, nodePorts, settings, silentLogger, {
    identity: () => ({ transactionalId: null, producerId: 7, producerEpoch: 0 }),
    beforeProduce: () => before,
    unanswered: () => {},
    doubted: () => {},
    deadlineMs: () => Number.POSITIVE_INFINITY,
    failed: () => {},
  })
  const builder = new BatchBuilder(1024)
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
