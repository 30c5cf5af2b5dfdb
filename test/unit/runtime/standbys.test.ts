// When a standby whose task is to run here asks for it. What standbys keep: test/integration/standbys.test.ts.
import { expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { type StandbyOptions, Standbys } from '../../../src/runtime/standbys.ts'
import type { TaskStores } from '../../../src/runtime/task-stores.ts'
import { scriptedCluster } from '../client/scripted-cluster.ts'

it('once it is close, and where that does not bring it, every five seconds', async () => {
  let nowMs = 100
  const subject = new Standbys({
    cluster: scriptedCluster(2, () => undefined).cluster,
    ports: { ...nodePorts, clock: { ...nodePorts.clock, monotonic: () => nowMs } },
    settings: { requestTimeoutMs: 1000, standbyLagMax: 0 },
    log: silentLogger,
    plans: new Map(),
    notify: () => {},
  } as unknown as StandbyOptions)
  subject.keep({ plan: { id: '0_0' }, stores: new Map() } as unknown as TaskStores)
  subject.follow(['0_0'], [])
  expect(subject.isReady).toBe(false)
  subject.follow(['0_0'], ['0_0'])
  expect(subject.isReady).toBe(true)
  for (let times = 0; times < 2; times++) {
    subject.asked()
    expect(subject.isReady).toBe(false)
    nowMs += 4999
    // The leader found it too far behind, and said the same again.
    subject.follow(['0_0'], ['0_0'])
    expect(subject.isReady).toBe(false)
    nowMs += 1
    expect(subject.isReady).toBe(true)
  }
  await subject.close({ flush: false })
})
