// The network of a simulation: connections from processes to the nodes of the broker in process. Whatever is sent takes a
// seeded time; hosts can be cut off from nodes for a while, and single requests can meet a fault.
import type { Net } from '../../base/ports.ts'
import { ArmedFaults, type RequestFault } from './request-faults.ts'
import type { SeededRandom } from './seeded-random.ts'
import { type BrokerSession, type LinkWorld, type Request, SimulatedLink } from './simulated-link.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import { SimulatedSocket } from './simulated-socket.ts'
import type { VirtualTime } from './virtual-time.ts'

/** The broker as the network sees it. */
export interface ReachableBroker {
  /** The node at that address, whether it is up or not. */
  nodeAt(host: string, port: number): number | undefined
  isUp(nodeId: number): boolean
  connect(
    nodeId: number,
    clientHost: string,
    link: { write(bytes: Buffer): void; end(): void },
  ): BrokerSession
}

/** Told of what goes over the network. */
export interface NetObserver {
  sent?(link: SimulatedLink, request: Request): void
  arrived?(link: SimulatedLink, request: Request): void
  /** @param lost it does not reach the client */
  answered?(link: SimulatedLink, request: Request, frame: Buffer, lost: boolean): void
}

export type Direction = 'to the broker' | 'to the client' | 'both ways'

export interface NetOptions {
  readonly time: VirtualTime
  readonly random: SeededRandom
  readonly observer: NetObserver
  /** How long a piece is on its way at most, where nothing is wrong. */
  readonly latencyMs: number
  /** How many pieces take up to a hundred times as long. */
  readonly slowRate: number
}

const refused = (host: string, port: number): Error =>
  Object.assign(new Error(`connect ECONNREFUSED ${host}:${port}`), { code: 'ECONNREFUSED' })

export class SimulatedNet {
  readonly faults: ArmedFaults = new ArmedFaults()
  readonly #options: NetOptions
  readonly #links = new Set<SimulatedLink>()
  /** Until when nothing gets through, by `<host>/<node>` and direction. */
  readonly #blockedToBroker = new Map<string, number>()
  readonly #blockedToClient = new Map<string, number>()
  readonly #world: LinkWorld
  #broker: ReachableBroker | undefined

  constructor(options: NetOptions) {
    this.#options = options
    const { time, observer } = options
    this.#world = {
      toBroker: (link, run, heldMs = 0) => {
        const blockedMs = this.#blockedToBroker.get(placeOf(link))
        link.atBrokerMs = this.#arrival(link.atBrokerMs, blockedMs) + heldMs
        time.scheduleAt(link.atBrokerMs, undefined, run)
      },
      toClient: (link, run) => {
        link.atClientMs = this.#arrival(link.atClientMs, this.#blockedToClient.get(placeOf(link)))
        time.scheduleAt(link.atClientMs, link.owner, run)
      },
      later: (delayMs, run) => void time.schedule(delayMs, undefined, run),
      nowMs: () => time.nowMs,
      faultFor: ({ host }, apiKey) => this.faults.take(host, apiKey, time.nowMs),
      sent: (link, request) => observer.sent?.(link, request),
      arrived: (link, request) => observer.arrived?.(link, request),
      answered: (link, request, frame, lost) => observer.answered?.(link, request, frame, lost),
      gone: (link) => void this.#links.delete(link),
    }
  }

  serve(broker: ReachableBroker): void {
    this.#broker = broker
  }

  /** The port of a process. */
  portFor(owner: SimulatedProcess, host: string): Net {
    owner.whenDead(() => {
      for (const link of this.#links) if (link.owner === owner) link.abandon()
    })
    return {
      hostName: () => host,
      connect: (address, reader, onConnect) => {
        const nodeId = this.#broker?.nodeAt(address.host, address.port)
        const link = new SimulatedLink(owner, host, nodeId ?? -1, this.#world)
        const socket = new SimulatedSocket(reader, {
          sent: (bytes) => link.send(bytes),
          closed: () => link.closedByClient(),
        })
        link.attach(socket)
        if (owner.state === 'dead') link.abandon()
        else this.#open(link, socket, address, onConnect)
        return socket.asSocket()
      },
    }
  }

  arm(fault: RequestFault): void {
    this.faults.arm(fault)
  }

  /** Nothing of these requests of a host arrives for a while. */
  silence(host: string, apiKeys: readonly number[], forMs: number): void {
    this.faults.silence({ host, apiKeys, untilMs: this.#options.time.nowMs + forMs })
  }

  /** Nothing gets through between this host and this node for a while; what was sent arrives afterwards. */
  block(host: string, nodeId: number, forMs: number, direction: Direction): void {
    const untilMs = this.#options.time.nowMs + forMs
    if (direction !== 'to the client') this.#blockedToBroker.set(`${host}/${nodeId}`, untilMs)
    if (direction !== 'to the broker') this.#blockedToClient.set(`${host}/${nodeId}`, untilMs)
  }

  /** Breaks every connection of a host, or of a node. */
  cut(isMeant: (link: SimulatedLink) => boolean): number {
    const meant = [...this.#links].filter(isMeant)
    for (const link of meant) link.cut()
    return meant.length
  }

  /** A worker does not know yet whether what it ended is committed. */
  get awaitsEnd(): boolean {
    for (const link of this.#links) if (link.awaitsEnd) return true
    return false
  }

  /** From now on nothing is wrong. */
  heal(): void {
    this.faults.disarm()
    this.#blockedToBroker.clear()
    this.#blockedToClient.clear()
  }

  #open(
    link: SimulatedLink,
    socket: SimulatedSocket,
    { host, port }: { readonly host: string; readonly port: number },
    onConnect: () => void,
  ): void {
    this.#links.add(link)
    const broker = this.#broker
    this.#world.toBroker(link, () => {
      if (broker === undefined || link.nodeId < 0 || !broker.isUp(link.nodeId)) {
        this.#links.delete(link)
        this.#world.toClient(link, () => socket.ended(refused(host, port)))
        return
      }
      const session = broker.connect(link.nodeId, link.host, {
        write: (bytes) => link.answer(bytes),
        end: () => link.closedByBroker(),
      })
      link.opened(session)
      this.#world.toClient(link, () => socket.connected(onConnect))
    })
  }

  #arrival(lastMs: number, blockedUntilMs = 0): number {
    const { time, random, latencyMs, slowRate } = this.#options
    const slow = slowRate > 0 && random.chance(slowRate) ? 100 * random.next() : 1
    const onWayMs = latencyMs * (0.2 + 0.8 * random.next()) * slow
    // What waited for the end of a block arrives in the order in which it was sent.
    return Math.max(time.nowMs + onWayMs, blockedUntilMs, lastMs)
  }
}

const placeOf = ({ host, nodeId }: SimulatedLink): string => `${host}/${nodeId}`
