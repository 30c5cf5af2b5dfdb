// A worker that closes while its first join waits for the other members.
import { expect, it } from 'vitest'
import { string, topic, topology } from '../../../src/index.ts'
import { WorkerStand } from './worker-stand.ts'

const passing = topology('passing', (t) => {
  t.stream(topic('in', { key: string, value: string })).to(topic('out', { key: string, value: string }))
})

it('ends at once, and is no member any more that others would wait for', async () => {
  await using stand = new WorkerStand()
  stand.createTopic('in')
  stand.createTopic('out')
  const first = stand.start('w1', passing)
  await stand.until('it runs', () => first.worker.state === 'running')
  const group = () => stand.simulation.kafka.state.groups.get('passing')
  // It does not come to the rebalance.
  first.process.pause()
  const second = stand.start('w2', passing)
  await stand.until('it is waited for', () => group()?.members.size === 2)
  second.process.enter(() => void second.worker.close({ leave: true }))
  await stand.until('it is closed', () => second.worker.state === 'closed', 500)
  expect([group()?.state, group()?.members.size]).toEqual(['PreparingRebalance', 1])
  first.process.resume()
  await stand.until('the first is alone', () => group()?.state === 'Stable', 3000)
  expect(group()?.members.size).toBe(1)
})
