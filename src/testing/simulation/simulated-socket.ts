// The client's end of a connection in a simulation: as much of a socket as a connection of ours uses, without streams.
import type { Socket } from 'node:net'
import type { SocketReader } from '../../base/ports.ts'

type Listener = (cause?: Error) => void

/** What the socket tells the link. */
export interface SocketSide {
  /** Everything that was written since the last call. */
  sent(bytes: Buffer): void
  /** The client is done with the connection. */
  closed(): void
}

export class SimulatedSocket {
  readonly #side: SocketSide
  readonly #reader: SocketReader
  readonly #listeners = new Map<string, Listener[]>()
  #parts: Buffer[] = []
  #corked = false
  #destroyed = false
  #isConnected = false

  constructor(reader: SocketReader, side: SocketSide) {
    this.#reader = reader
    this.#side = side
  }

  /** As node:net types it: a connection uses no more of it than is here. */
  asSocket(): Socket {
    return this as unknown as Socket
  }

  on(name: string, listener: Listener): this {
    const known = this.#listeners.get(name)
    if (known === undefined) this.#listeners.set(name, [listener])
    else known.push(listener)
    return this
  }

  cork(): void {
    this.#corked = true
  }

  uncork(): void {
    this.#corked = false
    this.#flush()
  }

  write(part: Buffer): boolean {
    this.#parts.push(part)
    if (!this.#corked) this.#flush()
    return true
  }

  end(): this {
    return this.destroy()
  }

  unref(): this {
    return this
  }

  destroy(cause?: Error): this {
    if (this.#destroyed) return this
    this.#destroyed = true
    this.#side.closed()
    queueMicrotask(() => {
      if (cause !== undefined) this.#emit('error', cause)
      this.#emit('close')
    })
    return this
  }

  /** Bytes of the broker. */
  receive(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.#destroyed; ) {
      const copied = bytes.copy(this.#reader.target(), 0, at)
      this.#reader.received(copied)
      at += copied
    }
  }

  /** It is open. */
  connected(onConnect: () => void): void {
    if (this.#destroyed) return
    this.#isConnected = true
    onConnect()
  }

  /** Its process is dead: an opening fails, and nothing else is told. */
  abandon(): void {
    if (!this.#isConnected) this.ended(new Error('the process is dead'))
  }

  /** The other side is gone: with an error where the connection could not even be opened. */
  ended(cause?: Error): void {
    if (this.#destroyed) return
    if (cause === undefined) this.#emit('end')
    this.destroy(cause)
  }

  #flush(): void {
    const parts = this.#parts
    if (parts.length === 0 || this.#destroyed) return
    this.#parts = []
    this.#side.sent(Buffer.concat(parts))
  }

  #emit(name: string, cause?: Error): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(cause)
  }
}
