// Where a transaction that was left open is looked for, and how often. That it is ended on a real broker:
// test/integration/hanging.test.ts.
import { expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { LeftOpen } from '../../../src/client/left-open.ts'
import { Endings } from '../../../src/client/marker-guard.ts'
import { connectionLost, forPartitions, idle, scriptedCluster } from './scripted-cluster.ts'

const NOT_LEADER_OR_FOLLOWER = 6
const producerId = 7
const place = { topic: 't', partition: 0 }

/** A partition at node 2, in which an ended transaction is open. @param moved what who does not lead it answers */
const leftOpen = (moved: () => unknown) => {
  let nowMs = 0
  let isOpen = true
  const stand = scriptedCluster(2, (api, request, node) => {
    if (api === 'Metadata') {
      stand.leader = 2
      return {}
    }
    if (api === 'DescribeTransactions')
      return { transactions: [{ errorCode: 0, state: 'CompleteAbort', producerId, producerEpoch: 5 }] }
    if (api === 'ListTransactions') return { transactions: [{ transactionalId: 'ours', producerId }] }
    if (node !== 2) return moved()
    if (api === 'WriteTxnMarkers') {
      isOpen = false
      return { markers: [{ topics: [{ topic: 't', partitions: [{ partition: 0, errorCode: 0 }] }] }] }
    }
    const producer = { producerId, producerEpoch: 4, coordinatorEpoch: 0, currentTransactionStart: 12 }
    return forPartitions(request, { errorCode: 0, producers: isOpen ? [producer] : [] })
  })
  const ports = { ...nodePorts, clock: { ...nodePorts.clock, monotonic: () => nowMs } }
  const settings = { requestTimeoutMs: 1000, isOurs: (id: string) => id === 'ours' }
  const subject = new LeftOpen(stand.cluster, ports, settings, new Endings(), silentLogger)
  const suspectAt = async (ms: number): Promise<void> => {
    nowMs = ms
    subject.suspect([place], 0)
    await idle()
  }
  const asked = (): number => stand.sent.filter((name) => name === 'DescribeProducers').length
  return { stand, subject, suspectAt, asked, isOpen: () => isOpen }
}

it.each([
  [
    'answers that it does not lead it',
    1,
    () =>
      forPartitions(
        { topics: [{ topic: 't', partitions: [0] }] },
        { errorCode: NOT_LEADER_OR_FOLLOWER, producers: [] },
      ),
  ],
  ['does not answer', 1, () => Promise.reject(connectionLost())],
  ['is not known', -1, () => undefined],
])('a leader that %s is looked up for the next look', async (_what, leader, moved) => {
  const { stand, suspectAt, isOpen } = leftOpen(moved)
  stand.leader = leader
  await suspectAt(1000)
  expect([stand.leader, isOpen()]).toEqual([2, true])
  await suspectAt(3000)
  expect(isOpen()).toBe(false)
})

it('is looked for after a second, and then every two', async () => {
  const { stand, suspectAt, asked } = leftOpen(() => undefined)
  stand.leader = 2
  stand.script = (_api, request) => forPartitions(request, { errorCode: 0, producers: [] })
  const looks: number[] = []
  for (const ms of [0, 999, 1000, 2999, 3000, 4999, 5000]) {
    await suspectAt(ms)
    looks.push(asked())
  }
  expect(looks).toEqual([0, 0, 1, 1, 2, 2, 3])
})

it('a sweep looks at once, beside no other look, and not after the end', async () => {
  const { stand, subject, asked, isOpen } = leftOpen(() => undefined)
  stand.leader = 2
  subject.sweep([place])
  await idle()
  expect(isOpen()).toBe(false)
  const before = asked()
  for (let times = 0; times < 3; times++) subject.sweep([place])
  await idle()
  expect(asked()).toBe(before + 1)
  subject.close()
  subject.sweep([place])
  await idle()
  expect(asked()).toBe(before + 1)
})
