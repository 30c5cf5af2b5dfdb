import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { int64, type KeyValueStore, store, string, topic, topology } from '../../../src/index.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { CallSlots } from '../../../src/task/async-calls.ts'
import type { AnyStore, TaskStore } from '../../../src/task/contracts.ts'
import { RecordCollector } from '../../../src/task/record-collector.ts'
import { StreamTask } from '../../../src/task/stream-task.ts'
import type { PortionedWork, ProcessorContext, Subtopology } from '../../../src/topology/contracts.ts'

const clock = { now: () => 0, monotonic: () => 0 }
const totals = store('totals', { key: string, value: int64 })
const output = {
  name: 'changes',
  partitions: 1,
  batchBytesMax: 1e6,
  key: string,
  value: int64,
  keySuffixBytes: 0,
}

type Totals = KeyValueStore<string, bigint | number>

/** A task without an input whose processor has this to do between records. */
const taskWith = (portion: (totals: Totals) => PortionedWork['portion']): StreamTask => {
  const { graph } = topology('portions', (t) =>
    t
      .stream(topic('in', { key: string, value: string }))
      .process({ name: 'looks', stores: [totals], process() {} }),
  )
  const [planned] = graph.subtopologies
  const instance = {
    process() {},
    init(context: ProcessorContext) {
      context.inPortions({ portion: portion(context.store('totals') as Totals) })
    },
  }
  const subtopology = {
    ...planned,
    nodes: planned?.nodes.map((node) =>
      node.kind === 'processor' ? { ...node, create: () => instance } : node,
    ),
  } as Subtopology
  const stores = new Map(
    subtopology.stores.map((definition): [string, TaskStore] => {
      const { name, key, value } = definition
      const made: AnyStore = new TransactionalStore({ name, key, value, engine: new MemoryEngine(), clock })
      return [name, { definition, store: made, changelog: output }]
    }),
  )
  const task = new StreamTask({
    applicationId: 'app',
    id: '0_0',
    partition: 0,
    subtopology,
    queues: [],
    stores,
    collector: new RecordCollector(() => undefined, { batchBytes: 1e6 }),
    outputOf: () => output,
    policy: {
      action: 'fail',
      retryAttempts: 0,
      retryBackoffMs: 1,
      retryBackoffMaxMs: 1,
      afterRetries: 'fail',
    },
    clock,
    log: silentLogger,
    streamTime: -1,
    maxTaskIdleMs: 0,
    slots: new CallSlots(1, () => undefined),
    notify: () => undefined,
  })
  task.init()
  return task
}

/** Commits what there is. */
const commit = (task: StreamTask): void => {
  task.prepareCommit()
  task.postCommit(0)
}

describe('work between records', () => {
  it('makes its task one to commit where it wrote something, also where no record ever comes', () => {
    let left = 2
    const task = taskWith((view) => () => {
      view.put('a', left)
      return --left > 0
    })
    expect(task.dirty).toBe(false)
    expect(task.process(1)).toBe(1)
    expect(task.dirty).toBe(true)
    commit(task)
    expect(task.dirty).toBe(false)
    expect(task.process(10)).toBe(1)
    expect(task.dirty).toBe(true)
    commit(task)
    expect(task.process(10)).toBe(0)
    expect(task.dirty).toBe(false)
  })

  it('leaves it as it is where it only looked', () => {
    const task = taskWith((view) => () => view.has('a'))
    expect(task.process(10)).toBe(1)
    expect(task.dirty).toBe(false)
  })
})
