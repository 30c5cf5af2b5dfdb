import { describe, expect, it } from 'vitest'
import { json } from '../../../src/serde/json.ts'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { PlainView, timestamped } from '../../../src/state/timestamped.ts'
import type { KeyValueStore } from '../../../src/state/contracts.ts'
import type { Timestamped } from '../../../src/state/timestamped.ts'

describe('values with timestamps', () => {
  const moment = 1_700_000_000_123

  it.each([
    ['int64', int64, -5],
    ['string', string, 'zwölf'],
    ['json', json<object>(), { a: [1, null] }],
  ] as const)('%s comes back both ways, and as it was written in place', (_name, serde, value) => {
    const whole = timestamped(serde as never)
    const entry = { value: value as never, timestamp: moment }
    const written = Buffer.from(whole.encode(entry))
    expect(written.readBigInt64BE(0)).toBe(BigInt(moment))
    expect(whole.decode(written)).toEqual(entry)
    if (whole.encodeInto === undefined || whole.decodeFrom === undefined) return
    const target = Buffer.alloc(64)
    const length = whole.encodeInto(entry, target, 3)
    expect(target.subarray(3, 3 + length)).toEqual(written)
    expect(whole.decodeFrom(target, 3, 3 + length)).toEqual(entry)
    expect(whole.encodeInto(entry, Buffer.alloc(4), 0)).toBe(-1)
    expect(whole.encodeInto(entry, Buffer.alloc(8 + length - 9), 0)).toBe(-1)
  })

  it('refuses what is too short, and what the serde of the value refuses', () => {
    const whole = timestamped(int64)
    expect(() => whole.decode(Buffer.alloc(7))).toThrow(/at least 8 bytes, not 7/)
    // As an earlier build wrote it, without a timestamp.
    expect(() => whole.decode(Buffer.alloc(8))).toThrow(/int64 takes 8 bytes, not 0/)
    expect(() => whole.encode({ value: 0.5, timestamp: 1 })).toThrow(/int64/)
  })

  it('a plain view shows the values, and dates what it writes', () => {
    const entries = new Map<string, Timestamped<string>>()
    const inner = {
      name: 'inner',
      get: (key: string) => entries.get(key),
      has: (key: string) => entries.has(key),
      put: (key: string, value: Timestamped<string>) => void entries.set(key, value),
      delete: (key: string) => void entries.delete(key),
      *range() {
        for (const [key, value] of entries) yield { key, value }
      },
    } as unknown as KeyValueStore<string, Timestamped<string>>
    const view = new PlainView(inner, string, () => moment)
    view.put('a', 'one')
    expect(entries.get('a')).toEqual({ value: 'one', timestamp: moment })
    expect([view.get('a'), view.get('b'), view.has('a')]).toEqual(['one', undefined, true])
    expect([...view.all()]).toEqual([{ key: 'a', value: 'one' }])
    view.delete('a')
    expect(entries.size).toBe(0)
  })
})
