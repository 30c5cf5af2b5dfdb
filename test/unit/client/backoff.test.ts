import { describe, expect, it } from 'vitest'
import { Backoff } from '../../../src/client/backoff.ts'
import { fakePorts } from './fake-ports.ts'

describe('Backoff', () => {
  it('doubles up to the limit, spread between half a step and a whole one', () => {
    const low = new Backoff(fakePorts({ random: 0 }).ports, { firstMs: 10, maxMs: 50 })
    expect([low.next(), low.next(), low.next(), low.next(), low.next()]).toEqual([5, 10, 20, 25, 25])
    const high = new Backoff(fakePorts({ random: 0.999 }).ports, { firstMs: 10, maxMs: 50 })
    expect(high.next()).toBeCloseTo(10, 1)
    expect(high.next()).toBeCloseTo(20, 1)
  })

  it('begins again after a success', () => {
    const backoff = new Backoff(fakePorts({ random: 0 }).ports, { firstMs: 10 })
    backoff.next()
    backoff.next()
    backoff.reset()
    expect(backoff.next()).toBe(5)
  })

  it('never waits beyond the deadline, and not at all after it', async () => {
    const fake = fakePorts({ random: 0 })
    const backoff = new Backoff(fake.ports, { firstMs: 100 })
    expect(await backoff.wait(30)).toBe(true)
    expect(fake.now()).toBe(30)
    expect(await backoff.wait(30)).toBe(false)
    expect(fake.now()).toBe(30)
  })
})
