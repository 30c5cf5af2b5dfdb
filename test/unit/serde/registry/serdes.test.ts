// Serdes of the schema registry without a registry: layouts, what is read with which schema, what is refused, and where
// mistakes are named.
import { describe, expect, it } from 'vitest'
import { avro, jsonSchema, protobuf, schemaRegistry } from '../../../../src/serde/registry/index.ts'
import { aloneFrom } from '../../../../src/serde/registry/registry.ts'
import { nullable } from '../../../../src/serde/nullable.ts'
import type { Serde } from '../../../../src/serde/serde.ts'
import { topic } from '../../../../src/topology/handles.ts'

interface Order {
  readonly id: string
  readonly cents: number
}

const orderFields = [
  { name: 'id', type: 'string' },
  { name: 'cents', type: 'long' },
]
const orderV1 = { type: 'record', name: 'Order', namespace: 'shop', fields: orderFields }
const orderV2 = {
  ...orderV1,
  fields: [...orderFields, { name: 'currency', type: 'string', default: 'EUR' }],
}

const orderProto = `syntax = "proto3";
package shop;
enum State { OPEN = 0; PAID = 1; }
message Address { string city = 1; }
message Order {
  message Line { string article = 1; int64 cents = 2; }
  string id = 1;
  State state = 2;
  repeated Line lines = 3;
  bytes tag = 4;
}`

const head = (id: number): number[] => [0, id >>> 24, (id >>> 16) & 0xff, (id >>> 8) & 0xff, id & 0xff]

const bytesOf = <W>(serde: Serde<unknown, W>, value: W): Buffer => {
  const bytes = Buffer.from(serde.encode(value))
  const target = Buffer.alloc(3 + bytes.length)
  expect(serde.encodeInto?.(value, target, 3)).toBe(bytes.length)
  expect(target.subarray(3)).toEqual(bytes)
  // One byte too few: nothing is written as half of it.
  expect(serde.encodeInto?.(value, Buffer.alloc(bytes.length - 1), 0)).toBe(-1)
  expect(serde.encodeInto?.(value, Buffer.alloc(4), 0)).toBe(-1)
  return bytes
}

const reads = <R>(serde: Serde<R, never>, bytes: Buffer): R => {
  const within = Buffer.concat([Buffer.of(9, 9), bytes, Buffer.of(9)])
  const value = serde.decodeFrom?.(within, 2, 2 + bytes.length)
  expect(serde.decode(bytes)).toEqual(value)
  return value as R
}

