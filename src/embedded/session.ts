// One connection of a client: frames in, frames out, one request at a time and in order, as a broker serves it. It knows
// the headers of requests and answers and nothing of sockets, so that the same code serves TCP and a link in memory.
//
// Memory is bounded: while an answer is being waited for, or while the client does not take what was sent, little is
// read from it. A frame is put together once it is complete, and only bytes that came take room, whatever its head says.
//
// Garbage ends the connection with a log line, as it does on Kafka. A version of ApiVersions that is not offered is
// answered in v0 with UNSUPPORTED_VERSION and the list (KIP-511); any other request in a version that is not offered
// ends the connection.
import { ensureError } from '../errors.ts'
import { Reader, Writer } from '../protocol/wire.ts'
import type { BrokerState } from './broker-state.ts'
import { FrameCollector } from './frame-collector.ts'
import type { AnyHandler, RequestContext } from './request-handler.ts'
import { handlerOf } from './request-table.ts'

export interface SessionLink {
  /**
   * Sends bytes to the client. They are not changed afterwards.
   * @returns false where the client does not take them as fast: nothing more is answered until `drained`
   */
  write(bytes: Buffer): boolean | undefined
  /** No bytes are to be given until `resume`. A link may give more all the same. */
  pause?(): void
  resume?(): void
  /** Ends the connection from the broker's side. */
  end(): void
}

interface Header {
  readonly apiKey: number
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
}

const apiVersionsKey = 18
const lengthBytes = 4
/** A client may send so much ahead; a link that is not read does not tell that the client is gone. */
const waitingBytesMax = 128 * 1024

export class Session {
  readonly #broker: BrokerState
  readonly #nodeId: number
  readonly #clientHost: string
  readonly #link: SessionLink
  readonly #gone = new AbortController()
  readonly #frames: FrameCollector
  readonly #onClosed: (() => void) | undefined
  /** A request is being answered: the next one has to wait. */
  #serving = false
  /** The link has not taken yet what was written. */
  #isFull = false
  #isPaused = false

  /** @param onClosed called once, when the connection is gone */
  constructor(
    broker: BrokerState,
    nodeId: number,
    clientHost: string,
    link: SessionLink,
    onClosed?: (() => void) | undefined,
  ) {
    this.#broker = broker
    this.#nodeId = nodeId
    this.#clientHost = clientHost
    this.#link = link
    this.#onClosed = onClosed
    this.#frames = new FrameCollector(broker.settings.requestBytesMax)
  }

  /** Bytes of the client, in any pieces. They must not change afterwards. */
  received(bytes: Buffer): void {
    if (this.#gone.signal.aborted) return
    this.#frames.add(bytes)
    this.#serve()
  }

  /** The link has taken what was written. */
  drained(): void {
    this.#isFull = false
    this.#serve()
  }

  /** The connection is gone, whoever ended it. */
  closed(): void {
    if (this.#gone.signal.aborted) return
    this.#frames.clear()
    this.#gone.abort()
    this.#onClosed?.()
  }

  /** Ends the connection from the broker's side. */
  end(): void {
    if (this.#gone.signal.aborted) return
    this.closed()
    this.#link.end()
  }

  #serve(): void {
    while (!this.#serving && !this.#isFull && !this.#gone.signal.aborted) {
      const frame = this.#frames.next()
      if (frame === undefined) break
      if (typeof frame === 'string') return this.#refuse(frame)
      const pending = this.#answer(frame)
      if (pending === undefined) continue
      this.#serving = true
      void pending.then(() => {
        this.#serving = false
        this.#serve()
      })
    }
    this.#pace()
  }

  #pace(): void {
    const isPaused = (this.#serving || this.#isFull) && this.#frames.bytes > waitingBytesMax
    if (isPaused === this.#isPaused || this.#gone.signal.aborted) return
    this.#isPaused = isPaused
    if (isPaused) this.#link.pause?.()
    else this.#link.resume?.()
  }

  /** @returns a promise where the answer is not there yet; it never rejects */
  #answer(frame: Buffer): Promise<void> | undefined {
    let header: Header | undefined
    try {
      const reader = new Reader(frame)
      reader.begin('a request header', false)
      header = readHeader(reader)
      const handler = handlerOf(header.apiKey)
      if (handler === undefined) throw new Error(`there is no request with the key ${header.apiKey} here`)
      const [min, max] = handler.versions
      if (header.version < min || header.version > max) return this.#wrongVersion(handler, header)
      const answer = this.#call(handler, header, reader)
      if (!(answer instanceof Promise)) {
        this.#send(handler, header, answer)
        return undefined
      }
      return answer.then(
        (response) => this.#send(handler, header as Header, response),
        (error: unknown) => this.#fail(error, header),
      )
    } catch (error) {
      this.#fail(error, header)
      return undefined
    }
  }

  #call(handler: AnyHandler, header: Header, reader: Reader): unknown {
    const isFlexible = header.version >= handler.flexibleFrom
    reader.begin(`${handler.name} v${header.version}`, isFlexible)
    reader.tags()
    const request: unknown = handler.decode(reader, header.version)
    reader.finish()
    return handler.handle(request, this.#contextOf(header))
  }

  #wrongVersion(handler: AnyHandler, header: Header): undefined {
    const [min, max] = handler.versions
    const text = `${handler.name} v${header.version} is not offered: v${min} to v${max} are`
    if (handler.key !== apiVersionsKey) throw new Error(text)
    this.#broker.log.debug(text, { client: header.clientId })
    // In v0, which every client reads.
    const v0 = { ...header, version: 0 }
    this.#send(handler, v0, handler.handle({ unsupported: true, isWellNamed: true }, this.#contextOf(v0)))
    return undefined
  }

  #contextOf(header: Header): RequestContext {
    return {
      broker: this.#broker,
      nodeId: this.#nodeId,
      version: header.version,
      clientId: header.clientId,
      clientHost: this.#clientHost,
      gone: this.#gone.signal,
    }
  }

  #send(handler: AnyHandler, { version, correlationId }: Header, response: unknown): void {
    if (response === undefined || this.#gone.signal.aborted) return
    const writer = new Writer()
    writer.flexible = version >= handler.flexibleFrom
    // The header of an answer: ApiVersions never has tags in it (KIP-511).
    if (writer.flexible && handler.key !== apiVersionsKey) writer.tags()
    handler.encode(writer, version, response)
    const head = Buffer.alloc(lengthBytes + 4)
    head.writeInt32BE(4 + writer.size, 0)
    head.writeInt32BE(correlationId, lengthBytes)
    this.#isFull = this.#link.write(Buffer.concat([head, ...writer.parts()])) === false
  }

  #fail(error: unknown, header: Header | undefined): void {
    if (this.#gone.signal.aborted) return
    const request = header && {
      api: handlerOf(header.apiKey)?.name ?? header.apiKey,
      version: header.version,
    }
    this.#refuse(ensureError(error).message, request)
  }

  #refuse(why: string, fields: Readonly<Record<string, string | number>> = {}): void {
    this.#broker.log.warn(`a connection is closed: ${why}`, { client: this.#clientHost, ...fields })
    this.end()
  }
}

/** Request header v1; what follows the client id in v2 is read as tags of the body's mode. */
const readHeader = (reader: Reader): Header => {
  const apiKey = reader.int16()
  const version = reader.int16()
  const correlationId = reader.int32()
  return { apiKey, version, correlationId, clientId: reader.nullableString() ?? '' }
}
