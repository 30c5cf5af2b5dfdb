// The parts of kafkajs 2.2.4 that connection.ts builds on. They are internals without published types, which is one
// reason for the exact pin of its version.

declare module 'kafkajs/src/network/connection.js' {
  import type { Socket } from 'node:net'
  import type { ConnectionOptions } from 'node:tls'
  import type RequestQueue from 'kafkajs/src/network/requestQueue/index.js'

  export interface KafkaJsLogger {
    namespace(name: string): KafkaJsLogger
    debug(text: string, extra?: Record<string, unknown>): void
    info(text: string, extra?: Record<string, unknown>): void
    warn(text: string, extra?: Record<string, unknown>): void
    error(text: string, extra?: Record<string, unknown>): void
  }

  export interface SocketFactoryArguments {
    host: string
    port: number
    ssl: ConnectionOptions | null
    onConnect: () => void
  }

  export interface ConnectionArguments {
    host: string
    port: number
    logger: KafkaJsLogger
    socketFactory: (options: SocketFactoryArguments) => Socket
    clientId: string
    /** Upper case mechanism; kafkajs adds its authentication provider to the object. */
    sasl: { mechanism: string; username: string; password: string } | null
    ssl: ConnectionOptions | null
    connectionTimeout: number
    requestTimeout: number
    enforceRequestTimeout: boolean
  }

  export default class Connection {
    constructor(options: ConnectionArguments)
    requestQueue: RequestQueue
    /** What was received and not processed yet. */
    chunks: Buffer[]
    /** Takes bytes of the socket, and fulfills the request that they answer. */
    processData(bytes: Buffer): void
    readonly socket: Socket | undefined
    connect(): Promise<true>
    /** Waits for all requests in flight: reject them first. */
    disconnect(): Promise<true>
    authenticate(): Promise<void>
    /** False before the first authentication and shortly before the session ends (KIP-368). */
    isAuthenticated(): boolean
    setVersions(versions: Record<number, { minVersion: number; maxVersion: number }>): void
    setSupportAuthenticationProtocol(supported: boolean): void
    nextCorrelationId(): number
    rejectRequests(error: Error): void
  }
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  import type { KafkaJsLogger } from 'kafkajs/src/network/connection.js'

  export interface RequestEntry {
    apiKey: number
    apiName: string
    apiVersion: number
    correlationId: number
    resolve(answer: { payload: Buffer; size: number }): void
    reject(error: Error): void
  }

  export default class RequestQueue {
    constructor(options: {
      maxInFlightRequests: number | null
      requestTimeout: number
      enforceRequestTimeout: boolean
      clientId: string
      broker: string
      logger: KafkaJsLogger
    })
    readonly pending: readonly unknown[]
    push(request: {
      entry: RequestEntry
      expectResponse: boolean
      requestTimeout: number | null
      sendRequest(): void
    }): void
    scheduleCheckPendingRequests(): void
  }
}
