import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameReader } from '../../../src/client/frame-reader.ts'
import { feed, frameOf } from './scripted-broker.ts'

const collect = (): { reader: FrameReader; frames: Buffer[] } => {
  const frames: Buffer[] = []
  return { reader: new FrameReader((frame) => frames.push(frame)), frames }
}

describe('FrameReader', () => {
  it('finds the frames again, however the bytes arrive', () => {
    const sizes = fc.oneof(fc.nat(40), fc.nat(2000), fc.constantFrom(65_524, 65_528, 65_532, 70_000, 300_000))
    fc.assert(
      fc.property(
        fc.array(sizes, { maxLength: 12 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 150_000 })),
        (given, cuts) => {
          const sent = given.map((size, index) => frameOf(index, Buffer.alloc(size, index + 1)))
          const bytes = Buffer.concat(sent)
          const { reader, frames } = collect()
          for (let at = 0; at < bytes.length; ) {
            const cut = cuts.next().value
            feed(reader, bytes.subarray(at, at + cut))
            at += cut
          }
          expect(frames.map((frame) => frame.equals(sent[frames.indexOf(frame)] as Buffer))).toEqual(
            sent.map(() => true),
          )
        },
      ),
      { numRuns: 200 },
    )
  })

  it('finds them byte by byte', () => {
    const sent = [
      frameOf(1, Buffer.from('one')),
      frameOf(2, Buffer.alloc(0)),
      frameOf(3, Buffer.from('three')),
    ]
    const { reader, frames } = collect()
    for (const byte of Buffer.concat(sent)) feed(reader, Buffer.of(byte))
    expect(frames).toEqual(sent)
  })

  it('lets the socket read a large frame in place, and never beyond it', () => {
    const { reader, frames } = collect()
    const frame = frameOf(1, Buffer.alloc(100_000, 7))
    feed(reader, frame.subarray(0, 1000))
    const target = reader.target()
    expect(target).toHaveLength(frame.length - 1000)
    frame.copy(target, 0, 1000)
    reader.received(target.length)
    expect(frames[0]?.buffer).toBe(target.buffer)
    expect(frames[0]?.equals(frame)).toBe(true)
  })

  it.each([-1, 0, 3, 2 ** 30])('refuses a length of %i', (length) => {
    const { reader } = collect()
    const bytes = Buffer.alloc(8)
    bytes.writeInt32BE(length, 0)
    expect(() => feed(reader, bytes)).toThrow(expect.objectContaining({ code: 'PROTOCOL_INVALID' }))
  })
})
