// A small HTTP server for machines that look on: GET on a few fixed paths, bounded in connections and time.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { ensureError, MillstreamError } from '../errors.ts'

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export interface HttpServer {
  /** The port it listens on, also where any free one was asked for. */
  readonly port: number
  close(): Promise<void>
}

export interface HttpServerOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** By path. */
  readonly routes: Readonly<Record<string, () => HttpAnswer | Promise<HttpAnswer>>>
}

/** Probes and scrapes come from a handful of clients. */
const connectionsMax = 64
const timeoutMs = 10_000
const headerBytesMax = 8192

const plain = (status: number, body: string): HttpAnswer => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body: `${body}\n`,
})

const answerTo = async (
  { method, url = '' }: http.IncomingMessage,
  routes: HttpServerOptions['routes'],
): Promise<HttpAnswer> => {
  if (method !== 'GET') return plain(405, 'only GET is answered')
  const path = url.split('?', 1)[0] ?? ''
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined
  if (route === undefined) return plain(404, `there is ${Object.keys(routes).join(', ')}`)
  try {
    return await route()
  } catch (error) {
    return plain(500, ensureError(error).message)
  }
}

const unavailable = (error: NodeJS.ErrnoException, host: string, port: number): MillstreamError =>
  new MillstreamError('HTTP_PORT_UNAVAILABLE', {
    what:
      error.code === 'EADDRINUSE'
        ? 'another program, or another worker of this one, listens on the port already'
        : `the port cannot be opened: ${error.message}`,
    where: { httpHost: host, httpPort: port },
    fix: 'Choose another httpPort or httpHost, or leave httpPort out.',
    cause: error,
  })

/** @throws MillstreamError HTTP_PORT_UNAVAILABLE */
export const openHttpServer = async ({ host, port, routes }: HttpServerOptions): Promise<HttpServer> => {
  const server = http.createServer(
    {
      maxHeaderSize: headerBytesMax,
      requestTimeout: timeoutMs,
      headersTimeout: timeoutMs,
      connectionsCheckingInterval: timeoutMs,
    },
    (request, response) => {
      void answerTo(request, routes).then(({ status, contentType, body }) => {
        response.writeHead(status, {
          'content-type': contentType,
          'content-length': Buffer.byteLength(body),
          'cache-control': 'no-store',
          // A body that nobody reads would keep the connection busy.
          ...(status === 405 ? { allow: 'GET', connection: 'close' } : {}),
        })
        response.end(body)
      })
    },
  )
  server.maxConnections = connectionsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(unavailable(error, host, port)))
    server.listen({ host, port }, resolve)
  })
  // It must not keep a process alive whose work is done.
  server.unref()
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
