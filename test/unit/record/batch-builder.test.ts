import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  appendedSize,
  BatchBuilder,
  batchMemory,
  type ValueEncoder,
} from '../../../src/record/batch-builder.ts'
import { BatchView, batchOverheadBytes, readBatches } from '../../../src/record/batch-view.ts'
import { compressions } from '../../../src/record/compression.ts'
import { naiveBatch, transactionalBit } from './naive-batch.ts'
import { appendPlain, plain, plainRecord, readPlain } from './record-arbitrary.ts'

const noKey = Buffer.alloc(0)
const place = { topic: 'orders', partition: 3 }
const someRecords = fc.array(plainRecord, { minLength: 1, maxLength: 12 })
const text = (value: string): Buffer => Buffer.from(value)
const appendText = (builder: BatchBuilder, key: string, timestamp = 1000): void =>
  builder.append(timestamp, text(key), 0, key.length, text(key), 0, key.length, undefined)

describe('a built batch', () => {
  it.each(compressions)('with %s reads back as it was appended', (compression) => {
    fc.assert(
      fc.property(someRecords, fc.integer({ min: 1, max: 300 }), (records, initialBytes) => {
        const builder = new BatchBuilder(initialBytes)
        for (const record of records) appendPlain(builder, record)
        const options = {
          producerId: 2 ** 45 + 3,
          producerEpoch: 32_766,
          baseSequence: 2 ** 31 - 1,
          transactional: true,
        }
        const sealed = builder.seal({ ...options, compression })
        const [batch, ...others] = readBatches(sealed, 0, sealed.length, place) as [BatchView]
        expect(others).toEqual([])
        batch.checkCrc()
        expect(readPlain(batch)).toEqual(records.map((record, offset) => ({ ...record, offset })))
        const {
          producerId,
          producerEpoch,
          baseSequence,
          isTransactional,
          isControl,
          recordCount,
          lastOffset,
        } = batch
        expect({ producerId, producerEpoch, baseSequence, transactional: isTransactional }).toEqual(options)
        expect({ isControl, recordCount, lastOffset, compression: batch.compression }).toEqual({
          isControl: false,
          recordCount: records.length,
          lastOffset: records.length - 1,
          compression,
        })
        expect(batch.baseTimestamp).toBe(records[0]?.timestamp)
        expect(batch.maxTimestamp).toBe(Math.max(...records.map((record) => record.timestamp)))
      }),
      { numRuns: 60 },
    )
  })

  it('is byte for byte what a naive encoder makes', () => {
    fc.assert(
      fc.property(someRecords, fc.boolean(), (records, transactional) => {
        const builder = new BatchBuilder(1000)
        for (const record of records) appendPlain(builder, record)
        const naive = naiveBatch({
          baseOffset: 0,
          lastOffset: records.length - 1,
          records: records.map((record, offset) => ({ ...record, offset })),
          attributes: transactional ? transactionalBit : 0,
        })
        expect(builder.seal({ ...plain, transactional }).equals(naive)).toBe(true)
      }),
    )
  })

  it('is the same when values are encoded in place', () => {
    const encoder: ValueEncoder<Uint8Array> = {
      encodeInto: (value, target, offset) => {
        if (offset + value.length > target.length) return -1
        target.set(value, offset)
        return value.length
      },
    }
    let inPlace = 0
    fc.assert(
      fc.property(someRecords, fc.integer({ min: 1, max: 60_000 }), (records, initialBytes) => {
        const builder = new BatchBuilder(initialBytes)
        for (const record of records) {
          const key = record.key ?? Buffer.alloc(0)
          const headers = record.headers.length === 0 ? undefined : record.headers
          builder.mark()
          const before = builder.bytes
          const tooLarge = builder.appendEncoded(
            record.timestamp,
            key,
            0,
            record.key?.length ?? -1,
            encoder,
            record.value ?? key,
            headers,
            before,
          )
          expect(tooLarge).toBe(-1)
          expect(builder.bytes).toBe(before)
          const written =
            record.value === null
              ? -1
              : builder.appendEncoded(
                  record.timestamp,
                  key,
                  0,
                  record.key?.length ?? -1,
                  encoder,
                  record.value,
                  headers,
                  Number.POSITIVE_INFINITY,
                )
          if (written < 0) appendPlain(builder, record)
          else {
            inPlace++
            expect(written).toBe(record.value?.length)
          }
        }
        const naive = naiveBatch({
          baseOffset: 0,
          lastOffset: records.length - 1,
          records: records.map((record, offset) => ({ ...record, offset })),
          attributes: 0,
        })
        expect(builder.seal(plain).equals(naive)).toBe(true)
      }),
    )
    expect(inPlace).toBeGreaterThan(100)
  })

  it('is the same where a value just fits, or its headers do not', () => {
    const encoder: ValueEncoder<number> = {
      encodeInto(bytes, target, offset) {
        if (offset + bytes > target.length) return -1
        target.fill(0x61, offset, offset + bytes)
        return bytes
      },
    }
    const header = { key: 'h', value: Buffer.from('12345') }
    let inPlace = 0
    const around = (from: number, to: number): number[] =>
      Array.from({ length: to - from }, (_, index) => from + index)
    // The second record guesses two bytes for each of its lengths, the third one what the second one took.
    const sizes = [
      { room: 256, firsts: around(0, 250), seconds: [0, 40, 50, 64, 100, 200] },
      { room: 16_384, firsts: around(8040, 8140), seconds: [8170, 8188, 8192, 8200] },
    ]
    for (const { room, firsts, seconds } of sizes) {
      for (const first of firsts) {
        for (const second of seconds) {
          for (const headers of [undefined, [header]]) {
            const [builder, plainly] = [new BatchBuilder(room), new BatchBuilder(room)]
            for (const length of [1, first, second]) {
              const append = (to: BatchBuilder): void =>
                to.append(1, noKey, 0, -1, Buffer.alloc(length, 0x61), 0, length, headers)
              append(plainly)
              const written = builder.appendEncoded(1, noKey, 0, -1, encoder, length, headers, 100_000)
              if (written < 0) append(builder)
              else inPlace++
            }
            expect(builder.seal(plain).equals(plainly.seal(plain)), `${first}, ${second} bytes`).toBe(true)
          }
        }
      }
    }
    expect(inPlace).toBeGreaterThan(100)
  })

  it('says its size before it is sealed, and a record never adds more than its bound', () => {
    fc.assert(
      fc.property(someRecords, (records) => {
        const builder = new BatchBuilder(64)
        expect(builder.bytes).toBe(0)
        let bound = batchOverheadBytes
        for (const record of records) {
          bound += appendedSize(record.key?.length ?? -1, record.value?.length ?? -1, record.headers)
          appendPlain(builder, record)
          expect(builder.bytes).toBeLessThanOrEqual(bound)
        }
        const { bytes } = builder
        expect(builder.seal(plain)).toHaveLength(bytes)
      }),
    )
  })

  it('refuses to be sealed without records', () => {
    expect(() => new BatchBuilder(100).seal(plain)).toThrow(/^INVARIANT_BROKEN/)
  })

  it.each([Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 53])(
    'refuses the timestamp %s and stays as it was',
    (timestamp) => {
      const builder = new BatchBuilder(100)
      expect(() => appendText(builder, 'first', timestamp)).toThrow(/^TIMESTAMP_INVALID/)
      expect(builder.count).toBe(0)
      appendText(builder, 'a', 5)
      expect(() => appendText(builder, 'second', timestamp)).toThrow(/^TIMESTAMP_INVALID/)
      expect(readPlain(new BatchView(builder.seal(plain), 0, place))).toHaveLength(1)
    },
  )

  it('refuses lengths beyond the source: bytes of older batches must not leak', () => {
    const builder = new BatchBuilder(100)
    expect(() => builder.append(1, text('abc'), 1, 3, text(''), 0, -1, undefined)).toThrow(RangeError)
    expect(() => builder.append(1, text('a'.repeat(99)), 1, 99, text(''), 0, -1, undefined)).toThrow(
      RangeError,
    )
    expect(builder.count).toBe(0)
  })
})

