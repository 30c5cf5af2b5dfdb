// Owns a TCP proxy in front of one broker that knows the frames of the protocol: it sees each request and each answer
// whole, and a test decides of each whether it passes, is dropped, is delayed or is changed. The address of the broker
// in its own answers (Metadata, FindCoordinator) is replaced by the proxy's, so a client that begins here stays here,
// whatever the broker advertises.
//
// Frame: size int32 · request: api key int16, api version int16, correlation id int32, client id string, tags from the
// flexible version on, body · answer: correlation id int32, ...
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** The api keys that tests name. */
export const apiKeys = {
  Produce: 0,
  Fetch: 1,
  Metadata: 3,
  OffsetCommit: 8,
  FindCoordinator: 10,
  ApiVersions: 18,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  WriteTxnMarkers: 27,
  TxnOffsetCommit: 28,
  DescribeConfigs: 32,
} as const

export interface ProxiedRequest {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  /** After the size: header and body. */
  readonly bytes: Buffer
}

/**
 * What becomes of a frame. drop: it is swallowed and the connection stays open, so the client waits until its own
 * timeout. cut: it is swallowed and the connection ends, so the client knows at once. ghostMs (requests): as cut, but it
 * reaches the broker that much later, when the client has gone on. until: it is held until then, as are those behind it.
 */
export type Verdict =
  | 'pass'
  | 'drop'
  | 'cut'
  | { readonly ghostMs: number }
  | { readonly delayMs: number }
  | { readonly until: Promise<void> }
  | { readonly replaceBy: Buffer }

export interface ProxyRules {
  /** Asked before a request goes on to the broker. */
  readonly request?: ((request: ProxiedRequest) => Verdict) | undefined
  /** Asked before the answer to it goes back; `answer` is what follows the size. A dropped request has none. */
  readonly answer?: ((request: ProxiedRequest, answer: Buffer) => Verdict) | undefined
}

/** Cuts a stream of bytes into frames. */
class FrameReader {
  #rest: Buffer = Buffer.alloc(0)

