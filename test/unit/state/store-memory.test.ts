import { describe, expect, it } from 'vitest'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { type MemoryUser, StoreMemory } from '../../../src/state/store-memory.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { TestClock, at } from './support.ts'

class User implements MemoryUser {
  committedBytes = 0
  carriedBytes = 0
  readonly #memory: StoreMemory
  readonly #log: string[]
  readonly #name: string

  constructor(memory: StoreMemory, name: string, committedBytes: number, log: string[]) {
    this.#memory = memory
    this.#name = name
    this.#log = log
    memory.join(this)
    this.commit(committedBytes)
  }

  commit(bytes: number): void {
    this.committedBytes += bytes
    this.#memory.waits(bytes)
  }

  flush(): void {
    this.#log.push(`${this.#name} flushes`)
    this.commit(-this.committedBytes)
  }

  age(): number {
    this.#log.push(`${this.#name} ages`)
    return this.carriedBytes
  }
}

describe('the memory of the stores of a worker', () => {
  it('ages every cache when a third of it is read, whoever read it', () => {
    const log: string[] = []
    const memory = new StoreMemory(300)
    for (const name of ['a', 'b']) new User(memory, name, 0, log)
    const cached = (bytes: number): void => {
      memory.cached(bytes)
      memory.makeRoom()
    }
    cached(60)
    cached(40)
    expect(log).toEqual([])
    cached(1)
    expect(log).toEqual(['a ages', 'b ages'])
    cached(100)
    expect(log).toHaveLength(2)
  })

  it('ages again when as much came as could not be dropped, and never while an entry is in hand', () => {
    const log: string[] = []
    const memory = new StoreMemory(300)
    const user = new User(memory, 'a', 0, log)
    const cached = (bytes: number): void => {
      memory.cached(bytes)
      memory.makeRoom()
    }
    user.carriedBytes = 250
    cached(101)
    cached(200)
    cached(50)
    expect(log).toHaveLength(1)
    memory.hold()
    cached(1)
    expect(log).toHaveLength(1)
    memory.release()
    memory.makeRoom()
    expect(log).toHaveLength(2)
  })

  it('flushes the largest stores first, until a third of it is enough', () => {
    const log: string[] = []
    const memory = new StoreMemory(300)
    const small = new User(memory, 'small', 20, log)
    new User(memory, 'large', 50, log)
    new User(memory, 'middle', 30, log)
    memory.flushExcess(small)
    expect(log).toEqual([])
    small.commit(1)
    memory.flushExcess(small)
    expect(log).toEqual(['large flushes'])
  })

  it('leaves a store that cannot be flushed to its own commit', () => {
    const memory = new StoreMemory(300)
    const healthy = new User(memory, 'healthy', 50, [])
    const damaged = new User(memory, 'damaged', 100, [])
    damaged.flush = () => {
      throw new Error('it is damaged')
    }
    memory.flushExcess(healthy)
    expect(healthy.committedBytes).toBe(0)
    healthy.commit(50)
    expect(() => memory.flushExcess(damaged)).toThrow('it is damaged')
  })

  it('does not know a store that is closed', () => {
    const log: string[] = []
    const memory = new StoreMemory(300)
    const user = new User(memory, 'a', 200, log)
    memory.leave(user)
    memory.flushExcess(user)
    memory.cached(200)
    memory.makeRoom()
    expect(log).toEqual([])
    const other = new User(memory, 'b', 100, log)
    memory.flushExcess(other)
    expect(log).toEqual([])
  })
})

describe('stores that share a memory', () => {
  const clock = new TestClock()
  const open = (
    name: string,
    memory: StoreMemory,
    engine: MemoryEngine,
  ): TransactionalStore<string, number> =>
    new TransactionalStore({ name, key: string, value: int64, engine, clock, memory, flushIntervalMs: 1e9 })
  const fill = (store: TransactionalStore<string, number>, from: number, to: number): void => {
    for (let key = from; key < to; key++) store.put(String(key), key)
    store.commitOverlay(at(1))
  }

  it('keep what is committed in memory until all of them have too much', () => {
    const memory = new StoreMemory(3000)
    const engines = [new MemoryEngine(), new MemoryEngine()] as const
    const one = open('one', memory, engines[0])
    const two = open('two', memory, engines[1])
    // An entry counts about 75 bytes: seven and five of them are below a thousand.
    fill(one, 0, 7)
    fill(two, 0, 5)
    expect(engines.map((engine) => engine.count())).toEqual([0, 0])
    fill(two, 5, 7)
    expect(engines.map((engine) => engine.count())).toEqual([7, 0])
    expect([one.get('3'), two.get('6')]).toEqual([3, 6])
  })

  it('can be flushed for another one between the drain and the commit', () => {
    const memory = new StoreMemory(3000)
    const engine = new MemoryEngine()
    const options = { name: 'one', key: string, value: int64, engine, clock, memory, flushIntervalMs: 1e9 }
    const one = new TransactionalStore<string, number>({ ...options, digest: true })
    while (!one.scanDigest(10));
    const two = open('two', memory, new MemoryEngine())
    fill(one, 0, 7)
    one.put('7', 7)
    one.drainChanges(() => {})
    fill(two, 0, 7)
    expect(engine.count()).toBe(7)
    const next = one.nextDigest
    one.commitOverlay(at(2))
    expect(one.digest).toBe(next)
    one.flush()
    one.forgetDigest()
    while (!one.scanDigest(10));
    expect(one.digest).toBe(next)
  })

  it('leave the memory to the one that is used when another closes', () => {
    const memory = new StoreMemory(3000)
    const engine = new MemoryEngine()
    const one = open('one', memory, engine)
    const two = open('two', memory, new MemoryEngine())
    fill(two, 0, 12)
    two.close()
    fill(one, 0, 12)
    expect(engine.count()).toBe(0)
  })
})
