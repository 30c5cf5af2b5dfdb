// ApiVersions, key 18, v0-4: which requests in which versions the broker takes, and the features of the cluster.
// v1 adds the throttle time; v3 is flexible, names the client's software, and tells the finalized features (KIP-584):
// transaction.version says whether transactions version 2 may be used (KIP-890). A feature that begins at 0 is named from
// v4 on. A client software whose name or version is no word is INVALID_REQUEST.
// A version that is not offered is answered in v0 with UNSUPPORTED_VERSION and the list of requests (KIP-511); the
// session calls `handle` with `unsupported` then. The header of the answer never has tags.
//
// request   (v3+) client_software_name string · client_software_version string · tags
// response  error_code int16 · api_keys [ api_key int16 · min_version int16 · max_version int16 · tags ]
//           · (v1+) throttle_time_ms int32
//           · (v3+) tags { 0: supported_features [ name string · min int16 · max int16 · tags ]
//             · 1: finalized_features_epoch int64 · 2: finalized_features [ name string · max int16 · min int16 · tags ] }
import { Writer } from '../../protocol/wire.ts'
import { codes } from '../codes.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly unsupported: boolean
  readonly isWellNamed: boolean
}

interface Offered {
  readonly key: number
  readonly min: number
  readonly max: number
}

interface Response {
  readonly errorCode: number
  readonly apis: readonly Offered[]
  readonly transactionVersion: number
}

const word = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
const noFeatures = 0
const newestTransactionVersion = 2

const field = (write: (writer: Writer) => void): Buffer => {
  const writer = new Writer()
  writer.flexible = true
  write(writer)
  return writer.toBuffer()
}

const writeFeatures = (writer: Writer, version: number, transactionVersion: number): void => {
  const supported = field((one) =>
    one.structs(version >= 4 ? [newestTransactionVersion] : [], (max) =>
      one.string('transaction.version').int16(0).int16(max),
    ),
  )
  const epoch = field((one) => one.int64(transactionVersion))
  const finalized = field((one) =>
    one.structs(
      [transactionVersion].filter((version) => version > noFeatures),
      (version) => one.string('transaction.version').int16(version).int16(version),
    ),
  )
  const fields = [supported, epoch, finalized]
  writer.uvarint(fields.length)
  for (const [tag, bytes] of fields.entries()) writer.uvarint(tag).uvarint(bytes.length).raw(bytes)
}

/** @param offered the requests that the broker takes */
export const apiVersionsHandler = (offered: () => readonly Offered[]): RequestHandler<Request, Response> =>
  defineHandler({
    key: 18,
    name: 'ApiVersions',
    versions: [0, 4],
    flexibleFrom: 3,

    decode(reader, version) {
      if (version < 3) return { unsupported: false, isWellNamed: true }
      const names = [reader.string(), reader.string()]
      reader.tags()
      return { unsupported: false, isWellNamed: names.every((name) => word.test(name)) }
    },

    encode(writer, version, { errorCode, apis, transactionVersion }) {
      writer.int16(errorCode)
      writer.structs(apis, ({ key, min, max }) => writer.int16(key).int16(min).int16(max))
      if (version >= 1) writer.int32(0)
      if (version >= 3) writeFeatures(writer, version, transactionVersion)
    },

    handle: ({ unsupported, isWellNamed }, { broker }) => ({
      errorCode: unsupported ? codes.UNSUPPORTED_VERSION : isWellNamed ? codes.NONE : codes.INVALID_REQUEST,
      apis: isWellNamed ? offered() : [],
      transactionVersion: broker.settings.transactionVersion,
    }),
  })
