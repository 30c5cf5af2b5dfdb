// The ports: everything that is not pure (time, timers, randomness, network, disk) enters through these
// interfaces, so that the whole runtime can run inside a simulation. `node-ports.ts` holds the real ones; no
// other file of src/ below cli and testing may call Date.now, setTimeout, Math.random, node:net or node:fs.
import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'

export interface Clock {
  /** Wall-clock time, milliseconds since the epoch. May jump; use it for timestamps only. */
  now(): number
  /** Monotonic time in milliseconds with a fraction. Deadlines and durations are measured with it. */
  monotonic(): number
}

/** An opaque timer handle. */
export type TimerHandle = { readonly timer: unique symbol } | object

export interface Timers {
  set(callback: () => void, delayMs: number): TimerHandle
  clear(handle: TimerHandle): void
  /** Resolves after `delayMs`, or at once when the signal is aborted (it never rejects). */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /** Lets I/O callbacks run before going on (setImmediate). */
  yield(): Promise<void>
}

export interface Random {
  /** A float in [0, 1). */
  next(): number
  /** A random (version 4) UUID. */
  uuid(): string
}

/** Takes the bytes of a socket. */
export interface SocketReader {
  /** Where the next bytes go: at least one byte long. */
  target(): Buffer
  /** So many bytes are at the beginning of the target. */
  received(bytes: number): void
}

export interface Net {
  /** The bytes go to the reader; the socket has no 'data' event. */
  connect(
    options: { host: string; port: number; tls?: ConnectionOptions | undefined },
    reader: SocketReader,
    onConnect: () => void,
  ): Socket
  /**
   * Takes connections at a port of this machine; port 0 takes any that is free. The system's own errors (EADDRINUSE)
   * reject the promise. Undefined where nothing listens: in a simulation the broker is connected to in memory.
   */
  listen?(
    options: { host: string; port: number },
    onConnection: (socket: AcceptedSocket) => AcceptedSocketUser,
  ): Promise<Listener>
  /** Of this machine. */
  hostName(): string
}

/** The side of a connection that was accepted. */
export interface AcceptedSocket {
  /** Address of the client. */
  readonly remoteHost: string
  /** @returns false where so much waits to be sent that the caller should wait for `drained` */
  write(bytes: Buffer): boolean
  /** No bytes are taken from the client until `resume`: its writes fill up the buffers of the network. */
  pause(): void
  resume(): void
  /** Sends what was written, then ends the connection. */
  end(): void
}

/** What is done with a connection that was accepted. */
export interface AcceptedSocketUser {
  /** Bytes of the client, in any pieces. They do not change afterwards. */
  received(bytes: Buffer): void
  /** What was written is sent. */
  drained(): void
  /** The connection is gone, whoever ended it. Called once. */
  closed(): void
}

export interface Listener {
  readonly port: number
  /** Takes no more connections and ends those that are open. Resolves when the port is free. */
  close(): Promise<void>
}

/** A file that is lengthened at its end. */
export interface FileAppender {
  /** It survives the end of this process from then on, but not yet a crash of the machine. */
  write(bytes: Uint8Array): void
  close(): void
}

/** A file that is being written from its beginning to its end. */
export interface FileSink {
  write(bytes: Uint8Array): void
  /** Everything written is on the disk, also after a crash of the machine. */
  close(): void
}

/** Keeps stores by itself. */
export interface StoreDisk {
  /**
   * Opens a store, or makes it.
   * @param onSynced told when all that was written is synced (true), and before the first write after that (false)
   * @returns a StoreEngine of src/state
   */
  open(directory: string, onSynced?: (synced: boolean) => void): object
}

export interface Disk {
  /** UTF-8 text of a file, or undefined where there is none. */
  readText(path: string): string | undefined
  /** Writes a file through a temporary name and a rename, so that a reader never sees half of it. */
  writeText(path: string, text: string): void
  exists(path: string): boolean
  /** Size of a file in bytes, or undefined where there is none. */
  size(path: string): number | undefined
  /** Up to `length` bytes of a file from `start`; fewer where it ends before. */
  read(path: string, start: number, length: number): Buffer
  /** Begins a file anew. */
  create(path: string): FileSink
  /** Goes on at the end of a file, which is made where there is none. */
  append(path: string): FileAppender
  /** Takes the place of the file at `to`, if there is one, at once. */
  rename(from: string, to: string): void
  /** Keeps the first `size` bytes of a file. */
  cut(path: string, size: number): void
  /** Lengthens a file with zeros to `size` bytes. */
  extend(path: string, size: number): void
  makeDirectory(path: string): void
  /** Names in a directory, or an empty list where there is none. */
  list(path: string): string[]
  /** Removes a file or a directory with all it holds; nothing happens where there is none. */
  remove(path: string): void
  /**
   * Takes an exclusive lock on a directory for this process (a LOCK file with pid and boot id).
   * @returns a function that gives it back, or the description of the living owner.
   */
  lock(path: string): { release: () => void } | { heldBy: string }
  /** Identifies this boot of the machine: a store not synced before another boot may have lost its tail. */
  bootId(): string
  /** Undefined where stores are files of an engine of ours; a simulated disk keeps them by itself. */
  readonly stores?: StoreDisk | undefined
}

/** A thread beside the one that started it. */
export interface Thread {
  /** @throws when the message cannot be copied */
  post(message: unknown): void
  /** Ends it at once. Resolves when it is gone. */
  end(): Promise<void>
}

export interface ThreadListener {
  message(message: unknown): void
  /** It ended without being asked to. */
  ended(cause: Error): void
}

export interface Threads {
  /**
   * Runs a module in a thread of its own, which does not keep the process alive.
   * @param data what the module finds as its workerData
   * @throws when the data cannot be copied (functions), or when the process may not start threads
   */
  start(module: URL, data: unknown, listener: ThreadListener): Thread
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** For the whole of it, from the connection to the last byte of the answer. */
  readonly timeoutMs: number
  readonly tls?: ConnectionOptions | undefined
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export interface Http {
  /** Rejects where no whole answer came; an answer of any status resolves. Redirects are not followed. */
  request(request: HttpRequest): Promise<HttpAnswer>
}

export interface Ports {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly net: Net
  readonly disk: Disk
  /** Undefined where everything runs in one thread: in a simulation. */
  readonly threads?: Threads | undefined
  /** Undefined where nothing but brokers can be reached: in a simulation. */
  readonly http?: Http | undefined
}
