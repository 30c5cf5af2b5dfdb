// When a standby begins, and when one whose task is to run here asks for it. What standbys keep: test/integration/standbys.test.ts.
import { expect, it } from 'vitest'
import { type LogFields, silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { type StandbyOptions, Standbys } from '../../../src/runtime/standbys.ts'
import type { TaskStores } from '../../../src/runtime/task-stores.ts'
import { forPartitions, idle, type ScriptedCluster, scriptedCluster } from '../client/scripted-cluster.ts'

/** Standbys of these tasks, a clock that stands still, and the tasks in the order in which they begin. */
const begunOf = (cluster: ScriptedCluster, tasks: readonly object[]) => {
  const begun: string[] = []
  const info = (_text: string, fields: LogFields = {}): void => void begun.push(String(fields['task']))
  const clock = { ms: 0 }
  const subject = new Standbys({
    cluster: cluster.cluster,
    ports: { ...nodePorts, clock: { ...nodePorts.clock, monotonic: () => clock.ms } },
    settings: { applicationId: 'app', requestTimeoutMs: 30_000, standbyLagMax: 0, stateDigest: 'off' },
    log: { ...silentLogger, info },
    plans: new Map(),
    notify: () => {},
  } as unknown as StandbyOptions)
  const ids = (tasks as readonly TaskStores[]).map((task) => {
    subject.keep(task)
    return task.plan.id
  })
  subject.follow(ids, [])
  return { subject, begun, clock, lookAgain: () => subject.follow(ids, []) }
}

it('once it is close, and where that does not bring it, every five seconds', async () => {
  const plan = { id: '0_0', partition: 0, inputs: [] }
  const { subject, clock } = begunOf(
    scriptedCluster(2, () => undefined),
    [{ plan, stores: new Map() }],
  )
  expect(subject.isReady).toBe(false)
  subject.follow(['0_0'], ['0_0'])
  expect(subject.isReady).toBe(true)
  for (let times = 0; times < 2; times++) {
    subject.asked()
    expect(subject.isReady).toBe(false)
    clock.ms += 4999
    // The leader found it too far behind, and said the same again.
    subject.follow(['0_0'], ['0_0'])
    expect(subject.isReady).toBe(false)
    clock.ms += 1
    expect(subject.isReady).toBe(true)
  }
  await subject.close({ flush: false })
})

it('waits for what is committed where a topic fills its store, while the others begin', async () => {
  const answered = Promise.withResolvers<unknown>()
  let request: unknown
  const cluster = scriptedCluster(2, (api, given) => {
    if (api !== 'OffsetFetch') return undefined
    request = given
    return answered.promise
  })
  const filled = {
    id: '0_0',
    partition: 0,
    inputs: [{ topic: 'rows', partition: 0, source: { fills: true } }],
  }
  const other = { id: '1_0', partition: 0, inputs: [] }
  const { subject, begun } = begunOf(
    cluster,
    [filled, other].map((plan) => ({ plan, stores: new Map() })),
  )
  await idle()
  expect(begun).toEqual(['1_0'])
  expect(cluster.sent).toEqual(['OffsetFetch'])
  const position = { offset: 5, leaderEpoch: 0, metadata: '', errorCode: 0 }
  answered.resolve({ errorCode: 0, ...(forPartitions(request, position) as object) })
  await idle()
  expect(begun).toEqual(['1_0', '0_0'])
  await subject.close({ flush: false })
})

it('begins once where its store has nothing to read: the topic has no such partition', async () => {
  const store = { dropOverlay: () => {}, close: () => {} }
  const rows = { definition: {}, changelog: { name: 'rows', partitions: 1 }, store }
  const task = { plan: { id: '0_5', partition: 5, inputs: [] }, stores: new Map([['rows', rows]]) }
  const { subject, begun, clock, lookAgain } = begunOf(
    scriptedCluster(2, () => undefined),
    [task],
  )
  await idle()
  expect(begun).toEqual(['0_5'])
  clock.ms += 6000
  lookAgain()
  await idle()
  expect(begun).toEqual(['0_5'])
  expect(subject.status).toEqual([{ id: '0_5', lag: 0 }])
  await subject.close({ flush: false })
})
