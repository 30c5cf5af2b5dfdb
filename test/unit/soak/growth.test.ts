import { describe, expect, it } from 'vitest'
import { growthOf } from '../../system/soak/growth.ts'

const series = (valueAt: (second: number) => number, seconds = 400) =>
  Array.from({ length: seconds }, (_, second) => ({ atMs: second * 1000, value: valueAt(second) }))

const flat = (valueAt: (second: number) => number, allowance: number): boolean | undefined =>
  growthOf(series(valueAt), ({ value }) => value, allowance)?.isFlat

describe('growth over a run', () => {
  it('is none in a saw-tooth and after a warm-up', () => {
    expect(flat((second) => 100 + (second % 7) * 5, 4)).toBe(true)
    expect(flat((second) => Math.min(200, 50 + 3 * second), 4)).toBe(true)
  })

  it('is seen when one handle in ten seconds is kept', () => {
    expect(flat((second) => 40 + Math.floor(second / 10), 4)).toBe(false)
  })

  it('is seen under a saw-tooth', () => {
    expect(flat((second) => 100 + (second % 7) * 5 + second * 0.2, 10)).toBe(false)
  })

  it('is not told from too few samples', () => {
    expect(
      growthOf(
        series(() => 1, 12),
        ({ value }) => value,
        1,
      ),
    ).toBeUndefined()
    expect(growthOf([], () => 1, 1)).toBeUndefined()
  })
})
