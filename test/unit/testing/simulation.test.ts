// The parts of a simulation, and that one seed is one run.
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../../src/testing/simulation/seeded-random.ts'
import { shrinkList } from '../../../src/testing/simulation/shrink-list.ts'
import { SimulatedDisk } from '../../../src/testing/simulation/simulated-disk.ts'
import { SimulatedProcess } from '../../../src/testing/simulation/simulated-process.ts'
import { VirtualTime } from '../../../src/testing/simulation/virtual-time.ts'
import type { StoreEngine } from '../../../src/state/contracts.ts'
import { planOf } from '../../sim/plan.ts'
import { runPlan } from '../../sim/run-seed.ts'

const processOn = (time: VirtualTime, name = 'w1.1'): SimulatedProcess =>
  new SimulatedProcess({ name, time, random: new SeededRandom(1), costMs: 0.1, skewMs: () => 0 })

describe('a run', () => {
  it('is the same for the same seed, and another one for another seed', async () => {
    const [one, again, other] = [
      await runPlan(planOf(3), { trace: true }),
      await runPlan(planOf(3), { trace: true }),
      await runPlan(planOf(4)),
    ]
    expect(one.trace.length).toBeGreaterThan(500)
    expect(again.trace).toEqual(one.trace)
    expect(again.digest).toBe(one.digest)
    expect(other.digest).not.toBe(one.digest)
    expect(one.violations).toEqual([])
    expect(one.records).toBeGreaterThanOrEqual(500)
  })

  it('comes to the same whether its trace is kept or not', async () => {
    const { trace, ...kept } = await runPlan({ ...planOf(5), faults: [] }, { trace: true })
    const { trace: nothing, ...dropped } = await runPlan({ ...planOf(5), faults: [] })
    expect(nothing).toEqual([])
    expect(trace).not.toEqual([])
    expect({ ...dropped, digest: '' }).toEqual({ ...kept, digest: '' })
  })
})

describe('virtual time', () => {
  it('runs events in their order, and what they settle before the next one', async () => {
    const time = new VirtualTime()
    const seen: string[] = []
    time.schedule(5, undefined, () => seen.push(`c ${time.nowMs}`))
    time.schedule(1, undefined, () => {
      seen.push('a')
      // A long chain of promises settles before the next event.
      let chain = Promise.resolve()
      for (let step = 0; step < 50; step++) chain = chain.then(() => {})
      void chain.then(() => seen.push('after a'))
    })
    time.schedule(1, undefined, () => seen.push('b'))
    await time.run(() => seen.length === 4)
    expect(seen).toEqual(['a', 'after a', 'b', 'c 5'])
  })

  it('says so when nothing is left to happen', async () => {
    await expect(new VirtualTime().run(() => false)).rejects.toThrow('nothing is left')
  })

  it('drops cancelled events', async () => {
    const time = new VirtualTime()
    let fired = 0
    const events = Array.from({ length: 3000 }, (_, index) => time.schedule(index, undefined, () => fired++))
    for (const event of events.slice(1)) time.cancel(event)
    time.schedule(5000, undefined, () => {})
    await time.run(() => time.nowMs === 5000)
    expect(fired).toBe(1)
  })
})

describe('a process', () => {
  it('that is stopped does later what came meanwhile; one that is killed does nothing any more', async () => {
    const time = new VirtualTime()
    const stopped = processOn(time, 'w1.1')
    const killed = processOn(time, 'w2.1')
    const seen: string[] = []
    for (const process of [stopped, killed]) {
      const { timers } = process.ports({} as never, {} as never)
      timers.set(() => seen.push(`${process.name} at ${time.nowMs}`), 10)
      void timers.sleep(20).then(() => seen.push(`${process.name} slept`))
    }
    time.schedule(5, undefined, () => {
      stopped.pause()
      killed.kill()
    })
    time.schedule(100, undefined, () => stopped.resume())
    time.schedule(200, undefined, () => {})
    await time.run(() => time.nowMs === 200)
    expect(seen).toEqual(['w1.1 at 100', 'w1.1 slept'])
    // Its clock goes on, and its timers are of no use.
    expect(killed.ports({} as never, {} as never).clock.monotonic()).toBe(200)
  })
})

const identity = {
  formatVersion: 1,
  applicationId: 'a',
  clusterId: 'c',
  store: 's',
  changelogTopic: 't',
  changelogTopicId: 'i',
  partition: 0,
  guarantee: 'exactly_once',
}

describe('a disk', () => {
  const checkpoint = (changelogOffset: number) => ({ changelogOffset, leaderEpoch: 0, caughtUpAtMs: 0 })
  const write = (engine: StoreEngine, value: string, offset: number): void =>
    engine.write([{ key: 'k', value: Buffer.from(value) }], checkpoint(offset))

  it('may lose the last transactions of a store that was not synced, whole ones, and none before', () => {
    const lost = new Set<number>()
    for (let seed = 1; seed <= 40; seed++) {
      const disk = new SimulatedDisk('d', new SeededRandom(seed))
      const owner = processOn(new VirtualTime())
      const engine = disk.portFor(owner).stores?.open('/state/s') as StoreEngine
      engine.reset(identity)
      for (let offset = 1; offset <= 3; offset++) write(engine, `synced ${offset}`, offset)
      engine.sync()
      for (let offset = 4; offset <= 6; offset++) write(engine, `late ${offset}`, offset)
      owner.kill()
      write(engine, 'of the dead', 99)
      lost.add(disk.crash())
      const again = disk.portFor(processOn(new VirtualTime())).stores?.open('/state/s') as StoreEngine
      const offset = again.checkpoint()?.changelogOffset ?? 0
      expect(offset).toBeGreaterThanOrEqual(3)
      expect(offset).toBeLessThanOrEqual(6)
      expect(again.get('k')?.toString()).toBe(offset === 3 ? 'synced 3' : `late ${offset}`)
    }
    expect([...lost].sort()).toEqual([0, 1, 2, 3])
  })

  it('is locked by a living process alone', () => {
    const disk = new SimulatedDisk('d', new SeededRandom(1))
    const first = processOn(new VirtualTime(), 'first')
    expect(disk.portFor(first).lock('/state/a')).toHaveProperty('release')
    const second = processOn(new VirtualTime(), 'second')
    expect(disk.portFor(second).lock('/state/a')).toEqual({ heldBy: 'first' })
    first.kill()
    expect(disk.portFor(second).lock('/state/a')).toHaveProperty('release')
  })

  it('lists and removes what lies below a directory', () => {
    const disk = new SimulatedDisk('d', new SeededRandom(1)).portFor(processOn(new VirtualTime()))
    disk.writeText('/state/app/instance', 'x')
    disk.makeDirectory('/state/app/0_1')
    disk.stores?.open('/state/app/0_0/counts')
    expect(disk.list('/state/app')).toEqual(['0_0', '0_1', 'instance'])
    disk.remove('/state/app/0_0')
    expect(disk.list('/state/app')).toEqual(['0_1', 'instance'])
    expect(disk.readText('/state/app/instance')).toBe('x')
  })
})

it('a list is shrunk to what matters', async () => {
  const list = Array.from({ length: 23 }, (_, index) => index)
  let tries = 0
  const left = await shrinkList(list, (some) => {
    tries++
    return Promise.resolve(some.includes(4) && some.includes(17))
  })
  expect(left).toEqual([4, 17])
  expect(tries).toBeLessThan(60)
})
