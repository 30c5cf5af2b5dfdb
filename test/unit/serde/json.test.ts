import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { json } from '../../../src/serde/json.ts'
import { nullable } from '../../../src/serde/nullable.ts'
import { int64 } from '../../../src/serde/numbers.ts'
import { toSerde } from '../../../src/serde/serde-or-schema.ts'
import type { Serde } from '../../../src/serde/serde.ts'
import { string } from '../../../src/serde/text.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const order = z.object({ id: z.string(), at: z.string().transform((value) => new Date(value)) })

describe('json', () => {
  it('without a schema writes and reads any JSON', () => {
    const serde = json<{ a: number[] }>()
    expect(text(serde.encode({ a: [1, 2] }))).toBe('{"a":[1,2]}')
    const target = Buffer.alloc(20)
    expect(serde.encodeInto?.({ a: [1] }, target, 2)).toBe(9)
    expect(serde.encodeInto?.({ a: [1] }, target, 12)).toBe(-1)
    expect(serde.decodeFrom?.(target, 2, 11)).toEqual({ a: [1] })
    expect(serde.decode(target.subarray(2, 11))).toEqual({ a: [1] })
    expect(() => serde.decode(Buffer.from('{'))).toThrow(SyntaxError)
    expect(() => json().encode(undefined)).toThrow(/no text for a value of type undefined/)
  })

  it('with a schema reads its output and writes its input', () => {
    const serde = json(order)
    const bytes = serde.encode({ id: 'a', at: '2024-01-02T00:00:00.000Z' })
    expect(text(bytes)).toBe('{"id":"a","at":"2024-01-02T00:00:00.000Z"}')
    expect(serde.decode(bytes)).toEqual({ id: 'a', at: new Date('2024-01-02T00:00:00.000Z') })
    expect(serde.decodeFrom?.(Buffer.from(bytes), 0, bytes.length).at).toBeInstanceOf(Date)
  })

  it('refuses on both sides what the schema refuses, and says where', () => {
    const serde = json(order)
    expect(() => serde.decode(Buffer.from('{"id":1,"at":""}'))).toThrow(/the schema refuses it: id: /)
    expect(() => serde.encode({ id: 'a' } as never)).toThrow(/the schema refuses it: at: /)
    expect(() => serde.encodeInto?.({ id: 'a' } as never, Buffer.alloc(99), 0)).toThrow(/at: /)
    const many = json(z.array(z.string()))
    expect(() => many.decode(Buffer.from('[1,2,3,4,5,6,7]'))).toThrow(/and 2 more/)
  })
})

describe('an asynchronous schema', () => {
  const always: StandardSchemaV1<string> = {
    '~standard': { version: 1, vendor: 'slow', validate: async (value) => ({ value: value as string }) },
  }
  const rejecting: StandardSchemaV1<string> = {
    '~standard': { version: 1, vendor: 'slow', validate: () => Promise.reject(new Error('later')) },
  }

  it('is refused where it is declared, with its place', () => {
    for (const schema of [always, rejecting]) {
      expect(() => json(schema)).toThrow(/TOPOLOGY_INVALID.*slow.*asynchronous/)
      expect(() => toSerde(schema, 'the value of topic lines')).toThrow(
        /the schema of the value of topic lines is asynchronous/,
      )
    }
    expect(() => json(z.string().refine(async () => true))).toThrow(/asynchronous/)
  })

  it('that shows it only for some values is refused at the first such value', () => {
    const serde = json(z.object({ name: z.string().refine(async () => false) }))
    expect(() => serde.decode(Buffer.from('{"name":"a"}'))).toThrow(/TOPOLOGY_INVALID.*asynchronous/)
    expect(() => serde.encode({ name: 'a' })).toThrow(/asynchronous/)
  })
})

describe('a schema in place of a serde', () => {
  it('is JSON, one serde per schema', () => {
    expect(toSerde(order, 'here')).toBe(toSerde(order, 'there'))
    expect(text(toSerde(z.number(), 'here').encode(1))).toBe('1')
    expect(toSerde(string, 'here')).toBe(string)
    const callable = Object.assign(() => undefined, { '~standard': z.number()['~standard'] })
    expect(toSerde(callable, 'here').decode(Buffer.from('5'))).toBe(5)
  })

  it('nothing else is taken', () => {
    for (const given of [undefined, null, 'string', {}, { encode: 1, decode: 1 }, () => 1]) {
      expect(() => toSerde(given as never, 'the key of topic t')).toThrow(
        /TOPOLOGY_INVALID: the key of topic t is neither/,
      )
    }
  })
})

describe('nullable', () => {
  it('reads and writes null as null, and all else as its serde does', () => {
    const serde = nullable(int64) as Required<Serde<number | null>>
    expect(serde.name).toBe('nullable(int64)')
    expect(serde.decodeNull()).toBe(null)
    expect([serde.encodesNull(null), serde.encodesNull(0)]).toEqual([true, false])
    expect(serde.primitive).toBe(true)
    expect(serde.acceptsAllBytes).toBe(false)
    expect(serde.decode(serde.encode(5))).toBe(5)
    const target = Buffer.alloc(8)
    expect(serde.encodeInto(6, target, 0)).toBe(8)
    expect(serde.encodeInto(6, target, 1)).toBe(-1)
    expect(serde.decodeFrom(target, 0, 8)).toBe(6)
    expect(() => serde.encode(null)).toThrow(/null/)
    expect(() => serde.encodeInto(null, target, 0)).toThrow(/null/)
    expect(nullable(string).acceptsAllBytes).toBe(true)
  })

  it('takes a schema, and offers no fast path that its serde has not', () => {
    const serde = nullable(z.object({ a: z.number() }))
    expect(serde.decode(Buffer.from('{"a":1}'))).toEqual({ a: 1 })
    expect(serde.primitive).toBe(false)
    const slow: Serde<string> = {
      name: 'slow',
      encode: (value) => Buffer.from(value),
      decode: (bytes) => text(bytes),
    }
    expect(nullable(slow).encodeInto).toBeUndefined()
    expect(nullable(slow).decodeFrom).toBeUndefined()
  })
})
