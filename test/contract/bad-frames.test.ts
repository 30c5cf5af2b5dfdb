// What is no request: the connection ends, and nothing else does.
import { describe, expect } from 'vitest'
import { apiVersions } from '../../src/protocol/api-versions.ts'
import { metadata } from '../../src/protocol/metadata.ts'
import { Writer } from '../../src/protocol/wire.ts'
import { type Broker, contract } from '../support/contract/contract.ts'
import { requestBytesMax } from '../support/contract/settings.ts'
import { nameOf } from '../support/contract/names.ts'
import { answeredWithin } from '../support/contract/waits.ts'
import { framed, type Wire } from '../support/contract/wire.ts'

const ours = { clientSoftwareName: 'contract', clientSoftwareVersion: '1.0' }

/** These bytes end their connection; another one serves on. */
const endsWith = async (broker: Broker, bytes: Buffer): Promise<void> => {
  const other = await broker.connect()
  broker.wire.send(bytes)
  expect(await answeredWithin(broker.wire.ended, 5000)).toBe(true)
  expect(nameOf((await other.ask(apiVersions, ours)).errorCode)).toBe('NONE')
}

const header = (key: number, version: number): Writer =>
  new Writer().int16(key).int16(version).int32(7).string('contract')

const length = (bytes: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(bytes, 0)
  return buffer
}

describe('the connection ends', () => {
  contract('at the words of another protocol', (broker) =>
    endsWith(broker, Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')),
  )

  contract('at a frame over the limit, before it is there', (broker) =>
    endsWith(broker, length(requestBytesMax + 1)),
  )

  contract('at a negative length', (broker) => endsWith(broker, length(-2)))

  contract('at an empty frame', (broker) => endsWith(broker, length(0)))

  contract('at a header that is cut short', (broker) =>
    endsWith(broker, framed(Buffer.from([0, 3, 0, 9, 0]))),
  )

  contract('at an unknown request', (broker) => endsWith(broker, framed(header(999, 0).toBuffer())))

  contract('at a version of Produce that is too new', (broker) =>
    endsWith(broker, framed(header(0, 99).toBuffer())),
  )

  contract('at a version of Fetch that is too old', (broker) =>
    endsWith(broker, framed(header(1, 3).toBuffer())),
  )

  contract('at a negative version', (broker) => endsWith(broker, framed(header(3, -1).toBuffer())))

  contract('at a body that is cut short', (broker) =>
    // Heartbeat v3 ends after the group.
    endsWith(broker, framed(header(12, 3).string('group').toBuffer())),
  )

  contract('at a count beyond the end of the frame', (broker) =>
    endsWith(broker, framed(header(3, 1).int32(1_000_000).string('topic').toBuffer())),
  )

  contract('at a string that must not be null', (broker) =>
    // Heartbeat v3 of no group.
    endsWith(broker, framed(header(12, 3).nullableString(null).int32(1).string('m').int16(-1).toBuffer())),
  )
})

const brokersOf = async (wire: Wire): Promise<number> =>
  (await wire.ask(metadata, { topics: [] })).brokers.length

describe('the connection serves on', () => {
  contract('with a frame as large as the limit allows', async ({ wire }) => {
    // A client id cannot be that long, so the rest is a topic name that is no good.
    const topics = Array.from({ length: 100 }, (_, index) => `${index}-${'x'.repeat(30_000)}`)
    const { topics: found } = await wire.ask(metadata, { topics })
    expect(found.map(({ errorCode }) => nameOf(errorCode))).toEqual(
      topics.map(() => 'INVALID_TOPIC_EXCEPTION'),
    )
  })

  contract('with a request that comes byte by byte', async ({ wire }) => {
    const frame = header(3, 1).int32(0).toBuffer()
    const answer = wire.askInPieces(frame, 1)
    expect((await answer).readInt32BE(0)).toBe(7)
  })

  contract('with requests that do not wait for each other: they are answered in order', async ({ wire }) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => brokersOf(wire)))
    expect(answers).toEqual(answers.map(() => 1))
  })

  contract('with a client that has no name', async ({ wire }) => {
    const frame = new Writer().int16(3).int16(1).int32(11).nullableString(null).int32(0).toBuffer()
    expect((await wire.askFrame(frame)).readInt32BE(0)).toBe(11)
  })
})
