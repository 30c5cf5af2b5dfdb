import fc from 'fast-check'
import { expect, it } from 'vitest'
import { crc32c } from '../../../src/record/crc32c.ts'
import { naiveCrc32c } from './naive-batch.ts'

it('is the Castagnoli polynomial', () => {
  // The check value of the CRC catalogue.
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283)
})

it('covers the range alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(), (bytes, a, b) => {
      const start = a % (bytes.length + 1)
      const end = start + (b % (bytes.length - start + 1))
      expect(crc32c(Buffer.from(bytes), start, end)).toBe(naiveCrc32c(bytes.subarray(start, end)))
    }),
  )
})
