// One connection to one broker: kafkajs's socket handling, framing, TLS and SASL, with our own requests over it. This
// is the only file that knows kafkajs (2.2.4, pinned exactly: what it builds on are internals).
//
//   opening --ApiVersions answered, authenticated--> open --end, error, timeout or close()--> broken (for good)
//
// What is done differently from kafkajs, and why:
// - Requests are written as a list of Buffers (one writev) and not copied twice into growing encoders.
// - A request that is not answered in time breaks the connection. The broker serves one request per connection at a
//   time, so whatever follows would wait behind it; and its late answer can then never meet a later request.
// - A broken connection is never connected again: kafkajs keeps the half frame that it had received.
// - Its request queue arms a timer after every response with (throttledUntil - now), which is negative, and Node
//   warns of that. Throttling is left to the broker, which mutes the connection by itself (KIP-219).
import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import KafkaJsConnection, { type KafkaJsLogger } from 'kafkajs/src/network/connection.js'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import type { Logger } from '../base/log.ts'
import type { Ports, SocketReader } from '../base/ports.ts'
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import { type Api, requestHeaderHasTags, responseHeaderHasTags } from '../protocol/api.ts'
import { type ApiVersionsResponse, apiVersions } from '../protocol/api-versions.ts'
import { Reader, Writer } from '../protocol/wire.ts'
import type { FramePool } from './frame-pool.ts'
import { FrameReader } from './frame-reader.ts'

export interface SaslSettings {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

export interface ConnectionSettings {
  readonly clientId: string
  readonly tls?: ConnectionOptions | boolean | undefined
  readonly sasl?: SaslSettings | undefined
  /** For everything until the first request can be sent: connect, TLS, ApiVersions, SASL. */
  readonly connectionTimeoutMs: number
}

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

const SASL_AUTHENTICATE_KEY = 36
/** Answered by every broker since 2.4, and it carries the finalized features; v4 adds nothing that we look at. */
const API_VERSIONS_VERSION = 3
/** The first answer is the list of APIs, a few KB. */
const FIRST_RESPONSE_BYTES_MAX = 1_048_576

const neverSentErrors = new WeakSet<MillstreamError>()

/** Whether the request certainly did not reach the broker: the connection could not be opened, or was broken already. */
export const wasNeverSent = (error: unknown): boolean =>
  isMillstreamError(error) && neverSentErrors.has(error)

/** Marks an error of `wasNeverSent`. */
export const markNeverSent = (error: MillstreamError): MillstreamError => {
  neverSentErrors.add(error)
  return error
}

class UnhurriedRequestQueue extends RequestQueue {
  override scheduleCheckPendingRequests(): void {
    // Nothing waits, so there is nothing to look after; with something waiting the delay is positive.
    if (this.pending.length > 0) super.scheduleCheckPendingRequests()
  }
}

/** Every error of kafkajs also rejects a promise, which is mapped and reported with its place: lines are details. */
const kafkajsLogger = (log: Logger): KafkaJsLogger => {
  const nothing = (): void => {}
  const detail = (text: string, extra: Record<string, unknown> = {}): void =>
    log.debug(`kafkajs: ${text}`, { broker: extra['broker'] })
  const logger: KafkaJsLogger = {
    namespace: () => logger,
    debug: nothing,
    info: nothing,
    warn: detail,
    error: detail,
  }
  return logger
}

const isAuthenticationError = (error: unknown): boolean => {
  const { name, type } = error as { name?: string; type?: string }
  return name === 'KafkaJSSASLAuthenticationError' || (type?.includes('SASL') ?? false)
}

export class BrokerConnection {
  readonly address: BrokerAddress
  readonly #settings: ConnectionSettings
  readonly #ports: Ports
  readonly #kafka: KafkaJsConnection
  readonly #frames: FrameReader
  readonly #reader: SocketReader = {
    target: () => this.#frames.target(),
    received: (bytes) => this.#received(bytes),
  }
  readonly #broken = Promise.withResolvers<never>()
  readonly #clientId: Buffer
  #socket: Socket | undefined
  #state: 'opening' | 'open' | 'broken' = 'opening'
  #answeredBytes = 0
  #cause: Error | undefined
  #apiVersions: ApiVersionsResponse | undefined
  #waitingForAuthentication = 0

