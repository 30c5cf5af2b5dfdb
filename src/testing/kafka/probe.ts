// Small network questions: is a port free, does an address take connections, does a Kafka broker answer there.
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves true when something accepts a TCP connection at the address. */
export const acceptsConnection = (host: string, port: number, timeoutMs: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ host, port })
    const finish = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(timeoutMs, () => finish(false))
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
  })

// ApiVersions v0: length, api key 18, version 0, correlation id 7, null client id.
const apiVersionsRequest = Buffer.from('0000000a0012000000000007ffff', 'hex')

/** True when a Kafka broker at the address answers an ApiVersions request (v0: correlation id, error code) without an error. */
export const answersKafka = (host: string, port: number, timeoutMs: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ host, port }, () => socket.write(apiVersionsRequest))
    let received = Buffer.alloc(0)
    const finish = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(timeoutMs, () => finish(false))
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      if (received.length >= 10) finish(received.readInt32BE(4) === 7 && received.readInt16BE(8) === 0)
    })
    socket.once('error', () => finish(false))
    socket.once('close', () => resolve(false))
  })

const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })

/**
 * A port of 127.0.0.1 that is free now, outside the range from which the kernel takes the ports of outgoing
 * connections. Not "listen on 0": while a broker is down in a fault test, a client that keeps connecting to a port of
 * that range can be given this very port as its own, connects to itself, and the broker cannot come back.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await canListen(port)) return port
  }
  throw new Error('no free port found on 127.0.0.1 between 20000 and 32000')
}

/** Asks until the answer is true or the time is over. */
export async function waitUntil(
  question: () => Promise<boolean> | boolean,
  timeoutMs: number,
  pauseMs = 50,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (await question()) return true
    if (performance.now() >= deadline) return false
    await sleep(pauseMs)
  }
}
