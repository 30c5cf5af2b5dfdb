// Whose transaction the guard takes for one whose marker was left out. What it does about it: test/integration/hanging.test.ts.
import { expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { Endings, MarkerGuard } from '../../../src/client/marker-guard.ts'
import { forPartitions, scriptedCluster } from './scripted-cluster.ts'

const producerId = 7

/** A partition in which a transaction of this epoch is open, while the coordinator has none. */
const settled = async (openEpoch: number, ownEpoch: number | undefined): Promise<void> => {
  const producer = { producerId, producerEpoch: openEpoch, coordinatorEpoch: 0, currentTransactionStart: 12 }
  const { cluster } = scriptedCluster(2, (api, request) =>
    api === 'DescribeProducers'
      ? forPartitions(request, { errorCode: 0, producers: [producer] })
      : { transactions: [{ errorCode: 0, state: 'CompleteCommit', producerId, producerEpoch: 9 }] },
  )
  const settings = { transactionalId: 'one.0', requestTimeoutMs: 1000 }
  const guard = new MarkerGuard(cluster, nodePorts, settings, silentLogger)
  const deadlineMs = nodePorts.clock.monotonic() + 1000
  await guard.settle(
    [{ topic: 't', partition: 0 }],
    { producerId, epoch: ownEpoch },
    new Endings(),
    deadlineMs,
  )
}

it.each([
  [4, 5],
  [5, undefined],
])('what is open under epoch %i is left over where ours is %s', async (openEpoch, ownEpoch) => {
  await expect(settled(openEpoch, ownEpoch)).rejects.toMatchObject({ code: 'TRANSACTION_HANGING' })
})

it.each([5, 6])(
  'what is open under epoch %i is at work where ours is 5: nobody is told to end it',
  async (openEpoch) => {
    await settled(openEpoch, 5)
  },
)
