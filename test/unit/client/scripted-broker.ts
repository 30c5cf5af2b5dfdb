// A broker made of a script: it answers ApiVersions by itself and leaves everything else to the test. It stands behind
// the Net port, so no network is involved.
import type { Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Ports, SocketReader } from '../../../src/base/ports.ts'
import { Writer } from '../../../src/protocol/wire.ts'

const API_VERSIONS = 18

export interface ReceivedRequest {
  readonly apiKey: number
  readonly version: number
  readonly correlationId: number
  /** The whole frame, length included. */
  readonly frame: Buffer
}

export interface ScriptedBroker {
  readonly ports: Ports
  readonly received: ReceivedRequest[]
  /** Buffers that the client gave to its socket, in order. */
  readonly written: Buffer[]
  /** Sends the bytes of an answer: correlation id, then `body` (with its header tags, where it has some). */
  answer(correlationId: number, body: Buffer): void
  send(bytes: Buffer): void
  /** Ends the connection from the broker's side. */
  end(): void
  /** Whether the client's socket is destroyed. */
  isClosed(): boolean
}

export const frameOf = (correlationId: number, body: Buffer): Buffer => {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + body.length, 0)
  head.writeInt32BE(correlationId, 4)
  return Buffer.concat([head, body])
}

/** ApiVersions v3: everything in v0 to v99. */
const apiVersionsBody = (errorCode: number): Buffer => {
  const writer = new Writer()
  if (errorCode !== 0) return writer.int16(errorCode).int32(0).toBuffer()
  writer.flexible = true
  writer.int16(0)
  writer.structs([...Array(60).keys()], (key) => writer.int16(key).int16(0).int16(99))
  return writer.int32(0).tags().toBuffer()
}

/** As a socket does: what there is goes into the target, as much as that takes at a time. */
export const feed = (reader: SocketReader, bytes: Buffer): void => {
  for (let at = 0; at < bytes.length; ) {
    const copied = bytes.copy(reader.target(), 0, at)
    reader.received(copied)
    at += copied
  }
}

export const scriptedBroker = (
  options: { apiVersionsError?: number; silent?: boolean } = {},
): ScriptedBroker => {
  let client: Duplex | undefined
  let broker: { write(bytes: Buffer): void; end(): void } | undefined
  const received: ReceivedRequest[] = []
  const written: Buffer[] = []

  const take = (frame: Buffer): void => {
    const request = {
      apiKey: frame.readInt16BE(4),
      version: frame.readInt16BE(6),
      correlationId: frame.readInt32BE(8),
      frame,
    }
    if (request.apiKey !== API_VERSIONS) received.push(request)
    else if (!options.silent)
      broker?.write(frameOf(request.correlationId, apiVersionsBody(options.apiVersionsError ?? 0)))
  }

  const connect: Ports['net']['connect'] = (_address, reader, onConnect) => {
    const [ours, theirs] = duplexPair()
    client = ours
    broker = {
      write: (bytes) => queueMicrotask(() => feed(reader, bytes)),
      end: () => theirs.end(),
    }
    let buffered: Buffer = Buffer.alloc(0)
    theirs.on('error', () => {})
    theirs.on('data', (bytes: Buffer) => {
      buffered = Buffer.concat([buffered, bytes])
      while (buffered.length >= 4 && buffered.length >= 4 + buffered.readInt32BE(0)) {
        const size = 4 + buffered.readInt32BE(0)
        take(buffered.subarray(0, size))
        buffered = buffered.subarray(size)
      }
    })
    const write = ours.write.bind(ours)
    const socket = Object.assign(ours, {
      unref: () => ours,
      write: (bytes: Buffer, ...rest: []) => {
        written.push(bytes)
        return write(bytes, ...rest)
      },
    })
    queueMicrotask(onConnect)
    return socket as unknown as Socket
  }

  return {
    ports: { ...nodePorts, net: { ...nodePorts.net, connect } },
    received,
    written,
    answer: (correlationId, body) => void broker?.write(frameOf(correlationId, body)),
    send: (bytes) => void broker?.write(bytes),
    end: () => void broker?.end(),
    isClosed: () => client?.destroyed ?? false,
  }
}