  /**
   * Connects, asks for ApiVersions and authenticates.
   * @throws MillstreamError CONNECTION_LOST (nothing was sent), AUTHENTICATION_FAILED, BROKER_TOO_OLD,
   * PROTOCOL_INVALID when something else than a Kafka broker answers.
   * @param signal gives up the opening.
   * @param frames where the memory of the answers comes from; absent: each has its own.
   */
  static async open(
    address: BrokerAddress,
    settings: ConnectionSettings,
    ports: Ports,
    log: Logger,
    signal?: AbortSignal,
    frames?: FramePool,
  ): Promise<BrokerConnection> {
    const connection = new BrokerConnection(address, settings, ports, log, frames)
    const abort = (): void => connection.close()
    signal?.addEventListener('abort', abort, { once: true })
    const timer = ports.timers.set(() => {
      const how = connection.#answeredBytes > 0 ? 'did not answer like a Kafka broker' : 'did not answer'
      connection.#break(new Error(`${how} within ${settings.connectionTimeoutMs} ms (connectionTimeoutMs)`))
    }, settings.connectionTimeoutMs)
    try {
      // The socket may end without an error while TLS is being set up, which kafkajs does not report.
      await Promise.race([connection.#establish(), connection.#broken.promise])
      return connection
    } catch (error) {
      // The first cause says more than what follows from it.
      const cause = connection.#cause ?? ensureError(error)
      connection.#break(cause)
      throw connection.#openingError(cause)
    } finally {
      ports.timers.clear(timer)
      signal?.removeEventListener('abort', abort)
    }
  }

  private constructor(
    address: BrokerAddress,
    settings: ConnectionSettings,
    ports: Ports,
    log: Logger,
    frames: FramePool | undefined,
  ) {
    this.address = address
    this.#frames = new FrameReader((frame) => this.#deliver(frame), frames && ((bytes) => frames.take(bytes)))
    this.#settings = settings
    this.#ports = ports
    this.#clientId = Buffer.from(settings.clientId)
    this.#broken.promise.catch(() => {})
    const logger = kafkajsLogger(log)
    const { sasl } = settings
    this.#kafka = new KafkaJsConnection({
      host: address.host,
      port: address.port,
      logger,
      clientId: settings.clientId,
      sasl: sasl ? { ...sasl, mechanism: sasl.mechanism.toUpperCase() } : null,
      ssl: settings.tls === true ? {} : settings.tls || null,
      socketFactory: ({ host, port, ssl, onConnect }) => {
        // Our listeners come first, so that the state is right when kafkajs rejects what is in flight.
        const socket = ports.net.connect({ host, port, tls: ssl ?? undefined }, this.#reader, onConnect)
        this.#watch(socket)
        return socket
      },
      // Ours strikes first; kafkajs's timer ends with the socket.
      connectionTimeout: settings.connectionTimeoutMs * 2,
      requestTimeout: settings.connectionTimeoutMs,
      enforceRequestTimeout: false,
    })
    this.#kafka.requestQueue = new UnhurriedRequestQueue({
      maxInFlightRequests: null,
      requestTimeout: settings.connectionTimeoutMs,
      enforceRequestTimeout: false,
      clientId: settings.clientId,
      broker: `${address.host}:${address.port}`,
      logger,
    })
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** What the broker said when the connection was opened. */
  get apiVersions(): ApiVersionsResponse {
    return this.#apiVersions as ApiVersionsResponse
  }

  /** Rejects with the first cause when the connection ends. */
  get broken(): Promise<never> {
    return this.#broken.promise
  }

  /**
   * Sends one request and decodes its answer. Requests are written in the order of the calls.
   *
   * Byte strings of the request are not copied: they must not change before the promise settles.
   * @throws MillstreamError REQUEST_TIMED_OUT, CONNECTION_LOST (outcome unknown unless `wasNeverSent`), PROTOCOL_INVALID
   */
  request<Req, Res>(api: Api<Req, Res>, version: number, request: Req, timeoutMs: number): Promise<Res> {
    if (this.#settings.sasl !== undefined && this.#state === 'open') {
      // Whoever comes while others wait for the renewal queues up behind them, so that the order is kept.
      if (this.#waitingForAuthentication > 0 || !this.#kafka.isAuthenticated()) {
        return this.#authenticateAndSend(api, version, request, timeoutMs)
      }
    }
    return this.#send(api, version, request, timeoutMs)
  }

