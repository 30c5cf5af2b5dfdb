// The shape that every API of the protocol has here, and what follows from a version: range, headers, negotiation.
// One file per API holds its wire layout and its codec; which connection carries it is not known in this folder.
import { invariant } from '../base/assert.ts'
import type { Reader, Writer } from './wire.ts'

/** The requests that we send ourselves, by the names that Kafka gives them. */
export type ApiName =
  | 'Produce'
  | 'Fetch'
  | 'ListOffsets'
  | 'Metadata'
  | 'OffsetCommit'
  | 'OffsetFetch'
  | 'FindCoordinator'
  | 'JoinGroup'
  | 'Heartbeat'
  | 'LeaveGroup'
  | 'DescribeGroups'
  | 'SyncGroup'
  | 'ApiVersions'
  | 'CreateTopics'
  | 'DeleteRecords'
  | 'InitProducerId'
  | 'AddPartitionsToTxn'
  | 'AddOffsetsToTxn'
  | 'EndTxn'
  | 'TxnOffsetCommit'
  | 'DescribeConfigs'
  | 'DescribeProducers'
  | 'DescribeTransactions'
  | 'WriteTxnMarkers'
  | 'ListTransactions'

/**
 * One request and its response. encode and decode handle the body alone: the sender adds the request header (and its
 * tag section where `requestHeaderHasTags`) and takes the response header off (`responseHeaderHasTags`).
 */
export interface Api<Request, Response> {
  /** api_key of the request header. */
  readonly key: number
  readonly name: ApiName
  /** Lowest and highest version that this codec speaks, both inclusive. */
  readonly versions: readonly [min: number, max: number]
  /** The version from which headers and bodies are flexible (KIP-482). */
  readonly flexibleFrom: number
  /**
   * The version whose use inside a transaction says "transactions version 2" (KIP-890 part 2). It may be sent only
   * where the cluster has finalized transaction.version 2; a lower version must be used elsewhere.
   */
  readonly tv2From?: number
  /** @throws MillstreamError INVARIANT_BROKEN for a version out of range or a value that its type cannot hold. */
  encode(writer: Writer, version: number, request: Request): void
  /** @throws MillstreamError PROTOCOL_INVALID when the bytes do not follow the layout of this version. */
  decode(reader: Reader, version: number): Response
}

/** Adds to a codec what all of them need: the check of the version, the mode of the wire, the check of the end. */
export function defineApi<Request, Response>(codec: Api<Request, Response>): Api<Request, Response> {
  const check = (version: number): void => {
    const [min, max] = codec.versions
    invariant(
      Number.isInteger(version) && version >= min && version <= max,
      'a request version is one we speak',
      {
        api: codec.name,
        version,
      },
    )
  }
  return {
    ...codec,
    encode(writer, version, request) {
      check(version)
      writer.flexible = version >= codec.flexibleFrom
      codec.encode(writer, version, request)
    },
    decode(reader, version) {
      check(version)
      reader.begin(`the answer to ${codec.name} v${version}`, version >= codec.flexibleFrom)
      const response = codec.decode(reader, version)
      reader.finish()
      return response
    },
  }
}

const API_VERSIONS_KEY = 18

/** Whether the request header ends with a tag section (header v2). */
export const requestHeaderHasTags = (api: Api<never, unknown>, version: number): boolean =>
  version >= api.flexibleFrom

/**
 * Whether the response header ends with a tag section (header v1). ApiVersions never has one: a client that asks in a
 * version too new for the broker is answered in v0, and must be able to read that (KIP-511).
 */
export const responseHeaderHasTags = (api: Api<never, unknown>, version: number): boolean =>
  version >= api.flexibleFrom && api.key !== API_VERSIONS_KEY

export interface VersionRange {
  readonly min: number
  readonly max: number
}

/**
 * The highest version that this codec and the broker both speak, or undefined where there is none.
 * @param transactionsV2 whether the cluster has finalized transaction.version 2 (see `Api.tv2From`).
 */
export function negotiate(
  api: Api<never, unknown>,
  broker: VersionRange | undefined,
  transactionsV2: boolean,
): number | undefined {
  if (broker === undefined) return undefined
  const ours = api.tv2From !== undefined && !transactionsV2 ? api.tv2From - 1 : api.versions[1]
  const version = Math.min(ours, broker.max)
  return version >= Math.max(api.versions[0], broker.min) ? version : undefined
}
