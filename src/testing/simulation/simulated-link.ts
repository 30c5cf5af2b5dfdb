// One connection between a simulated process and a node of the broker in process: bytes arrive in order and after a while,
// or not at all.
import type { SimulatedProcess } from './simulated-process.ts'
import type { SimulatedSocket } from './simulated-socket.ts'
import { type RequestFault, refusing } from './request-faults.ts'

/** The broker's end of a connection. */
export interface BrokerSession {
  received(bytes: Buffer): void
  closed(): void
}

/** A request on its way, or in work. */
export interface Request {
  readonly apiKey: number
  readonly version: number
  readonly correlationId: number
  readonly frame: Buffer
  readonly fault: RequestFault | undefined
}

/** What a link asks of the network that it belongs to. */
export interface LinkWorld {
  /** Runs at the broker when the bytes have arrived. */
  toBroker(link: SimulatedLink, run: () => void, heldMs?: number): void
  /** Runs at the client. */
  toClient(link: SimulatedLink, run: () => void): void
  later(delayMs: number, run: () => void): void
  nowMs(): number
  faultFor(link: SimulatedLink, apiKey: number): RequestFault | undefined
  sent(link: SimulatedLink, request: Request): void
  /** The request is handed to the broker. */
  arrived(link: SimulatedLink, request: Request): void
  answered(link: SimulatedLink, request: Request, frame: Buffer, lost: boolean): void
  gone(link: SimulatedLink): void
}

const endTxnKey = 26
const promptMs = 200

export class SimulatedLink {
  readonly owner: SimulatedProcess
  readonly host: string
  readonly nodeId: number
  readonly #world: LinkWorld
  readonly #waiting: Request[] = []
  /** The last arrivals so far: nothing overtakes. */
  atBrokerMs = 0
  atClientMs = 0
  #socket: SimulatedSocket | undefined
  #session: BrokerSession | undefined
  /** Nothing reaches the client any more. */
  #deaf = false
  /** Nothing of the client reaches the broker any more. */
  #mute = false
  #isGone = false
  /** The EndTxn whose answers the client does not have: correlation ids, and when they were asked. */
  readonly #ends = new Map<number, number>()

  constructor(owner: SimulatedProcess, host: string, nodeId: number, world: LinkWorld) {
    this.owner = owner
    this.host = host
    this.nodeId = nodeId
    this.#world = world
  }

  attach(socket: SimulatedSocket): void {
    this.#socket = socket
  }

  /**
   * The process is dead. A connection that was being opened fails: the client library keeps a real timer until then, and
   * what that sets off must not reach into another simulation.
   */
  abandon(): void {
    this.closedByClient()
    this.#socket?.abandon()
  }

  opened(session: BrokerSession): void {
    this.#session = session
  }

  /** The client wrote a request: a whole frame, as it is written under cork. */
  send(frame: Buffer): void {
    // The code of a dead process may still write.
    if (this.#isGone || this.#mute || this.owner.state === 'dead') return
    // Stopped in the middle of its work: what it does until its next wait counts as done when it goes on.
    if (this.owner.state === 'paused') return this.owner.later(() => this.send(frame))
    const apiKey = frame.readInt16BE(4)
    const fault = this.#world.faultFor(this, apiKey)
    const request = {
      apiKey,
      version: frame.readInt16BE(6),
      correlationId: frame.readInt32BE(8),
      frame,
      fault,
    }
    this.#world.sent(this, request)
    if (apiKey === endTxnKey) this.#ends.set(request.correlationId, this.#world.nowMs())
    switch (fault?.effect) {
      case 'request lost':
        return this.cut()
      case 'swallowed':
        this.#mute = true
        this.#deaf = true
        return
      case 'ghost':
        return this.#haunt(request, fault.holdMs)
      default:
    }
    const heldMs = fault?.effect === 'delayed' ? fault.holdMs : 0
    this.#world.toBroker(this, () => this.#deliver(request), heldMs)
  }

  /** The broker wrote an answer: a whole frame, too. */
  answer(frame: Buffer): void {
    const correlationId = frame.readInt32BE(4)
    const at = this.#waiting.findIndex((one) => one.correlationId === correlationId)
    const request = this.#waiting[at]
    if (request === undefined) return
    this.#waiting.splice(at, 1)
    const effect = request.fault?.effect
    if (effect === 'unanswered') this.#deaf = true
    const lost = this.#deaf || this.#isGone || effect === 'answer lost'
    this.#world.answered(this, request, frame, lost)
    if (effect === 'answer lost') return this.cut()
    if (lost) return
    const told = effect === 'refused' ? refusing(request.apiKey, request.version, frame) : frame
    this.#world.toClient(this, () => {
      this.#ends.delete(correlationId)
      this.#socket?.receive(told)
    })
  }

  /** The client has waited for the answer to an EndTxn for longer than one that is well takes. */
  get awaitsEnd(): boolean {
    if (this.#isGone) return false
    for (const askedMs of this.#ends.values()) if (this.#world.nowMs() - askedMs > promptMs) return true
    return false
  }

  /** The client is done with it: what it wrote before still arrives. */
  closedByClient(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#world.toBroker(this, () => this.#session?.closed())
    this.#world.gone(this)
  }

  /** The broker is done with it. */
  closedByBroker(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#world.toClient(this, () => this.#socket?.ended())
    this.#world.gone(this)
  }

  /** It breaks; both sides notice. */
  cut(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#session?.closed()
    this.#world.toClient(this, () => this.#socket?.ended())
    this.#world.gone(this)
  }

  #deliver(request: Request): void {
    if (this.#session === undefined) return
    this.#waiting.push(request)
    this.#world.arrived(this, request)
    this.#session.received(request.frame)
  }

  /** The client sees a broken connection; its request is still on its way. */
  #haunt(request: Request, holdMs: number): void {
    this.#isGone = true
    this.#deaf = true
    this.#world.toClient(this, () => this.#socket?.ended())
    this.#world.gone(this)
    this.#world.later(holdMs, () => {
      this.#deliver(request)
      this.#world.later(holdMs, () => this.#session?.closed())
    })
  }
}