  push(bytes: Buffer): Buffer[] {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    const frames: Buffer[] = []
    for (;;) {
      const size = this.#rest.length < 4 ? Number.POSITIVE_INFINITY : this.#rest.readInt32BE(0)
      if (this.#rest.length < size + 4) return frames
      frames.push(this.#rest.subarray(4, size + 4))
      this.#rest = this.#rest.subarray(size + 4)
    }
  }
}

const framed = (bytes: Buffer): Buffer[] => {
  const size = Buffer.alloc(4)
  size.writeInt32BE(bytes.length, 0)
  return [size, bytes]
}

export class KafkaProxy {
  /** `host:port` for the clients that are to be troubled. */
  readonly address: string
  rules: ProxyRules
  /** In front of the other brokers of the cluster: who is told of those goes through these. */
  peers: readonly KafkaProxy[] = []
  /** Everything that is wrong in the proxy or the rules of a test; checked by `stop`. */
  readonly #faults: unknown[] = []
  readonly #server: net.Server
  readonly #upstream: { readonly host: string; readonly port: number }
  readonly #sockets = new Set<net.Socket>()

  /** @param upstream `host:port`, as the broker advertises it. */
  static async start(upstream: string, rules: ProxyRules = {}): Promise<KafkaProxy> {
    const server = net.createServer({ noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new KafkaProxy(server, upstream, rules)
  }

  private constructor(server: net.Server, upstream: string, rules: ProxyRules) {
    const colon = upstream.lastIndexOf(':')
    this.#upstream = { host: upstream.slice(0, colon), port: Number(upstream.slice(colon + 1)) }
    this.#server = server
    this.rules = rules
    this.address = `127.0.0.1:${(server.address() as net.AddressInfo).port}`
    server.on('connection', (socket) => this.#connect(socket))
  }

  /** Ends all connections; those that come later are taken. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** @throws what a rule threw while the proxy ran. */
  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cutAll()
    await closed
    if (this.#faults.length > 0)
      throw new AggregateError(this.#faults, `the proxy: ${String(this.#faults[0])}`)
  }

  #connect(client: net.Socket): void {
    const broker = net.connect({ ...this.#upstream, noDelay: true })
    const waiting = new Map<number, ProxiedRequest>()
    const end = (): void => {
      client.destroy()
      broker.destroy()
    }
    for (const socket of [client, broker]) {
      this.#sockets.add(socket)
      socket.on('error', end)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        end()
      })
    }
    this.#follow(client, end, async (bytes) => {
      const request = requestOf(bytes)
      const verdict = this.rules.request?.(request) ?? 'pass'
      if (verdict === 'drop') return
      if (verdict === 'cut') return end()
      if (typeof verdict === 'object' && 'ghostMs' in verdict) {
        end()
        return this.#haunt(bytes, verdict.ghostMs)
      }
      waiting.set(request.correlationId, request)
      await forward(broker, bytes, verdict)
    })
    this.#follow(broker, end, async (bytes) => {
      const request = waiting.get(bytes.readInt32BE(0))
      if (request === undefined) throw new Error('an answer belongs to no request')
      waiting.delete(request.correlationId)
      const answer = this.#readdressed(request, bytes)
      const verdict = this.rules.answer?.(request, answer) ?? 'pass'
      if (verdict === 'drop') return
      if (verdict === 'cut') return end()
      await forward(client, answer, verdict)
    })
  }

  /** Sends a request on a connection of its own; nobody waits for the answer. */
  #haunt(bytes: Buffer, delayMs: number): void {
    const ghost = net.connect({ ...this.#upstream, noDelay: true })
    this.#sockets.add(ghost)
    ghost.on('error', () => ghost.destroy())
    ghost.on('close', () => this.#sockets.delete(ghost))
    ghost.on('data', () => ghost.destroy())
    const timer = setTimeout(() => void forward(ghost, bytes, 'pass'), delayMs)
    ghost.on('close', () => clearTimeout(timer))
  }

  /** One frame after the other: a delayed one holds up those behind it, as a slow network does. */
  #follow(from: net.Socket, end: () => void, take: (bytes: Buffer) => Promise<void>): void {
    const reader = new FrameReader()
    let last = Promise.resolve()
    from.on('data', (bytes: Buffer) => {
      for (const frame of reader.push(bytes)) {
        last = last
          .then(() => take(frame))
          .catch((error: unknown) => {
            this.#faults.push(error)
            end()
          })
      }
    })
  }

  /** Host and port of a broker stand next to each other wherever an answer names it: compact string, int32. */
  #readdressed(request: ProxiedRequest, answer: Buffer): Buffer {
    if (request.apiKey !== apiKeys.Metadata && request.apiKey !== apiKeys.FindCoordinator) return answer
    let found = 0
    let readdressed = answer
    for (const proxy of [this, ...this.peers]) {
      const theirs = addressBytes(proxy.#upstream)
      const port = (proxy.#server.address() as net.AddressInfo).port
      const ours = addressBytes({ host: '127.0.0.1', port })
      const parts: Buffer[] = []
      let from = 0
      for (let at = readdressed.indexOf(theirs); at >= 0; at = readdressed.indexOf(theirs, from)) {
        parts.push(readdressed.subarray(from, at), ours)
        from = at + theirs.length
        found++
      }
      readdressed = Buffer.concat([...parts, readdressed.subarray(from)])
    }
    // A client that learns the true address would go past the proxy, and the test would show nothing.
    if (found === 0 && request.apiKey === apiKeys.Metadata) {
      throw new Error(`the broker does not advertise ${this.#upstream.host}:${this.#upstream.port}`)
    }
    return readdressed
  }
}

/** As flexible versions have it (Metadata v9, FindCoordinator v3 and later): length + 1, host, port. */
const addressBytes = ({ host, port }: { readonly host: string; readonly port: number }): Buffer => {
  const bytes = Buffer.alloc(1 + host.length + 4)
  bytes.writeUInt8(host.length + 1, 0)
  bytes.write(host, 1, 'latin1')
  bytes.writeInt32BE(port, 1 + host.length)
  return bytes
}

const forward = async (
  to: net.Socket,
  bytes: Buffer,
  verdict: Exclude<Verdict, string> | 'pass',
): Promise<void> => {
  if (typeof verdict === 'object' && 'delayMs' in verdict) await sleep(verdict.delayMs)
  if (typeof verdict === 'object' && 'until' in verdict) await verdict.until
  if (to.destroyed) return
  const frame = framed(typeof verdict === 'object' && 'replaceBy' in verdict ? verdict.replaceBy : bytes)
  to.cork()
  for (const part of frame) to.write(part)
  to.uncork()
}

const requestOf = (bytes: Buffer): ProxiedRequest => ({
  apiKey: bytes.readInt16BE(0),
  apiVersion: bytes.readInt16BE(2),
  correlationId: bytes.readInt32BE(4),
  bytes,
})

/** The version from which on EndTxn is flexible (KIP-482). */
const endTxnFlexibleFrom = 3

/** The body of an EndTxn request: transactional id string · producer id int64 · epoch int16 · committed bool. */
export const readEndTxn = ({
  apiVersion,
  bytes,
}: ProxiedRequest): { transactionalId: string; producer: string; committed: boolean } => {
  const flexible = apiVersion >= endTxnFlexibleFrom
  let at = 10 + Math.max(0, bytes.readInt16BE(8)) + (flexible ? 1 : 0)
  const length = flexible ? bytes.readUInt8(at) - 1 : bytes.readInt16BE(at)
  at += flexible ? 1 : 2
  const transactionalId = bytes.toString('utf8', at, at + length)
  at += length
  return {
    transactionalId,
    producer: `${bytes.readBigInt64BE(at)}:${bytes.readInt16BE(at + 8)}`,
    committed: bytes.readInt8(at + 10) !== 0,
  }
}

/**
 * An answer to ApiVersions v3 in which the broker speaks an API up to `max` only: correlation id int32 · error int16 ·
 * compact array of { key int16 · min int16 · max int16 · tags } · ...
 */
export const limitVersion = (answer: Buffer, apiKey: number, max: number): Buffer => {
  const limited = Buffer.from(answer)
  const count = limited.readUInt8(6) - 1
  if (count >= 127) throw new Error('the number of APIs needs a second byte')
  for (let index = 0; index < count; index++) {
    const at = 7 + index * 7
    if (limited.readInt16BE(at) === apiKey) limited.writeInt16BE(max, at + 4)
  }
  return limited
}
