// What a status says of timers, calls and held changes: of tasks that ran, in the test driver.
import {
  int64,
  nullable,
  store,
  string,
  timerStore,
  topic,
  topology,
  type Topology,
  untilTimeLimit,
} from 'millstream'
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { resolveSettings } from '../../../src/config/settings.ts'
import { collectStatus } from '../../../src/runtime/collect-status.ts'
import type { Engine } from '../../../src/runtime/engine.ts'
import { noRecords } from '../../../src/task/record-counts.ts'
import { WorkerWatch } from '../../../src/runtime/worker-watch.ts'
import { DriverEngine } from '../../../src/testing/driver/driver-engine.ts'
import { DriverInput, InputState } from '../../../src/testing/driver/input.ts'

const input = topic('in', { key: string, value: int64 })

const started = (app: Topology) => {
  const engine = new DriverEngine(app, {})
  const send = (key: string, value: number, timestamp: number): void =>
    void new DriverInput(engine, input as never, new InputState()).send(key, value, { timestamp })
  const settings = resolveSettings({ given: {} }, 'app', { withoutBrokers: true })
  const status = () => {
    const { tasks } = engine
    const known = { state: 'running', counts: noRecords() as never, assignedTasks: 1 } as const
    const parts = {
      manager: { tasks: tasks.all },
      fetcher: { progress: () => undefined },
      standbys: { status: [] },
      globals: { status: [] },
      transaction: { collector: { collectedBytes: 0 } },
      producer: { unacknowledgedBytes: 0 },
    }
    const watch = new WorkerWatch(nodePorts.clock, silentLogger)
    return collectStatus(settings, watch, parts as unknown as Engine, known).tasks[0]
  }
  return { engine, send, status, counts: () => engine.tasks.all[0]?.counts }
}

describe('the status of a task', () => {
  it('counts timers, and says how many are set', () => {
    const timers = timerStore('timers', { key: string })
    const { engine, send, status, counts } = started(
      topology('timed', (t) => {
        t.stream(input).process({
          timers,
          process: ({ key, value }, context) => context.timers.set(key, value),
          onTimer: () => undefined,
        })
      }),
    )
    send('a', 100, 1)
    send('b', 20, 2)
    send('b', 30, 3)
    expect(status()?.stores).toEqual([{ store: 'timers', timers: 2 }])
    expect(counts()).toMatchObject({ timersSet: 3, timersFired: 0 })
    send('c', 200, 50)
    expect(status()?.stores).toEqual([{ store: 'timers', timers: 2 }])
    expect(counts()).toMatchObject({ timersSet: 4, timersFired: 1 })
    engine.close()
  })

  it('says how many changes suppress holds back', () => {
    const { engine, send, status } = started(
      topology('held', (t) => {
        t.table(input, store('rows', { key: string, value: int64 }))
          .suppress(untilTimeLimit({ waitMs: 10 }), { name: 'held', key: string, value: int64 })
          .toStream()
          .to(topic('out', { key: string, value: nullable(int64) }))
      }),
    )
    expect(status()?.stores).toEqual([{ store: 'held', held: { changes: 0, bytes: 0 } }])
    send('a', 1, 1)
    send('b', 1, 2)
    expect(status()?.stores).toMatchObject([{ store: 'held', held: { changes: 2 } }])
    expect(status()?.calls).toBeUndefined()
    send('c', 1, 11)
    expect(status()?.stores).toMatchObject([{ store: 'held', held: { changes: 2 } }])
    engine.close()
    expect(status()?.stores ?? []).toEqual([])
  })

  it('says how many calls are open, how many wait, and counts those without an answer in time', () => {
    const { engine, send, status, counts } = started(
      topology('called', (t) => {
        t.stream(input)
          .mapValuesAsync(() => new Promise<number>(() => undefined), { inFlightMax: 2, timeoutMs: 100 })
          .to(topic('out', { key: string, value: int64 }))
      }),
    )
    for (const key of ['a', 'a', 'b', 'c']) send(key, 1, 1)
    expect(status()?.calls).toEqual({ open: 2, waiting: 2 })
    expect(() => engine.advance(100, false)).toThrow('CALL_TIMED_OUT')
    expect(counts()).toMatchObject({ callsTimedOut: 2 })
    engine.close()
  })
})