describe('avro', () => {
  it('writes the id and the value as they lie in Kafka', () => {
    const registry = schemaRegistry({ schemas: { 7: { type: 'avro', schema: orderV1 } } })
    const serde = avro<Order>(registry, { schema: orderV1, subject: 's' })
    const bytes = bytesOf(serde, { id: 'ab', cents: 150 })
    expect([...bytes]).toEqual([...head(7), 4, 0x61, 0x62, 0xac, 0x02])
    expect(reads(serde, bytes)).toEqual({ id: 'ab', cents: 150 })
  })

  it('reads with its own schema what was written with another one', () => {
    const registry = schemaRegistry({
      schemas: { 1: { type: 'avro', schema: orderV1 }, 2: { type: 'avro', schema: orderV2 } },
    })
    const v1 = avro<Order>(registry, { schema: orderV1, subject: 's' })
    const v2 = avro<Order & { currency: string }>(registry, { schema: orderV2, subject: 's' })
    const old = Buffer.from(v1.encode({ id: 'a', cents: 1 }))
    const young = Buffer.from(v2.encode({ id: 'b', cents: 2, currency: 'USD' }))
    expect(reads(v2, old)).toEqual({ id: 'a', cents: 1, currency: 'EUR' })
    expect(reads(v1, young)).toEqual({ id: 'b', cents: 2 })
    // Without a schema of its own: as it was written.
    expect(reads(avro<unknown>(registry), young)).toEqual({ id: 'b', cents: 2, currency: 'USD' })
  })

  it('refuses what cannot be read or written, and what is cut', () => {
    const other = { type: 'record', name: 'Order', namespace: 'shop', fields: [{ name: 'n', type: 'int' }] }
    const registry = schemaRegistry({ schemas: { 3: { type: 'avro', schema: other } } })
    const serde = avro<Order>(registry, { schema: orderV1, subject: 's' })
    const bytes = Buffer.from(serde.encode({ id: 'a', cents: 1 }))
    expect(() => serde.encode({ id: 'a' } as never)).toThrow(/cents/)
    expect(() => serde.decode(Buffer.from([...head(3), 2]))).toThrow(/cannot be read with the reader's/)
    expect(() => serde.decode(bytes.subarray(0, bytes.length - 1))).toThrow()
    expect(() => serde.decodeFrom?.(bytes, 0, bytes.length - 1)).toThrow()
    expect(() => serde.decode(Buffer.concat([bytes, Buffer.of(0)]))).toThrow()
    expect(() => serde.decode(Buffer.of(1, 0, 0, 0, 7, 0))).toThrow(/does not begin with the id/)
    expect(() => serde.decode(Buffer.of(0, 0, 0))).toThrow(/does not begin with the id/)
    expect(() => serde.decode(Buffer.from(head(99)))).toThrow(/schema 99 is not here/)
    expect(() => avro(registry).encode({})).toThrow(/no schema to write with/)
  })

  it('reads values that do not change with the bytes they came from', () => {
    const schema = { type: 'record', name: 'Blob', fields: [{ name: 'data', type: 'bytes' }] }
    const serde = avro<{ data: Buffer }>(schemaRegistry({}), { schema, subject: 's' })
    const bytes = Buffer.from(serde.encode({ data: Buffer.from('abc') }))
    const { data } = serde.decode(bytes)
    bytes.fill(0)
    expect(data.toString()).toBe('abc')
  })
})

describe('json-schema', () => {
  const schema = {
    title: 'Order',
    type: 'object',
    properties: { id: { type: 'string' }, cents: { type: 'integer' } },
    required: ['id', 'cents'],
  }

  it('checks what is written and what is read', () => {
    const registry = schemaRegistry({ schemas: { 5: { type: 'json', schema } } })
    const serde = jsonSchema<Order>(registry, { schema, subject: 's' })
    const bytes = bytesOf(serde, { id: 'ä', cents: 1 })
    expect(bytes).toEqual(Buffer.concat([Buffer.from(head(5)), Buffer.from('{"id":"ä","cents":1}')]))
    expect(reads(serde, bytes)).toEqual({ id: 'ä', cents: 1 })
    expect(() => serde.encode({ id: 'a' } as never)).toThrow(/refuses it/)
    const wrong = Buffer.concat([Buffer.from(head(5)), Buffer.from('{"id":"a"}')])
    expect(() => serde.decode(wrong)).toThrow(/refuses it: .*cents/)
    expect(() => jsonSchema(registry).decode(wrong)).toThrow(/refuses it/)
  })

  it('is not read as another format', () => {
    const registry = schemaRegistry({ schemas: { 5: { type: 'json', schema } } })
    const serde = avro(registry, { schema: orderV1, subject: 's' })
    expect(() => serde.decode(Buffer.from([...head(5), 0x7b]))).toThrow(/a schema of JSON, not of AVRO/)
  })
})

describe('protobuf', () => {
  const registry = schemaRegistry({ schemas: { 1: { type: 'protobuf', schema: orderProto } } })
  const use = { schema: orderProto, subject: 's' }

  it('writes the place of the message before it, and 0 for the first', () => {
    const address = protobuf<{ city: string }>(registry, use)
    expect([...bytesOf(address, { city: 'x' })]).toEqual([...head(1), 0, 0x0a, 1, 0x78])
    const line = protobuf<{ article: string; cents: number }>(registry, { ...use, message: 'Order.Line' })
    expect([...bytesOf(line, { article: 'x', cents: 2 })]).toEqual([
      ...head(1),
      ...[4, 2, 0], // two levels: the second message, and in it the first
      ...[0x0a, 1, 0x78, 0x10, 2],
    ])
  })

  it('reads plain objects with defaults', () => {
    const serde = protobuf<object>(registry, { ...use, message: 'shop.Order' })
    const order = { id: 'a', state: 1, lines: [{ article: 'b', cents: 2 ** 40 }], tag: Buffer.of(1, 2) }
    expect(reads(serde, bytesOf(serde, order))).toEqual(order)
    const empty = reads(serde, Buffer.from([...head(1), 2, 2]))
    expect(empty).toMatchObject({ id: '', state: 0, lines: [] })
    expect(Object.getPrototypeOf(empty)).toBe(Object.prototype)
    expect(() => serde.encode({ id: 1 } as never)).toThrow(/refuses it: id/)
  })

  it('reads whatever message is named where it has no schema of its own', () => {
    const line = protobuf<object>(registry, { ...use, message: 'Order.Line' })
    expect(protobuf(registry).decode(line.encode({ article: 'x', cents: 3 }))).toEqual({
      article: 'x',
      cents: 3,
    })
  })

  it('refuses 64-bit integers that are no number, and places that are none', () => {
    const serde = protobuf<object>(registry, { ...use, message: 'Order.Line' })
    const large = Buffer.from([...head(1), 4, 2, 0, 0x10, ...Array(8).fill(0xff), 0x7f])
    expect(() => serde.decode(large)).toThrow(/9223372036854775807/)
    for (const place of [[2, 8], [1], [2], [0x80, 0x80, 0x80, 0x80, 0x80, 1], [200, 1]])
      expect(() => serde.decode(Buffer.from([...head(1), ...place]))).toThrow()
  })

  it('reads by the numbers of fields what another version has written', () => {
    const next = 'syntax = "proto3"; package shop; message Address { string city = 1; string zip = 2; }'
    const both = schemaRegistry({
      schemas: { 1: { type: 'protobuf', schema: orderProto }, 2: { type: 'protobuf', schema: next } },
    })
    const v1 = protobuf<{ city: string }>(both, use)
    const v2 = protobuf<{ city: string; zip: string }>(both, { schema: next, subject: 's' })
    expect(v2.decode(v1.encode({ city: 'x' }))).toEqual({ city: 'x', zip: '' })
    expect(v1.decode(v2.encode({ city: 'x', zip: 'y' }))).toEqual({ city: 'x' })
  })
})

describe('a serde of the registry', () => {
  it('gives out ids by itself where there is no registry: one for each schema', () => {
    const registry = schemaRegistry({})
    const one = avro<Order>(registry, { schema: orderV1, subject: 's' })
    const same = avro<Order>(registry, { schema: orderV1, subject: 't' })
    const other = avro<Order>(registry, { schema: orderV2, subject: 's' })
    const idOf = (bytes: Uint8Array): number => Buffer.from(bytes).readInt32BE(1)
    expect(idOf(one.encode({ id: 'a', cents: 1 }))).toBe(aloneFrom)
    expect(idOf(same.encode({ id: 'a', cents: 1 }))).toBe(aloneFrom)
    expect(idOf(other.encode({ id: 'a', cents: 1, currency: 'EUR' } as never))).toBe(aloneFrom + 1)
  })

  it('is another one in each topic, unless its subject is the same', () => {
    const registry = schemaRegistry({})
    const named = avro<Order>(registry, { schema: orderV1 })
    const byRecord = avro<Order>(registry, { schema: orderV1, strategy: 'record-name' })
    const a = topic('a', { key: named, value: byRecord })
    const b = topic('b', { key: named, value: byRecord })
    expect(a.key).not.toBe(b.key)
    expect(a.value).toBe(b.value)
  })

  it('needs to know its topic where that names its subject', () => {
    const serde = avro<Order>(schemaRegistry({}), { schema: orderV1 })
    expect(() => serde.encode({ id: 'a', cents: 1 })).toThrow(/no topic gives its subject a name/)
  })

  it('refuses to write before the registry was asked', () => {
    const registry = schemaRegistry({ url: 'http://localhost:1' })
    const { value } = topic('a', {
      key: nullable(avro<Order>(registry)),
      value: avro<Order>(registry, { schema: orderV1 }),
    })
    expect(() => value.encode({ id: 'a', cents: 1 })).toThrow(/was not asked yet/)
  })

  it('reaches through nullable', () => {
    const registry = schemaRegistry({})
    const { value } = topic('a', {
      key: nullable(avro(registry)),
      value: nullable(avro<Order>(registry, { schema: orderV1 })),
    })
    expect(value.remote?.source).toBe(registry)
    expect(value.decode(value.encode({ id: 'a', cents: 1 }))).toEqual({ id: 'a', cents: 1 })
    expect(value.decodeNull?.()).toBeNull()
  })
})

describe('mistakes are named', () => {
  const registry = schemaRegistry({})
  it.each<[string, () => unknown, RegExp]>([
    ['a url that is none', () => schemaRegistry({ url: 'localhost:8081' }), /no http or https address/],
    ['a time that is none', () => schemaRegistry({ timeoutMs: 0 }), /timeoutMs .* is 0/],
    [
      'a known schema that is none',
      () => schemaRegistry({ schemas: { 4: { type: 'avro', schema: '"x"' } } }),
      /schema 4 is no schema of AVRO/,
    ],
    [
      'a schema of Avro',
      () => avro(registry, { schema: { type: 'nonsense' } }),
      /avro was given is no schema of AVRO/,
    ],
    ['a schema that is no JSON', () => jsonSchema(registry, { schema: '{' }), /no schema of JSON/],
    ['a schema of Protobuf', () => protobuf(registry, { schema: 'message {' }), /no schema of PROTOBUF/],
    [
      'a schema of Protobuf without a message',
      () => protobuf(registry, { schema: 'syntax = "proto3"; enum A { B = 0; }' }),
      /has no message/,
    ],
    [
      'a message that is not there',
      () => protobuf(registry, { schema: orderProto, message: 'Basket' }),
      /no message Basket/,
    ],
    [
      'a record without a name',
      () => avro(registry, { schema: '"string"', strategy: 'record-name' }),
      /has no name/,
    ],
    [
      'a JSON Schema without a title',
      () => jsonSchema(registry, { schema: {}, strategy: 'topic-record-name' }),
      /title/,
    ],
  ])('%s', (_what, make, text) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'TOPOLOGY_INVALID', message: expect.stringMatching(text) }),
    )
  })
})
