// The shape of one entry of the protocol fixtures, and the values that several of them share.
import type { Api } from '../../../src/protocol/api.ts'

export interface Fixture {
  readonly api: Api<never, unknown>
  readonly encode: Api<unknown, unknown>['encode']
  readonly request: unknown
  readonly response: (version: number) => unknown
}

export const fixture = <Request, Response>(
  api: Api<Request, Response>,
  request: Request,
  response: (version: number) => Response,
): Fixture => ({
  api,
  encode: (writer, version, value) => api.encode(writer, version, value as Request),
  request,
  response,
})

export const topicId = 'AAECAwQFBgcICQoLDA0ODw'
export const records = Buffer.from('a record batch')
export const none = Buffer.alloc(0)
export const identity = { transactionalId: 'words-0', producerId: 4_000_000_000, producerEpoch: 12 }
