// Requests to other services over HTTP and HTTPS: the real port.
import http from 'node:http'
import https from 'node:https'
import type { Http, HttpAnswer, HttpRequest } from './ports.ts'

/** What a registry answers is text of some KB: whoever sends more is none. */
const bodyBytesMax = 16 << 20

const send = (given: HttpRequest): Promise<HttpAnswer> =>
  new Promise((resolve, reject) => {
    const url = new URL(given.url)
    const signal = AbortSignal.timeout(given.timeoutMs)
    const { method, headers, body } = given
    const onAnswer = (answer: http.IncomingMessage): void => {
      const pieces: Buffer[] = []
      let bytes = 0
      answer.on('data', (piece: Buffer) => {
        bytes += piece.length
        if (bytes > bodyBytesMax)
          request.destroy(new Error(`the answer is longer than ${bodyBytesMax} bytes`))
        else pieces.push(piece)
      })
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8') }),
      )
      answer.on('error', reject)
    }
    const request =
      url.protocol === 'https:'
        ? https.request(url, { ...given.tls, method, headers, signal }, onAnswer)
        : http.request(url, { method, headers, signal }, onAnswer)
    request.on('error', (error) =>
      reject(signal.aborted ? new Error(`no answer within ${given.timeoutMs} ms`, { cause: error }) : error),
    )
    request.end(body)
  })

export const nodeHttp: Http = { request: send }