describe('mark and undo', () => {
  it('leave what only the kept records make', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: plainRecord },
      { weight: 2, arbitrary: fc.constant('mark' as const) },
      { weight: 2, arbitrary: fc.constant('undo' as const) },
      { weight: 1, arbitrary: fc.constant('seal' as const) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const builder = new BatchBuilder(80)
        let kept: (typeof plainRecord extends fc.Arbitrary<infer R> ? R : never)[] = []
        let marked = 0
        for (const item of steps) {
          if (item === 'mark') {
            builder.mark()
            marked = kept.length
          } else if (item === 'undo') {
            builder.undo()
            kept = kept.slice(0, marked)
          } else if (item === 'seal') {
            if (kept.length > 0) builder.seal(plain)
            else builder.reset()
            kept = []
            marked = 0
          } else {
            appendPlain(builder, item)
            kept.push(item)
          }
          expect(builder.count).toBe(kept.length)
        }
        if (kept.length === 0) return
        const fresh = new BatchBuilder(80)
        for (const record of kept) appendPlain(fresh, record)
        expect(builder.bytes).toBe(fresh.bytes)
        expect(builder.seal(plain).equals(fresh.seal(plain))).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('take back the largest timestamp and the first one', () => {
    const builder = new BatchBuilder(100)
    appendText(builder, 'gone', 9_000_000_000_000)
    builder.undo()
    appendText(builder, 'a', 20)
    builder.mark()
    appendText(builder, 'gone too', 7000)
    builder.undo()
    const batch = new BatchView(builder.seal(plain), 0, place)
    expect([batch.baseTimestamp, batch.maxTimestamp]).toEqual([20, 20])
  })
})

describe('ownership', () => {
  it.each(compressions)('with %s: later appends do not touch a sealed batch', (compression) => {
    const builder = new BatchBuilder(4096)
    appendText(builder, 'first')
    const sealed = builder.seal({ ...plain, compression })
    const before = Buffer.from(sealed)
    for (let index = 0; index < 50; index++) appendText(builder, 'later')
    builder.seal({ ...plain, compression })
    expect(sealed.equals(before)).toBe(true)
  })

  it('recycled bytes are used again, and by one batch at a time', () => {
    const builder = new BatchBuilder(4096)
    appendText(builder, 'first')
    const first = builder.seal(plain)
    builder.recycle(first)
    appendText(builder, 'second')
    const second = builder.seal(plain)
    expect(second.buffer).toBe(first.buffer)
    appendText(builder, 'third')
    const third = builder.seal(plain)
    expect(third.buffer).not.toBe(second.buffer)
    expect(readPlain(new BatchView(second, 0, place))).toMatchObject([
      { key: Uint8Array.from(text('second')) },
    ])
  })

  it('a steady stream of batches lives on four buffers, also when every fourth batch is small', () => {
    const builder = new BatchBuilder(1000)
    const seen = new Set<unknown>()
    let flying: Buffer[] = []
    for (let batch = 0; batch < 200; batch++) {
      // Sizes are never quite the same.
      const records = batch % 4 === 3 ? 3 : 300 + (batch % 7)
      for (let index = 0; index < records; index++) appendText(builder, 'some text of a record')
      const sealed = builder.seal(plain)
      if (batch >= 20) seen.add(sealed.buffer)
      flying = [sealed, ...flying]
      if (flying.length > 2) builder.recycle(flying.pop() as Buffer)
    }
    expect(seen.size).toBeLessThanOrEqual(4)
  })

  it('what one builder is done with serves another of the same memory, compressed batches too', () => {
    const memory = batchMemory()
    const [one, other] = [new BatchBuilder(4096, memory), new BatchBuilder(4000, memory)]
    appendText(one, 'first')
    const first = one.seal(plain)
    one.recycle(first)
    appendText(other, 'second')
    expect(other.seal(plain).buffer).toBe(first.buffer)
    appendText(one, 'some text '.repeat(100))
    const small = one.seal({ ...plain, compression: 'zstd' })
    one.recycle(small)
    appendText(one, 'some text '.repeat(100))
    expect(one.seal({ ...plain, compression: 'zstd' }).buffer).toBe(small.buffer)
  })

  it('refuses a batch that came back already', () => {
    const builder = new BatchBuilder(4096)
    appendText(builder, 'first')
    const sealed = builder.seal(plain)
    builder.recycle(sealed)
    // Its memory is in use again by now.
    appendText(builder, 'second')
    expect(() => builder.recycle(sealed)).toThrow(/^INVARIANT_BROKEN/)
    expect(() => builder.recycle(Buffer.from('none of ours'))).toThrow(/^INVARIANT_BROKEN/)
  })

  it('keeps no memory of a huge batch', () => {
    const memory = batchMemory()
    const builder = new BatchBuilder(1000, memory)
    const huge = Buffer.alloc(5 * 1024 * 1024)
    builder.append(1, huge, 0, -1, huge, 0, huge.length, undefined)
    builder.recycle(builder.seal(plain))
    expect(memory.freeBytes).toBe(0)
  })

  it('builders of one memory never write into what another one holds, or what is sealed', () => {
    const step = fc.record({
      builder: fc.nat(2),
      what: fc.constantFrom(
        'append',
        'append',
        'append',
        'undo',
        'reset',
        'seal',
        'seal',
        'recycle',
        'recycle',
      ),
      compression: fc.constantFrom(...compressions),
      records: fc.integer({ min: 1, max: 40 }),
      which: fc.nat(5),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = batchMemory()
        const builders = [64, 256, 256].map((bytes) => ({
          builder: new BatchBuilder(bytes, memory),
          keys: [] as string[],
        }))
        const sealed: { readonly by: BatchBuilder; readonly bytes: Buffer; readonly copy: Buffer }[] = []
        let number = 0
        for (const { builder: chosen, what, compression, records, which } of steps) {
          const one = builders[chosen] as (typeof builders)[number]
          const { builder, keys } = one
          if (what === 'append') {
            builder.mark()
            for (let count = 0; count < records; count++) {
              keys.push(`key ${number++}`)
              appendText(builder, keys.at(-1) as string)
            }
          } else if (what === 'undo') {
            builder.mark()
            appendText(
              builder,
              'a text that is taken back, after it made the memory of its builder grow'.repeat(3),
            )
            builder.undo()
          } else if (what === 'reset') {
            builder.reset()
            one.keys = []
          } else if (what === 'seal' && keys.length > 0) {
            const bytes = builder.seal({ ...plain, compression })
            sealed.push({ by: builder, bytes, copy: Buffer.from(bytes) })
            expect(
              readPlain(new BatchView(bytes, 0, place)).map(({ key }) => String(Buffer.from(key ?? []))),
            ).toEqual(keys)
            one.keys = []
          } else if (what === 'recycle' && sealed.length > 0) {
            const [gone] = sealed.splice(which % sealed.length, 1)
            gone?.by.recycle(gone.bytes)
          }
          for (const { bytes, copy } of sealed) expect(bytes.equals(copy)).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('a builder that one huge record blew up returns to its usual size', () => {
    const builder = new BatchBuilder(1000)
    const huge = Buffer.alloc(1_000_000)
    builder.append(1, huge, 0, -1, huge, 0, huge.length, undefined)
    builder.reset()
    appendText(builder, 'small')
    expect(builder.seal(plain).buffer.byteLength).toBeLessThan(10_000)
  })
})
