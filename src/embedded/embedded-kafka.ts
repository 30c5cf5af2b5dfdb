// An embedded Kafka: a broker, or a cluster of several, inside this process. It speaks the Kafka protocol, over TCP to
// any client and over links in memory to a simulation. It is for development and for tests: one thread holds all records
// in memory, nothing is replicated, and nothing is safe from a crash of the machine.
//
// All nodes share one state; what moves between them is who leads and who coordinates (nodes.ts).
import { silentLogger, type Logger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import type { AcceptedSocket, AcceptedSocketUser, Listener, Ports, TimerHandle } from '../base/ports.ts'
import { invariant } from '../base/assert.ts'
import { ensureError, MillstreamError } from '../errors.ts'
import { Broker } from './broker.ts'
import type { BrokerSettings } from './broker-state.ts'
import { brokerDirectory, type BrokerDirectory } from './broker-directory.ts'
import { brokerDefaults } from './broker-settings.ts'
import { MemoryJournal } from './journal.ts'
import type { CoordinatorKind } from './nodes.ts'
import { patientTimers } from './patient-timers.ts'
import { Session, type SessionLink } from './session.ts'

export interface EmbeddedKafkaOptions {
  /** Default: those of Node. */
  readonly ports?: Ports | undefined
  readonly log?: Logger | undefined
  /** Number of nodes; default 1. Their ids begin with 1. */
  readonly nodes?: number | undefined
  /** Where it listens, and what it says its address is; default 127.0.0.1. */
  readonly host?: string | undefined
  /** TCP port of the first node, the others have the next ones; 0, the default, takes free ones. */
  readonly port?: number | undefined
  /** Where topics, records and what coordinators know are kept over a restart. Without it they end with `close`. */
  readonly directory?: string | undefined
  readonly settings?: Partial<BrokerSettings> | undefined
}

interface Node {
  readonly nodeId: number
  readonly sessions: Set<Session>
  port: number
  listener: Listener | undefined
}

const defaultHost = '127.0.0.1'
/** In memory nobody listens; addresses are told all the same, since clients know nodes by them. */
const nominalPort = 9092

export class EmbeddedKafka {
  readonly #broker: Broker
  readonly #ports: Ports
  readonly #isOnTcp: boolean
  readonly #directory: BrokerDirectory | undefined
  readonly #host: string
  readonly #nodes: Node[] = []
  #cleaning: TimerHandle | undefined
  #isClosed = false

  private constructor(options: EmbeddedKafkaOptions, isOnTcp: boolean) {
    const ports = options.ports ?? nodePorts
    // In memory time is not the machine's, and never late.
    this.#ports = isOnTcp ? { ...ports, timers: patientTimers(ports.timers, ports.clock) } : ports
    this.#isOnTcp = isOnTcp
    this.#host = options.host ?? defaultHost
    this.#directory =
      options.directory === undefined ? undefined : brokerDirectory(this.#ports.disk, options.directory)
    try {
      this.#broker = new Broker({
        ports: this.#ports,
        log: options.log ?? silentLogger,
        settings: { ...brokerDefaults, ...options.settings },
        journal: this.#directory?.journal ?? new MemoryJournal(),
        directory: this.#directory,
      })
    } catch (error) {
      this.#directory?.close()
      throw error
    }
    for (let nodeId = 1; nodeId <= (options.nodes ?? 1); nodeId++)
      this.#nodes.push({ nodeId, sessions: new Set(), port: 0, listener: undefined })
    this.#clean()
  }

  /** Without TCP. @throws MillstreamError STORE_LOCKED, STORE_CORRUPT */
  static inMemory(options: Omit<EmbeddedKafkaOptions, 'port'> = {}): EmbeddedKafka {
    const kafka = new EmbeddedKafka(options, false)
    for (const [at, node] of kafka.#nodes.entries()) kafka.#address(node, nominalPort + at)
    return kafka
  }

  /**
   * Begins, and listens on TCP.
   * @throws MillstreamError STORE_LOCKED (the directory is in use), STORE_CORRUPT, KAFKA_START_FAILED (the port is taken)
   */
  static async start(options: EmbeddedKafkaOptions = {}): Promise<EmbeddedKafka> {
    const { port = 0 } = options
    const kafka = new EmbeddedKafka(options, true)
    try {
      for (const [at, node] of kafka.#nodes.entries())
        kafka.#address(node, await kafka.#listen(node, port === 0 ? 0 : port + at))
    } catch (error) {
      await kafka.close()
      throw error
    }
    return kafka
  }

  /** Addresses host:port of all nodes. */
  get brokers(): readonly string[] {
    return this.#nodes.map(({ port }) => `${this.#host}:${port}`)
  }

  /** What the nodes know: for checks that look past the protocol. */
  get state(): Broker {
    return this.#broker
  }

  /**
   * A connection to a node. Give the session the client's bytes with `received` and tell it with `closed` when the
   * client is gone. Where the node is down the link is ended at once.
   */
  connect(nodeId: number, clientHost: string, link: SessionLink): Session {
    const { sessions } = this.#node(nodeId)
    const session: Session = new Session(this.#broker, nodeId, clientHost, link, () =>
      sessions.delete(session),
    )
    sessions.add(session)
    if (this.#isClosed || !this.#broker.nodes.isUp(nodeId)) session.end()
    return session
  }

  /** The old leader answers NOT_LEADER_OR_FOLLOWER from now on. */
  moveLeader(topic: string, partition: number, nodeId: number): void {
    this.#broker.nodes.moveLeader(topic, partition, this.#node(nodeId).nodeId)
  }

  /**
   * Moves the coordinator of a group or a transactional id, and of all that share its partition.
   * @param loadMs how long the new one answers COORDINATOR_LOAD_IN_PROGRESS
   */
  moveCoordinator(kind: CoordinatorKind, key: string, nodeId: number, loadMs = 0): void {
    this.#broker.nodes.moveCoordinator(kind, key, this.#node(nodeId).nodeId, loadMs)
  }

  /** Ends its connections, and gives what it leads and coordinates to the others. */
  async stopNode(nodeId: number): Promise<void> {
    const node = this.#node(nodeId)
    this.#broker.leave(nodeId)
    for (const session of [...node.sessions]) session.end()
    const { listener } = node
    node.listener = undefined
    await listener?.close()
  }

  /** Up again, at the address that it had. What it led stays where it is. */
  async startNode(nodeId: number): Promise<void> {
    const node = this.#node(nodeId)
    if (this.#isOnTcp && node.listener === undefined) await this.#listen(node, node.port)
    this.#broker.nodes.setUp(nodeId, true)
  }

  /** Ends everything; the directory may be used again afterwards. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#cleaning !== undefined) this.#ports.timers.clear(this.#cleaning)
    for (const { sessions } of this.#nodes) for (const session of [...sessions]) session.end()
    this.#broker.close()
    this.#directory?.close()
    for (const { listener } of this.#nodes) await listener?.close()
  }

  #node(nodeId: number): Node {
    const node = this.#nodes[nodeId - 1]
    invariant(node !== undefined, 'a node of the embedded broker exists', { nodeId })
    return node
  }

  #address(node: Node, port: number): void {
    node.port = port
    this.#broker.nodes.add({ nodeId: node.nodeId, host: this.#host, port })
  }

  async #listen(node: Node, port: number): Promise<number> {
    const { net } = this.#ports
    invariant(net.listen !== undefined, 'the network can listen')
    const host = this.#host
    try {
      node.listener = await net.listen({ host, port }, (socket) => this.#accept(node.nodeId, socket))
      return node.listener.port
    } catch (cause) {
      const isTaken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
      throw new MillstreamError('KAFKA_START_FAILED', {
        what: isTaken
          ? 'the embedded broker cannot listen: another program has the port'
          : `the embedded broker cannot listen: ${ensureError(cause).message}`,
        where: { address: `${host}:${port}` },
        fix: isTaken
          ? 'Use the broker that runs there (its address goes into KAFKA_BROKERS), end it, or choose another port (--port).'
          : 'Choose another port (--port).',
        cause,
      })
    }
  }

  #accept(nodeId: number, socket: AcceptedSocket): AcceptedSocketUser {
    const session = this.connect(nodeId, socket.remoteHost, socket)
    return {
      received: (bytes) => session.received(bytes),
      drained: () => session.drained(),
      closed: () => session.closed(),
    }
  }

  #clean(): void {
    this.#cleaning = this.#ports.timers.set(() => {
      this.#broker.clean()
      this.#clean()
    }, this.#broker.settings.cleanIntervalMs)
  }
}
