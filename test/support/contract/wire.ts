// One connection to a broker for single requests: no retries, no routing, no negotiation, so that a case sees the very
// answer. What a client would never send (wrong lengths, versions that are not offered) can be sent, too.
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Reader, Writer } from '../../../src/protocol/wire.ts'

/** A codec of the client's side: those of src/protocol, and those in other-apis.ts for requests we never send. */
export interface WireApi<Request, Response> {
  readonly key: number
  readonly name: string
  readonly versions: readonly [min: number, max: number]
  readonly flexibleFrom: number
  encode(writer: Writer, version: number, request: Request): void
  decode(reader: Reader, version: number): Response
}

const apiVersionsKey = 18
const lengthBytes = 4
const correlationBytes = 4

/** What an unanswered request is rejected with: the broker ended the connection. */
class ConnectionEnded extends Error {}

interface Waiting {
  readonly resolve: (frame: Buffer) => void
  readonly reject: (error: Error) => void
}

export class Wire {
  readonly #socket: net.Socket
  readonly #waiting: Waiting[] = []
  #received: Buffer = Buffer.alloc(0)
  #correlation = 0
  readonly ended: Promise<void>

  private constructor(socket: net.Socket) {
    this.#socket = socket
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        for (const { reject } of this.#waiting.splice(0)) reject(new ConnectionEnded('the connection ended'))
        resolve()
      })
    })
    // A connection that was reset ends like any other.
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => this.#take(bytes))
  }

  static open(address: string): Promise<Wire> {
    const at = address.lastIndexOf(':')
    return new Promise((resolve, reject) => {
      const socket = net.connect(Number(address.slice(at + 1)), address.slice(0, at))
      socket.setNoDelay(true)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Wire(socket))
      })
    })
  }

  /** @param version default: the newest of the codec */
  async ask<Request, Response>(
    api: WireApi<Request, Response>,
    request: Request,
    version: number = api.versions[1],
  ): Promise<Response> {
    const isFlexible = version >= api.flexibleFrom
    const writer = new Writer()
    writer.flexible = isFlexible
    api.encode(writer, version, request)
    const reader = await this.askBytes(api.key, version, isFlexible, writer.toBuffer())
    reader.begin(`the answer to ${api.name} v${version}`, isFlexible)
    if (isFlexible && api.key !== apiVersionsKey) reader.tags()
    return api.decode(reader, version)
  }

  /** A request that has no answer. */
  tell<Request>(api: WireApi<Request, unknown>, request: Request, version: number = api.versions[1]): void {
    const writer = new Writer()
    writer.flexible = version >= api.flexibleFrom
    api.encode(writer, version, request)
    const head = this.#head(this.#correlation++, api.key, version, writer.flexible)
    this.send(framed(Buffer.concat([head, writer.toBuffer()])))
  }

  /** Key, version and body as they are given. @returns the answer behind its correlation id */
  async askBytes(key: number, version: number, flexible: boolean, body: Buffer): Promise<Reader> {
    return new Reader(await this.askBody(key, version, flexible, body))
  }

  /** As askBytes. @returns the bytes behind the correlation id */
  async askBody(key: number, version: number, flexible: boolean, body: Buffer): Promise<Buffer> {
    const correlation = this.#correlation++
    const head = this.#head(correlation, key, version, flexible)
    const frame = await this.askFrame(Buffer.concat([head, body]))
    if (frame.readInt32BE(0) !== correlation)
      throw new Error(`answer ${frame.readInt32BE(0)} came for request ${correlation}`)
    return frame.subarray(correlationBytes)
  }

  /** A whole request behind its length. @returns the whole answer behind its length */
  askFrame(frame: Buffer): Promise<Buffer> {
    const answer = this.#next()
    this.send(framed(frame))
    return answer
  }

  /** As askFrame, in writes of so many bytes with time between them. */
  async askInPieces(frame: Buffer, bytes: number): Promise<Buffer> {
    const answer = this.#next()
    const whole = framed(frame)
    for (let at = 0; at < whole.length; at += bytes) {
      this.send(whole.subarray(at, at + bytes))
      await sleep(1)
    }
    return await answer
  }

  /** Bytes that nobody waits for an answer to. */
  send(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  close(): void {
    this.#socket.destroy()
  }

  #next(): Promise<Buffer> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  #head(correlation: number, key: number, version: number, flexible: boolean): Buffer {
    const head = new Writer().int16(key).int16(version).int32(correlation).string('contract')
    head.flexible = flexible
    return head.tags().toBuffer()
  }

  #take(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes])
    while (this.#received.length >= lengthBytes) {
      const end = lengthBytes + this.#received.readInt32BE(0)
      if (this.#received.length < end) return
      this.#waiting.shift()?.resolve(this.#received.subarray(lengthBytes, end))
      this.#received = this.#received.subarray(end)
    }
  }
}

/** Behind its length. */
export const framed = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(lengthBytes)
  length.writeInt32BE(bytes.length, 0)
  return Buffer.concat([length, bytes])
}
