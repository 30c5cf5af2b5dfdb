import { once } from 'node:events'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type HttpServer, openHttpServer } from '../../../src/metrics/http-server.ts'

const opened: HttpServer[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close()
})

const open = async (port = 0): Promise<HttpServer> => {
  const server = await openHttpServer({
    host: '127.0.0.1',
    port,
    routes: {
      '/good': () => ({ status: 200, contentType: 'text/plain', body: 'yes' }),
      '/later': () => Promise.resolve({ status: 503, contentType: 'application/json', body: '{}' }),
      '/bad': () => {
        throw new Error('no luck')
      },
    },
  })
  opened.push(server)
  return server
}

const ask = async (
  { port }: HttpServer,
  path: string,
  method = 'GET',
): Promise<{ status: number; body: string; headers: Headers }> => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
  return { status: response.status, body: await response.text(), headers: response.headers }
}

describe('openHttpServer', () => {
  it('answers GET on its paths, with or without a query', async () => {
    const server = await open()
    expect(await ask(server, '/good')).toMatchObject({ status: 200, body: 'yes' })
    expect(await ask(server, '/good?a=/later')).toMatchObject({ status: 200, body: 'yes' })
    const later = await ask(server, '/later')
    expect([later.status, later.headers.get('content-type')]).toEqual([503, 'application/json'])
    expect(later.headers.get('cache-control')).toBe('no-store')
  })

  it('refuses other paths and other methods, and survives a route that throws', async () => {
    const server = await open()
    for (const path of ['/', '/good/', '/constructor', '/good%00'])
      expect((await ask(server, path)).status, path).toBe(404)
    for (const method of ['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']) {
      const { status, headers } = await ask(server, '/good', method)
      expect([status, headers.get('allow')], method).toEqual([405, 'GET'])
    }
    expect(await ask(server, '/bad')).toMatchObject({ status: 500, body: 'no luck\n' })
    expect((await ask(server, '/good')).status).toBe(200)
  })

  it('says which port is taken', async () => {
    const { port } = await open()
    await expect(open(port)).rejects.toMatchObject({
      code: 'HTTP_PORT_UNAVAILABLE',
      where: { httpHost: '127.0.0.1', httpPort: port },
    })
    await expect(open(port)).rejects.toThrow('listens on the port already')
  })

  it('closes although a client keeps its connection', async () => {
    const server = await open()
    const socket = net.connect(server.port, '127.0.0.1')
    await once(socket, 'connect')
    const ended = once(socket, 'close')
    socket.on('error', () => undefined)
    await server.close()
    await ended
    await expect(ask(server, '/good')).rejects.toThrow()
  })
})
