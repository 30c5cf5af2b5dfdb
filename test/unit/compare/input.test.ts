import { describe, expect, it } from 'vitest'
import { graceMs, type InputRecord, inputOf, linesOf, within } from '../../compare/input.ts'

const records = (seed: number): InputRecord[] => [...inputOf(seed, 10_000, 'by-seed')]

const lateness = (input: readonly InputRecord[]): number[] => {
  let streamTime = 0
  return input.map(({ timestamp }) => {
    streamTime = Math.max(streamTime, timestamp)
    return streamTime - timestamp
  })
}

describe('the input of npm run compare', () => {
  it('follows from its seed', () => {
    expect(records(7)).toEqual(records(7))
    expect(records(8)).not.toEqual(records(7))
  })

  it('is out of order, late by up to twice the grace, and lacks keys and values', () => {
    const input = records(3)
    const late = lateness(input)
    expect(Math.max(...late)).toBeLessThanOrEqual(2 * graceMs)
    expect(Math.max(...late)).toBeGreaterThan(2 * graceMs - 10)
    for (const edge of [graceMs - 1, graceMs, graceMs + 1]) expect(late).toContain(edge)
    const share = (test: (record: InputRecord) => boolean): number => input.filter(test).length / input.length
    expect(share(({ key }) => key === undefined)).toBeGreaterThan(0.005)
    expect(share(({ value }) => value === undefined)).toBeGreaterThan(0.01)
    expect(share(({ value }) => value === 'l' || value === 'r')).toBeGreaterThan(0.05)
    expect(new Set(input.map(({ key }) => key)).size).toBeGreaterThan(250)
  })

  it('has partners at the last moment of a grace, and else none that are late, where nothing later is to come', () => {
    const input = [...inputOf(3, 10_000, 'nearly-in-order')]
    const late = lateness(input)
    const last = input.map(({ key }) => key?.includes('-last-') === true)
    expect(Math.max(...late.filter((_, index) => !last[index]))).toBeLessThan(within.afterMs)
    const moments = new Set(late.filter((_, index) => last[index]))
    expect(moments).toEqual(new Set([0, within.afterMs + graceMs, within.beforeMs + graceMs]))
  })

  it('writes a row again as it is only where it is to', () => {
    const repeats = (layout: 'by-seed' | 'by-key'): number => {
      const last = new Map<string, string>()
      let count = 0
      for (const { key, value } of inputOf(1, 10_000, layout)) {
        const row = `${key} ${value?.[0]}`
        if (value !== undefined && value.length > 1 && last.get(row) === value) count++
        if (value !== undefined) last.set(row, value)
      }
      return count
    }
    expect(repeats('by-seed')).toBe(0)
    expect(repeats('by-key')).toBeGreaterThan(10)
  })

  it('is written as lines', () => {
    const lines = [...linesOf(1, 1000, 'by-seed', 4)]
    expect(lines).toHaveLength(1000)
    for (const line of lines) expect(line).toMatch(/^4 1[67]\d{11} (-|[0-9a-f]+) (-|[0-9a-f]+)\n$/)
    const byKey = [...linesOf(1, 1000, 'by-key', 4)]
    for (const line of byKey) expect(line).toMatch(/^-1 \d+ [0-9a-f]+ (-|[0-9a-f]+)\n$/)
  })
})
