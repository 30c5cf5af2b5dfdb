// The cluster as one worker sees it: its brokers, what it knows of topics and coordinators, and its own connections,
// one per broker and role.
//
// A broker serves one request per connection at a time, so a request that waits (JoinGroup, a long-poll Fetch) holds
// up whatever is behind it. Therefore each role has its own connection, and no connection is shared between two
// Clusters: with one pool a JoinGroup of one worker held back the heartbeat of another for 8 s. There is never more
// than one produce connection per broker: two of them reorder batches (OUT_OF_ORDER_SEQUENCE).
//
// Nothing is retried in send(): whoever sends knows whether a request may be repeated (see coordinator.ts).
import type { ConnectionOptions } from 'node:tls'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { isMillstreamError, MillstreamError } from '../errors.ts'
import { type Api, negotiate } from '../protocol/api.ts'
import { brokerError, reactionFor } from '../protocol/error-codes.ts'
import { findCoordinator } from '../protocol/find-coordinator.ts'
import { type MetadataResponse, metadata } from '../protocol/metadata.ts'
import { Backoff } from './backoff.ts'
import { parseBrokers, unreachable } from './broker-address.ts'
import { brokerFailure } from './broker-failure.ts'
import { checkVersions, speaksTransactionsV2, tooOld, versionsOf } from './broker-versions.ts'
import {
  type BrokerAddress,
  BrokerConnection,
  markNeverSent,
  type SaslSettings,
  wasNeverSent,
} from './connection.ts'
import { FramePool } from './frame-pool.ts'
import { type BrokerNode, MetadataView, type PartitionLeader, type TopicInfo } from './metadata-view.ts'

/** What a connection is used for. One connection per broker and role. */
export type ConnectionRole =
  | 'produce'
  | 'fetch'
  | 'restore'
  | 'standby'
  | 'global'
  | 'coordinator'
  | 'group'
  | 'admin'

export type CoordinatorType = 'group' | 'transaction'

export interface ClusterSettings {
  /** Addresses to begin with, `host:port`; the others are learnt from them. */
  readonly brokers: readonly string[]
  /** Shown in the broker's logs and metrics. */
  readonly clientId: string
  readonly tls?: ConnectionOptions | boolean | undefined
  readonly sasl?: SaslSettings | undefined
  /** For a request without a time of its own. */
  readonly requestTimeoutMs: number
  readonly connectionTimeoutMs: number
}

export interface SendOptions {
  /** From the moment the request is written until its answer is there. Default requestTimeoutMs. */
  readonly timeoutMs?: number
  /** Instead of the highest version that both sides speak. */
  readonly version?: number
}

interface QueuedRequest {
  run(connection: BrokerConnection): void
  reject(error: unknown): void
}

/** The connection of one broker and role, and what waits for its opening, in order. */
interface Slot {
  readonly node: number
  readonly role: ConnectionRole
  connection: BrokerConnection | undefined
  opening: boolean
  readonly queue: QueuedRequest[]
}

const COORDINATOR_NOT_AVAILABLE = 15

const interrupted = 'it was interrupted by us'

export class Cluster {
  /** Memory of the answers on connections of the role `fetch`. */
  readonly frames: FramePool = new FramePool()
  readonly #settings: ClusterSettings
  readonly #ports: Ports
  readonly #log: Logger
  readonly #seeds: readonly BrokerAddress[]
  readonly #slots = new Map<string, Slot>()
  readonly #view = new MetadataView()
  readonly #coordinators = new Map<string, number>()
  readonly #closing = new AbortController()
  #transactionVersion: 1 | 2 = 1