  /** Ends the connection; what is in flight is rejected with CONNECTION_LOST. Does nothing when it is broken. */
  close(why = 'it was closed by us'): void {
    this.#break(new Error(why))
  }

  async #establish(): Promise<void> {
    await this.#kafka.connect()
    const software = { clientSoftwareName: 'millstream', clientSoftwareVersion: '0.1.0' }
    const answer = await this.#send(
      apiVersions,
      API_VERSIONS_VERSION,
      software,
      this.#settings.connectionTimeoutMs,
    )
    if (answer.errorCode !== 0) {
      throw new MillstreamError('BROKER_TOO_OLD', {
        what: `the broker does not take ApiVersions v${API_VERSIONS_VERSION}`,
        where: { broker: this.#name },
        fix: 'Update it: Kafka 3.9 is the oldest version that is tested.',
      })
    }
    this.#apiVersions = answer
    const versions: Record<number, { minVersion: number; maxVersion: number }> = {}
    for (const { key, min, max } of answer.apis) versions[key] = { minVersion: min, maxVersion: max }
    this.#kafka.setVersions(versions)
    this.#kafka.setSupportAuthenticationProtocol(versions[SASL_AUTHENTICATE_KEY] !== undefined)
    if (this.#settings.sasl !== undefined) await this.#kafka.authenticate()
    if (this.#state === 'opening') this.#state = 'open'
  }

  #watch(socket: Socket): void {
    this.#socket = socket
    socket.on('error', (error) => this.#break(error))
    socket.on('end', () => this.#break(new Error('the broker closed the connection')))
    socket.on('close', () => this.#break(new Error('the connection was closed')))
  }

  #received(bytes: number): void {
    if (this.#state === 'broken') return
    try {
      if (this.#answeredBytes === 0) this.#checkFirstBytes(this.#frames.target().subarray(0, bytes))
      this.#answeredBytes += bytes
      this.#frames.received(bytes)
    } catch (error) {
      this.#break(ensureError(error))
    }
  }

  #deliver(frame: Buffer): void {
    // What an earlier frame left over is empty, and with it in its list kafkajs would copy the whole frame once more.
    this.#kafka.chunks = []
    this.#kafka.processData(frame)
  }

  /** A web server's "HTTP" or a TLS alert read as a length is so large that it would be waited for for ever. */
  #checkFirstBytes(bytes: Buffer): void {
    if (bytes.length < 4) return
    const size = bytes.readInt32BE(0)
    if (size >= 4 && size <= FIRST_RESPONSE_BYTES_MAX) return
    const sample = JSON.stringify(bytes.subarray(0, 16).toString('latin1'))
    throw new MillstreamError('PROTOCOL_INVALID', {
      what: `what answers there is no Kafka broker: its first bytes are ${sample}`,
      where: { broker: this.#name },
      fix:
        bytes[0] === 0x15
          ? 'This is a TLS alert: the listener wants TLS (setting tls).'
          : 'Check host and port, and whether the listener wants TLS (setting tls).',
    })
  }

  #break(cause: Error): void {
    if (this.#state === 'broken') return
    const wasOpening = this.#state === 'opening'
    this.#state = 'broken'
    this.#cause = cause
    // Before the socket says anything: what is in flight shall name the first cause.
    this.#kafka.rejectRequests(cause)
    this.#broken.reject(cause)
    // With an error only while opening: kafkajs ends its own timer on 'error' alone.
    this.#socket?.destroy(wasOpening ? cause : undefined)
    this.#kafka.disconnect().catch(() => {})
  }

  async #authenticateAndSend<Req, Res>(
    api: Api<Req, Res>,
    version: number,
    request: Req,
    timeoutMs: number,
  ): Promise<Res> {
    this.#waitingForAuthentication++
    try {
      await Promise.race([this.#kafka.authenticate(), this.#broken.promise])
    } catch (error) {
      // Whether the login itself is refused shows when the next connection is opened. (A renewal within a second of the
      // last login is refused, too, which happens where sessions are shorter than 11 s.)
      const cause = ensureError(error)
      this.#break(cause)
      throw this.#lost(api, cause, true)
    } finally {
      this.#waitingForAuthentication--
    }
    return this.#send(api, version, request, timeoutMs)
  }

  #send<Req, Res>(api: Api<Req, Res>, version: number, request: Req, timeoutMs: number): Promise<Res> {
    if (this.#state === 'broken') return Promise.reject(this.#lost(api, this.#cause as Error, true))
    // Encoded before a correlation id is taken: a mistake in the request must not leave a hole.
    const writer = new Writer()
    api.encode(writer, version, request)
    const correlationId = this.#kafka.nextCorrelationId()
    const frame = [this.#header(api, version, correlationId, writer.size), ...writer.parts()]
    return new Promise((resolve, reject) => {
      const timer = this.#ports.timers.set(() => {
        const error = this.#timedOut(api, timeoutMs)
        reject(error)
        this.#break(error)
      }, timeoutMs)
      this.#kafka.requestQueue.push({
        entry: {
          apiKey: api.key,
          apiName: api.name,
          apiVersion: version,
          correlationId,
          resolve: ({ payload }) => {
            this.#ports.timers.clear(timer)
            try {
              resolve(this.#decode(api, version, payload))
            } catch (error) {
              reject(ensureError(error))
            }
          },
          reject: (error) => {
            this.#ports.timers.clear(timer)
            reject(this.#lost(api, error, false))
          },
        },
        expectResponse: true,
        requestTimeout: null,
        sendRequest: () => this.#write(frame),
      })
    })
  }

  #write(frame: readonly Buffer[]): void {
    const socket = this.#socket as Socket
    socket.cork()
    for (const part of frame) socket.write(part)
    socket.uncork()
  }

  /** Length, request header v1 or v2. The client id keeps its old form in v2 (KIP-482). */
  #header(api: Api<never, unknown>, version: number, correlationId: number, bodyBytes: number): Buffer {
    const withTags = requestHeaderHasTags(api, version)
    const bytes = 14 + this.#clientId.length + (withTags ? 1 : 0)
    const header = Buffer.allocUnsafe(bytes)
    header.writeInt32BE(bytes - 4 + bodyBytes, 0)
    header.writeInt16BE(api.key, 4)
    header.writeInt16BE(version, 6)
    header.writeInt32BE(correlationId, 8)
    header.writeInt16BE(this.#clientId.length, 12)
    this.#clientId.copy(header, 14)
    if (withTags) header[bytes - 1] = 0
    return header
  }

  #decode<Res>(api: Api<never, Res>, version: number, payload: Buffer): Res {
    const reader = new Reader(payload)
    if (responseHeaderHasTags(api, version)) {
      reader.begin(`the header of the answer to ${api.name} v${version}`, true)
      reader.tags()
    }
    return api.decode(reader, version)
  }

  get #name(): string {
    return `${this.address.host}:${this.address.port}`
  }

  #openingError(cause: Error): MillstreamError {
    if (isMillstreamError(cause) && cause.code !== 'CONNECTION_LOST' && cause.code !== 'REQUEST_TIMED_OUT')
      return cause
    if (isAuthenticationError(cause)) {
      const { sasl } = this.#settings
      return new MillstreamError('AUTHENTICATION_FAILED', {
        what: `the broker refused the login of "${sasl?.username}": ${cause.message}`,
        where: { broker: this.#name, mechanism: sasl?.mechanism },
        fix: 'Check sasl mechanism, user name and password, and that the listener offers this mechanism.',
        cause,
      })
    }
    return markNeverSent(
      new MillstreamError('CONNECTION_LOST', {
        what: `no connection could be opened: ${cause.message || (cause as NodeJS.ErrnoException).code}`,
        where: { broker: this.#name },
        fix: 'Check that the broker runs, that its address can be reached from here, and tls and sasl.',
        cause,
      }),
    )
  }

  #lost(api: Api<never, unknown>, cause: Error, neverSent: boolean): MillstreamError {
    const error = new MillstreamError('CONNECTION_LOST', {
      what: neverSent
        ? `${api.name} was not sent, since the connection is broken: ${cause.message}`
        : `the connection broke before the answer to ${api.name} came: ${cause.message}`,
      where: { broker: this.#name },
      cause,
    })
    return neverSent ? markNeverSent(error) : error
  }

  #timedOut(api: Api<never, unknown>, timeoutMs: number): MillstreamError {
    return new MillstreamError('REQUEST_TIMED_OUT', {
      what: `${api.name} was not answered within ${timeoutMs} ms`,
      where: { broker: this.#name },
      fix: 'Its outcome is unknown. Where this happens often, look at the load of the broker, or raise requestTimeoutMs.',
    })
  }
}
