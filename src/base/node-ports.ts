// The ports of a real Node process: the only file of the runtime that touches the clock, timers, randomness,
// sockets and files of the machine.
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import tls from 'node:tls'
import { Worker } from 'node:worker_threads'
import { ensureError } from '../errors.ts'
import { nodeHttp } from './node-http.ts'
import type {
  AcceptedSocket,
  Clock,
  Disk,
  Net,
  Ports,
  Random,
  Threads,
  TimerHandle,
  Timers,
} from './ports.ts'

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }

const timers: Timers = {
  // A negative or fractional delay makes Node print a warning: clamp it here once for everybody.
  set: (callback, delayMs) => setTimeout(callback, Math.max(0, Math.ceil(delayMs))),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
  sleep: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = (): void => {
        clearTimeout(handle)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const handle: TimerHandle & NodeJS.Timeout = setTimeout(done, Math.max(0, Math.ceil(delayMs)))
      signal?.addEventListener('abort', done, { once: true })
    }),
  yield: () => new Promise((resolve) => setImmediate(resolve)),
}

const random: Random = { next: () => Math.random(), uuid: () => randomUUID() }

const acceptedSocket = (socket: net.Socket): AcceptedSocket => ({
  remoteHost: socket.remoteAddress ?? '',
  write: (bytes) => socket.write(bytes),
  pause: () => {
    socket.pause()
  },
  resume: () => {
    socket.resume()
  },
  end: () => {
    socket.end()
    // A client that reads nothing would keep the connection for ever.
    socket.resume()
    socket.setTimeout(1000, () => socket.destroy())
  },
})

const listen: NonNullable<Net['listen']> = ({ host, port }, onConnection) => {
  const open = new Set<net.Socket>()
  const server = net.createServer({ noDelay: true, keepAlive: true }, (socket) => {
    open.add(socket)
    const user = onConnection(acceptedSocket(socket))
    socket.on('data', (bytes: Buffer) => user.received(bytes))
    socket.on('drain', () => user.drained())
    // The end follows.
    socket.on('error', () => undefined)
    socket.once('close', () => {
      open.delete(socket)
      user.closed()
    })
  })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of open) socket.destroy()
    })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      // A connection that could not be accepted is the client's to notice.
      server.on('error', () => undefined)
      resolve({ port: (server.address() as net.AddressInfo).port, close })
    })
  })
}

const network: Net = {
  hostName: () => os.hostname(),
  listen,
  connect: ({ host, port, tls: secure }, reader, onConnect) => {
    const onread = {
      buffer: () => reader.target(),
      callback: (bytes: number) => {
        reader.received(bytes)
        return true
      },
    }
    // `onread` of tls.connect is documented and has no place in its types.
    const withReader = { servername: net.isIP(host) ? '' : host, ...secure, host, port, onread }
    const socket = secure
      ? tls.connect(withReader as tls.ConnectionOptions, onConnect)
      : net.connect({ host, port, onread }, onConnect)
    socket.setKeepAlive(true, 60_000)
    socket.setNoDelay(true)
    return socket
  },
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: the process exists and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const bootId = (): string => {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    // No boot id outside Linux: the minute of the boot, which a clock correction can move; then a store is rebuilt.
    return `up-since-${Math.round((Date.now() - performance.timeOrigin + performance.now()) / 60_000)}`
  }
}

/** Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat): a pid that was given out again differs. */
const startTicks = (pid: number): string => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

const held = new Set<string>()

const lockOwner = (file: string): string | undefined => {
  let text: string
  try {
    text = fs.readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  const [pid = '', boot = '', ticks = ''] = text.split('\n')
  if (boot !== bootId() || !isAlive(Number(pid))) return undefined
  // Same pid after a container restart is our own past, not a living owner, unless this very process holds it.
  if (Number(pid) === process.pid) return held.has(file) ? `this process (pid ${pid})` : undefined
  return ticks === startTicks(Number(pid)) ? `process ${pid}` : undefined
}

/** The system may take less than it is given. */
const writeAll = (descriptor: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(descriptor, bytes, at)
}

const disk: Disk = {
  readText: (file) => {
    try {
      return fs.readFileSync(file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  },
  writeText: (file, text) => {
    const temporary = `${file}.${process.pid}.new`
    fs.writeFileSync(temporary, text)
    fs.renameSync(temporary, file)
  },
  exists: (file) => fs.existsSync(file),
  size: (file) => fs.statSync(file, { throwIfNoEntry: false })?.size,
  read: (file, start, length) => {
    const descriptor = fs.openSync(file, 'r')
    try {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, fs.readSync(descriptor, bytes, 0, length, start))
    } finally {
      fs.closeSync(descriptor)
    }
  },
  create: (file) => {
    const descriptor = fs.openSync(file, 'w')
    return {
      write: (bytes) => writeAll(descriptor, bytes),
      close: () => {
        try {
          fs.fsyncSync(descriptor)
        } finally {
          fs.closeSync(descriptor)
        }
      },
    }
  },
  append: (file) => {
    const descriptor = fs.openSync(file, 'a')
    return { write: (bytes) => writeAll(descriptor, bytes), close: () => fs.closeSync(descriptor) }
  },
  rename: (from, to) => fs.renameSync(from, to),
  cut: (file, size) => fs.truncateSync(file, size),
  extend: (file, size) => fs.truncateSync(file, size),
  makeDirectory: (directory) => {
    fs.mkdirSync(directory, { recursive: true })
  },
  list: (directory) => {
    try {
      return fs.readdirSync(directory)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  },
  remove: (target) => fs.rmSync(target, { recursive: true, force: true }),
  lock: (directory) => {
    fs.mkdirSync(directory, { recursive: true })
    const file = path.resolve(directory, 'LOCK')
    const owner = lockOwner(file)
    if (owner !== undefined) return { heldBy: owner }
    disk.writeText(file, `${process.pid}\n${bootId()}\n${startTicks(process.pid)}\n`)
    held.add(file)
    return {
      release: () => {
        held.delete(file)
        fs.rmSync(file, { force: true })
      },
    }
  },
  bootId,
}

/** A thread of ours needs a few MB; without a limit its heap would take what is left before it collects. */
const threadLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2 }

const threads: Threads = {
  start: (module, data, listener) => {
    // Nothing that the program was started with (a debugger, instrumentation) is loaded once more.
    const worker = new Worker(module, { workerData: data, execArgv: [], resourceLimits: threadLimits })
    let asked = false
    let cause: Error | undefined
    worker.on('message', (message: unknown) => listener.message(message))
    worker.on('error', (error) => {
      cause = ensureError(error)
    })
    worker.on('exit', (code) => {
      if (!asked) listener.ended(cause ?? new Error(`it ended with code ${code}`))
    })
    worker.unref()
    return {
      post: (message) => worker.postMessage(message),
      end: async () => {
        asked = true
        // Else a process that waits for nothing else would end before this is answered.
        worker.ref()
        await worker.terminate()
      },
    }
  },
}

export const nodePorts: Ports = { clock, timers, random, net: network, disk, threads, http: nodeHttp }
