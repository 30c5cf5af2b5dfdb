import { describe, expect, it } from 'vitest'
import { markStale, sourceAt } from '../../../src/client/fetch-source.ts'

describe('a stale partition', () => {
  it('is looked up at once, then later each time, up to a second', () => {
    const source = sourceAt('orders', 0, 5)
    const waits: number[] = []
    for (let n = 0; n < 10; n++) {
      markStale(source, 1000)
      waits.push(source.retryAt - 1000)
      source.stale = false
    }
    expect(waits).toEqual([0, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000])
  })

  it('does not count what happens while it is stale', () => {
    const source = sourceAt('orders', 0, 5)
    markStale(source, 0)
    markStale(source, 0)
    expect(source.attempts).toBe(1)
  })
})
