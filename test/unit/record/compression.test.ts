import zlib from 'node:zlib'
import fc from 'fast-check'
import { compressSync as snappyRaw } from 'snappy'
import { describe, expect, it } from 'vitest'
import { compress, compressionOf, compressions, decompress } from '../../../src/record/compression.ts'

const place = { topic: 'orders', partition: 3, offset: 42 }
const sample = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.integer({ min: 0, max: 200_000 }).map((length) => new Uint8Array(length).fill(97)),
  fc
    .uint8Array({ minLength: 1, maxLength: 90 })
    .map((bytes) => Buffer.concat(Array<Uint8Array>(900).fill(bytes))),
)
const wrapped = ['gzip', 'snappy', 'lz4', 'zstd'] as const

describe.each(compressions)('%s', (compression) => {
  it('goes both ways', () => {
    fc.assert(
      fc.property(sample, (bytes) => {
        const back = decompress(compression, compress(compression, Buffer.from(bytes)), place)
        expect(back.equals(Buffer.from(bytes))).toBe(true)
      }),
    )
  })
})

describe.each(wrapped)('%s', (compression) => {
  it('takes exactly the limit and refuses one byte more, naming the place', () => {
    const packed = compress(compression, Buffer.alloc(100_000, 1))
    expect(decompress(compression, packed, place, 100_000)).toHaveLength(100_000)
    expect(() => decompress(compression, packed, place, 99_999)).toThrow(
      /^BATCH_TOO_LARGE: .*99999 bytes \(topic orders, partition 3, offset 42\)/,
    )
  })

  it('refuses a bomb without taking the memory', () => {
    const bomb = compress(compression, Buffer.alloc(64 * 1024 * 1024))
    const before = process.memoryUsage()
    expect(() => decompress(compression, bomb, place, 1024 * 1024)).toThrow(/^BATCH_TOO_LARGE/)
    const after = process.memoryUsage()
    expect(after.external - before.external).toBeLessThan(16 * 1024 * 1024)
  })

  it('answers damaged bytes with BATCH_CORRUPT or other bytes, nothing else', () => {
    const packed = compress(compression, Buffer.from('a record batch '.repeat(50)))
    fc.assert(
      fc.property(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const damaged = Buffer.from(packed)
        damaged[at] = (damaged[at] as number) ^ mask
        expectOnlyOurErrors(() => decompress(compression, damaged, place, 1_000_000))
      }),
    )
    for (let length = 0; length < packed.length; length++) {
      expectOnlyOurErrors(() => decompress(compression, packed.subarray(0, length), place))
    }
  })
})

const expectOnlyOurErrors = (action: () => unknown): void => {
  try {
    action()
  } catch (error) {
    expect(String(error)).toMatch(/BATCH_CORRUPT|BATCH_TOO_LARGE/)
  }
}

describe('snappy', () => {
  it('reads a raw block without a frame', () => {
    expect(decompress('snappy', snappyRaw(Buffer.from('hello hello')), place).toString()).toBe('hello hello')
  })

  it('writes the frame that Java reads: magic, versions, blocks of 32 KiB', () => {
    const packed = compress('snappy', Buffer.alloc(40_000))
    expect(packed.subarray(0, 16).toString('hex')).toBe('82534e4150505900' + '00000001' + '00000001')
    const first = packed.readInt32BE(16)
    const second = packed.readInt32BE(20 + first)
    expect(24 + first + second).toBe(packed.length)
  })

  it('refuses a raw block that claims gigabytes', () => {
    expect(() => decompress('snappy', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), place)).toThrow(
      /^BATCH_TOO_LARGE/,
    )
  })
})

describe('lz4', () => {
  it('does not refuse a frame of many short blocks for what their headers would allow', () => {
    // 40 blocks of one byte each in a frame whose blocks may have 4 MiB; the bytes are literals of one sequence.
    const block = Buffer.from([0x02, 0, 0, 0, 0x10, 0x61])
    const header = compress('lz4', Buffer.from('x')).subarray(0, 7)
    const frame = Buffer.concat([header, ...Array<Buffer>(40).fill(block), Buffer.alloc(4)])
    expect(decompress('lz4', frame, place, 50).toString()).toBe('a'.repeat(40))
    expect(() => decompress('lz4', frame, place, 39)).toThrow(/^BATCH_TOO_LARGE/)
  })
})

it('gzip reads what another writer made in several members', () => {
  const packed = Buffer.concat([zlib.gzipSync('ab'), zlib.gzipSync('cd')])
  expect(decompress('gzip', packed, place).toString()).toBe('abcd')
})

it('an unknown number is refused with what is supported', () => {
  expect(compressionOf(4, place)).toBe('zstd')
  expect(() => compressionOf(6, place)).toThrow(
    /^COMPRESSION_UNSUPPORTED: .*unknown compression 6 \(topic orders, partition 3, offset 42\).*gzip, snappy, lz4, zstd/,
  )
})