  /**
   * Finds the cluster, asks every broker what it speaks and decides the version of transactions.
   * @throws MillstreamError BROKER_UNREACHABLE (every address with its error), AUTHENTICATION_FAILED, BROKER_TOO_OLD,
   * SETTING_INVALID.
   */
  static async connect(settings: ClusterSettings, ports: Ports, log: Logger): Promise<Cluster> {
    const cluster = new Cluster(settings, ports, log)
    try {
      const unreachable = await cluster.#bootstrap()
      if (unreachable !== undefined) throw unreachable
      await cluster.#meetBrokers()
      return cluster
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  private constructor(settings: ClusterSettings, ports: Ports, log: Logger) {
    this.#settings = settings
    this.#ports = ports
    this.#log = log
    this.#seeds = parseBrokers(settings.brokers)
  }

  get clusterId(): string {
    return this.#view.clusterId
  }

  /**
   * 2 when transaction.version 2 is finalized and every broker speaks Produce v12, TxnOffsetCommit v5 and EndTxn v5
   * (KIP-890), else 1. It does not change while this Cluster lives.
   */
  get transactionVersion(): 1 | 2 {
    return this.#transactionVersion
  }

  /** How long send() waits for an answer unless told otherwise. */
  get requestTimeoutMs(): number {
    return this.#settings.requestTimeoutMs
  }

  /**
   * Sends one request on the connection of this broker and role, opening it when there is none, in the highest version
   * that both sides speak. Requests of one broker and role are written in the order of the calls.
   * @throws MillstreamError REQUEST_TIMED_OUT, CONNECTION_LOST (the outcome is unknown, unless `wasNeverSent`),
   * AUTHENTICATION_FAILED, BROKER_TOO_OLD, CLOSED. Error codes inside of a response are the caller's.
   */
  send<Req, Res>(
    node: number,
    role: ConnectionRole,
    api: Api<Req, Res>,
    request: Req,
    options: SendOptions = {},
  ): Promise<Res> {
    if (this.#closing.signal.aborted) return Promise.reject(closed())
    const slot = this.#slot(node, role)
    const { connection } = slot
    if (connection?.isOpen) return this.#sendOn(connection, api, request, options)
    return new Promise((resolve, reject) => {
      slot.queue.push({
        run: (opened) => {
          this.#sendOn(opened, api, request, options).then(resolve, reject)
        },
        reject,
      })
      if (!slot.opening) void this.#open(slot)
    })
  }

  /** The open connection of this broker and role, to see whether it is still the same one later; undefined: none is open. */
  connection(node: number, role: ConnectionRole): object | undefined {
    const connection = this.#slots.get(slotKey(node, role))?.connection
    return connection?.isOpen ? connection : undefined
  }

  /**
   * Sends a request that any broker answers, to the next one where one does not answer; so it may arrive twice.
   * @throws MillstreamError CONNECTION_LOST when none answers (it names each), else as send().
   */
  async sendToAny<Req, Res>(api: Api<Req, Res>, request: Req, options: SendOptions = {}): Promise<Res> {
    const failures: MillstreamError[] = []
    for (const { nodeId } of this.#nodesByPreference()) {
      try {
        return await this.send(nodeId, 'admin', api, request, options)
      } catch (error) {
        if (!isConnectionError(error)) throw error
        failures.push(error)
      }
    }
    throw noneAnswered(api.name, failures)
  }

  /** The leader, or undefined where none is known: call refreshMetadata. */
  partition(topic: string, partition: number): PartitionLeader | undefined {
    return this.#view.partition(topic, partition)
  }

  /** Undefined where the topic is not known (not asked for, or missing). */
  topic(name: string): TopicInfo | undefined {
    return this.#view.topic(name)
  }

  brokers(): readonly BrokerNode[] {
    return this.#view.brokers()
  }

  /**
   * Asks for these topics (none: only for the brokers). A topic that does not exist is forgotten, which topic() shows.
   * @throws MillstreamError CONNECTION_LOST when no broker answers, AUTHORIZATION_FAILED (names the topics; the others are brought up to date)
   */
  async refreshMetadata(topics: readonly string[]): Promise<void> {
    try {
      this.#apply(await this.sendToAny(metadata, { topics }))
    } catch (error) {
      if (!isConnectionError(error)) throw error
      // All brokers may have moved to other addresses: begin again with the ones that were given.
      const unreachable = await this.#bootstrap(topics)
      if (unreachable !== undefined) throw error
    }
    this.#view.throwDenied(topics)
  }

  /**
   * The broker that coordinates a group or a transactional id; remembered until forgetCoordinator. While the internal
   * topic is being created or its partition has no leader, it is asked again for up to requestTimeoutMs.
   * @throws MillstreamError AUTHORIZATION_FAILED, CONNECTION_LOST, BROKER_ERROR
   */
  async coordinator(type: CoordinatorType, key: string): Promise<number> {
    const known = this.#coordinators.get(`${type}/${key}`)
    if (known !== undefined) return known
    const deadline = this.#ports.clock.monotonic() + this.#settings.requestTimeoutMs
    const backoff = new Backoff(this.#ports)
    for (;;) {
      const { coordinators } = await this.sendToAny(findCoordinator, { keyType: type, keys: [key] })
      const found = coordinators[0]
      if (found !== undefined && found.errorCode === 0) {
        this.#view.addBroker(found)
        this.#coordinators.set(`${type}/${key}`, found.nodeId)
        return found.nodeId
      }
      const code = found?.errorCode ?? COORDINATOR_NOT_AVAILABLE
      const reaction = reactionFor(code, 'FindCoordinator')
      const passing =
        reaction === 'find-coordinator' || reaction === 'retry' || reaction === 'refresh-metadata'
      if (!passing) throw brokerFailure('FindCoordinator', code, { [type]: key })
      if (await backoff.wait(deadline, this.#closing.signal)) continue
      throw new MillstreamError('REQUEST_TIMED_OUT', {
        what: `no coordinator was found in ${this.#settings.requestTimeoutMs} ms; at last: ${brokerError(code).name}`,
        where: { [type]: key },
        fix: 'Look at the health of the brokers and of their internal topics.',
      })
    }
  }

  /** Call it when the coordinator answered NOT_COORDINATOR or does not answer. */
  forgetCoordinator(type: CoordinatorType, key: string): void {
    this.#coordinators.delete(`${type}/${key}`)
  }

  /**
   * Breaks the connection of this broker and role, if one is open; the next request opens another. For a long poll
   * whose answer is no longer wanted: the broker would serve nothing else on that connection until it is over. Where it
   * is still being opened, what waits for that is not sent.
   */
  interrupt(node: number, role: ConnectionRole): void {
    const slot = this.#slots.get(slotKey(node, role))
    slot?.connection?.close(interrupted)
    for (const queued of slot?.queue.splice(0) ?? [])
      queued.reject(markNeverSent(new MillstreamError('CONNECTION_LOST', { what: interrupted })))
  }

  /** Ends all connections; what is in flight is rejected. */
  close(): Promise<void> {
    this.#closing.abort()
    for (const { connection } of this.#slots.values()) connection?.close()
    this.#slots.clear()
    return Promise.resolve()
  }

  // Connections

  #slot(node: number, role: ConnectionRole): Slot {
    const key = slotKey(node, role)
    let slot = this.#slots.get(key)
    if (slot === undefined) {
      slot = { node, role, connection: undefined, opening: false, queue: [] }
      this.#slots.set(key, slot)
    }
    return slot
  }

  async #open(slot: Slot): Promise<void> {
    slot.opening = true
    let failure: unknown
    try {
      slot.connection = await this.#connectTo(slot)
    } catch (error) {
      failure = error
    }
    slot.opening = false
    // In one go: a request that is sent from now on finds an open connection and an empty queue.
    const { connection } = slot
    for (const queued of slot.queue.splice(0)) {
      if (failure === undefined) queued.run(connection as BrokerConnection)
      else queued.reject(failure)
    }
  }

  async #connectTo({ node, role }: Pick<Slot, 'node' | 'role'>): Promise<BrokerConnection> {
    const address = this.#view.broker(node)
    if (address === undefined) {
      throw markNeverSent(
        new MillstreamError('CONNECTION_LOST', {
          what: `broker ${node} is not among the brokers that the cluster names`,
        }),
      )
    }
    const connection = await this.#openConnection(address, role === 'fetch' ? this.frames : undefined)
    try {
      checkVersions(connection.apiVersions, connection.address, this.#transactionVersion)
    } catch (error) {
      connection.close()
      throw error
    }
    return connection
  }

  async #openConnection(address: BrokerAddress, frames?: FramePool): Promise<BrokerConnection> {
    const { signal } = this.#closing
    const connection = await BrokerConnection.open(
      address,
      this.#settings,
      this.#ports,
      this.#log,
      signal,
      frames,
    )
    if (!signal.aborted) return connection
    connection.close()
    throw closed()
  }

  /** A broker that came back under another address is not at the end of the old connections. */
  #apply(response: MetadataResponse): void {
    this.#view.apply(response)
    for (const { node, connection } of this.#slots.values()) {
      const known = this.#view.broker(node)
      if (connection === undefined || known === undefined) continue
      const { host, port } = connection.address
      if (known.host !== host || known.port !== port) connection.close('the broker has another address now')
    }
  }

  #sendOn<Req, Res>(
    connection: BrokerConnection,
    api: Api<Req, Res>,
    request: Req,
    options: SendOptions,
  ): Promise<Res> {
    try {
      const version = options.version ?? this.#version(connection, api)
      return connection.request(api, version, request, options.timeoutMs ?? this.#settings.requestTimeoutMs)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #version(connection: BrokerConnection, api: Api<never, unknown>): number {
    const range = versionsOf(connection.apiVersions, api)
    const version = negotiate(api, range, this.#transactionVersion === 2)
    if (version === undefined) throw tooOld(connection.address, connection.apiVersions, [api])
    return version
  }

  /** Brokers with an open connection first, the others in random order. */
  #nodesByPreference(): BrokerNode[] {
    const nodes = this.#view.brokers().map((node) => ({
      node,
      rank:
        (this.#slots.get(slotKey(node.nodeId, 'admin'))?.connection?.isOpen ? 0 : 1) +
        this.#ports.random.next() / 2,
    }))
    return nodes.sort((a, b) => a.rank - b.rank).map(({ node }) => node)
  }

  // The first contact

  /**
   * Asks the given addresses, one after the other, for the cluster.
   * @returns undefined, or the error of each address when none answered.
   */
  async #bootstrap(topics: readonly string[] = []): Promise<MillstreamError | undefined> {
    const failures: MillstreamError[] = []
    for (const address of this.#seeds) {
      let connection: BrokerConnection | undefined
      try {
        connection = await this.#openConnection(address)
        this.#apply(await this.#sendOn(connection, metadata, { topics }, {}))
        return undefined
      } catch (error) {
        if (!isMillstreamError(error) || !triesNext.has(error.code)) throw error
        failures.push(error)
      } finally {
        connection?.close()
      }
    }
    return unreachable(this.#seeds, failures, this.#settings)
  }

  /** Learns from every broker what it speaks; they must agree before version 2 of transactions is used. */
  async #meetBrokers(): Promise<void> {
    const met = await Promise.all(this.#view.brokers().map((node) => this.#meet(node)))
    const answers = met.filter((connection) => connection instanceof BrokerConnection)
    if (answers.length === 0) {
      throw unreachable(this.#view.brokers(), met as MillstreamError[], this.#settings)
    }
    if (answers.every(({ apiVersions }) => speaksTransactionsV2(apiVersions))) this.#transactionVersion = 2
    for (const { apiVersions, address } of answers)
      checkVersions(apiVersions, address, this.#transactionVersion)
  }

  async #meet(node: BrokerNode): Promise<BrokerConnection | MillstreamError> {
    try {
      const connection = await this.#openConnection(node)
      this.#slot(node.nodeId, 'admin').connection = connection
      return connection
    } catch (error) {
      if (!isConnectionError(error)) throw error
      // A broker that just went down is named for a while. It is checked when a connection to it is opened.
      this.#log.warn('a broker of the cluster cannot be reached', {
        broker: node.nodeId,
        cause: error.message,
      })
      return error
    }
  }
}

const slotKey = (node: number, role: ConnectionRole): string => `${node}/${role}`

/** With these another address may do better. Wrong credentials or an old broker are told at once. */
const triesNext: ReadonlySet<string> = new Set(['CONNECTION_LOST', 'REQUEST_TIMED_OUT', 'PROTOCOL_INVALID'])

const isConnectionError = (error: unknown): error is MillstreamError =>
  isMillstreamError(error) && (error.code === 'CONNECTION_LOST' || error.code === 'REQUEST_TIMED_OUT')

const closed = (): MillstreamError =>
  new MillstreamError('CLOSED', { what: 'the connections to the cluster are closed' })

const noneAnswered = (name: string, failures: readonly MillstreamError[]): MillstreamError => {
  const error = new MillstreamError('CONNECTION_LOST', {
    what: `no broker answered ${name}: ${failures.map(({ message }) => message).join('; ')}`,
    cause: failures.at(-1),
  })
  return failures.every(wasNeverSent) ? markNeverSent(error) : error
}
