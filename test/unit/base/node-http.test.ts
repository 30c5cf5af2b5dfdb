// Requests over HTTP: whole answers, and errors for everything else.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { nodeHttp } from '../../../src/base/node-http.ts'
import type { HttpAnswer } from '../../../src/base/ports.ts'

let server: http.Server | undefined

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

const serve = async (answer: http.RequestListener): Promise<string> => {
  const listening = http.createServer(answer)
  server = listening
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
}

const get = (url: string, timeoutMs = 5000): Promise<HttpAnswer> =>
  nodeHttp.request({ method: 'GET', url, headers: {}, timeoutMs })

describe('a request', () => {
  it('carries method, path, headers and body, and answers status and text', async () => {
    const url = await serve((request, response) => {
      let body = ''
      request.on('data', (piece: Buffer) => {
        body += piece.toString()
      })
      request.on('end', () =>
        response.writeHead(418).end(`${request.method} ${request.url} ${request.headers['x-a']} ${body} ä`),
      )
    })
    const answer = await nodeHttp.request({
      method: 'POST',
      url: `${url}/a%2Fb`,
      headers: { 'x-a': '1' },
      body: 'bödy',
      timeoutMs: 5000,
    })
    expect(answer).toEqual({ status: 418, body: 'POST /a%2Fb 1 bödy ä' })
  })

  it('ends in its time, before an answer and within one', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/half') response.writeHead(200).write('half')
    })
    await expect(get(url, 50)).rejects.toThrow('no answer within 50 ms')
    await expect(get(`${url}/half`, 50)).rejects.toThrow()
  })

  it('fails where nobody listens, where the connection breaks, and for an answer without end', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/broken')
        return void response.writeHead(200, { 'content-length': '9' }).write('x', () => response.destroy())
      const write = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20)));
        response.once('drain', write)
      }
      write()
    })
    await expect(get(`${url}/broken`)).rejects.toThrow()
    await expect(get(url)).rejects.toThrow(/longer than/)
    server?.closeAllConnections()
    server?.close()
    await expect(get(url)).rejects.toThrow(/ECONNREFUSED/)
  })
})
