// A client of an embedded broker over a link in memory: single requests through the codecs of src/protocol.
import { type Api, requestHeaderHasTags, responseHeaderHasTags } from '../../../src/protocol/api.ts'
import { Reader, Writer } from '../../../src/protocol/wire.ts'
import type { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import type { Session } from '../../../src/embedded/session.ts'

export class RawClient {
  readonly session: Session
  /** Frames of the broker, lengths included. */
  readonly frames: Buffer[] = []
  ended = false
  paused = false
  /** What the link answers to a write. */
  takes = true

  constructor(kafka: EmbeddedKafka, nodeId = 1) {
    this.session = kafka.connect(nodeId, 'a-client', {
      write: (bytes) => {
        this.frames.push(bytes)
        return this.takes
      },
      end: () => {
        this.ended = true
      },
      pause: () => {
        this.paused = true
      },
      resume: () => {
        this.paused = false
      },
    })
  }

  send(...parts: readonly Buffer[]): void {
    const body = Buffer.concat(parts)
    const length = Buffer.alloc(4)
    length.writeInt32BE(body.length, 0)
    this.session.received(Buffer.concat([length, body]))
  }

  request<Request>(api: Api<Request, unknown>, version: number, request: Request, correlationId = 7): Buffer {
    const writer = new Writer().int16(api.key).int16(version).int32(correlationId).nullableString('raw')
    writer.flexible = requestHeaderHasTags(api, version)
    writer.tags()
    const body = new Writer()
    api.encode(body, version, request)
    return Buffer.concat([writer.toBuffer(), body.toBuffer()])
  }

  /** Of a request that is answered at once. */
  ask<Request, Response>(api: Api<Request, Response>, version: number, request: Request): Response {
    this.send(this.request(api, version, request))
    const frame = this.frames.pop()
    if (frame === undefined) throw new Error(`${api.name} was not answered`)
    const reader = new Reader(frame, 8)
    reader.flexible = responseHeaderHasTags(api, version)
    reader.tags()
    return api.decode(reader, version)
  }
}
