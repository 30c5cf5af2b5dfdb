import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import { apiVersions } from '../../../src/protocol/api-versions.ts'
import { metadata } from '../../../src/protocol/metadata.ts'
import { Writer } from '../../../src/protocol/wire.ts'
import { RawClient } from './raw-client.ts'

const ours = { clientSoftwareName: 'millstream', clientSoftwareVersion: '1.0' }

const start = (requestBytesMax = 100_000) => {
  const said: string[] = []
  const log = { ...silentLogger, warn: (text: string) => void said.push(text) }
  const kafka = EmbeddedKafka.inMemory({ log, settings: { requestBytesMax } })
  return { kafka, said, client: new RawClient(kafka) }
}

const header = (key: number, version: number): Buffer =>
  new Writer().int16(key).int16(version).int32(7).nullableString('test').toBuffer()

const lengthOf = (bytes: number): Buffer => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes, 0)
  return length
}

describe('bad input ends the connection with a line in the log', () => {
  it.each<[string, Buffer, RegExp]>([
    ['words of another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /a frame of 1195725856 bytes/],
    ['a frame over the limit', lengthOf(100_001), /a frame of 100001 bytes: a request has 8 to 100000/],
    ['a negative length', lengthOf(-1), /a frame of -1 bytes/],
    [
      'a request that there is not',
      Buffer.concat([lengthOf(14), header(999, 0)]),
      /no request with the key 999/,
    ],
    [
      'a version not offered',
      Buffer.concat([lengthOf(14), header(3, 99)]),
      /Metadata v99 is not offered: v0 to v/,
    ],
    [
      'a body that is cut short',
      Buffer.concat([lengthOf(18), header(3, 1), lengthOf(5)]),
      /Metadata v1 cannot be read/,
    ],
    [
      'bytes behind the end of the body',
      Buffer.concat([lengthOf(19), header(3, 1), lengthOf(0), Buffer.alloc(1)]),
      /1 bytes are left over/,
    ],
  ])('%s', (_, bytes, why) => {
    const { kafka, client, said } = start()
    const other = new RawClient(kafka)
    client.session.received(bytes)
    expect(client.ended).toBe(true)
    expect(said).toEqual([expect.stringMatching(why)])
    expect(said[0]).toMatch(/^a connection is closed: /)
    // What comes after is not looked at, and others do not notice.
    client.session.received(Buffer.concat([lengthOf(14), header(18, 0)]))
    expect(client.frames).toEqual([])
    expect(other.ask(apiVersions, 4, ours).errorCode).toBe(0)
  })
})

describe('a session', () => {
  it('answers ApiVersions in a version that is too new in v0, and serves on', () => {
    const { client } = start()
    client.send(header(18, 99), Buffer.from('of a later time'))
    const answer = client.frames.pop() as Buffer
    expect(answer.readInt32BE(4)).toBe(7)
    expect(answer.readInt16BE(8)).toBe(35)
    // v0: a plain count, then six bytes for each request.
    expect(answer.length).toBe(14 + 6 * answer.readInt32BE(10))
    expect(client.ended).toBe(false)
    expect(client.ask(apiVersions, 4, ours).apis.find(({ key }) => key === 18)).toMatchObject({ max: 4 })
  })

  it('puts frames together from any pieces', () => {
    const { client } = start()
    const request = client.request(metadata, 12, { topics: [] })
    const bytes = Buffer.concat([lengthOf(request.length), request, lengthOf(request.length), request])
    for (let size = 1; size < bytes.length; size += 3) {
      client.frames.length = 0
      for (let at = 0; at < bytes.length; at += size) client.session.received(bytes.subarray(at, at + size))
      expect(client.frames).toHaveLength(2)
    }
  })

  it('asks for no more while its client does not take the answers', () => {
    const { client } = start()
    const request = client.request(metadata, 12, { topics: [] })
    client.takes = false
    const frame = Buffer.concat([lengthOf(request.length), request])
    client.session.received(frame)
    expect(client.frames).toHaveLength(1)
    for (let times = 0; times < 10_000 && !client.paused; times++) client.session.received(frame)
    expect(client.frames).toHaveLength(1)
    client.takes = true
    client.session.drained()
    expect(client.frames.length).toBeGreaterThan(1000)
    expect(client.paused).toBe(false)
  })
})
