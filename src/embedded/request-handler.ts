// The shape that every request has on the broker's side: its codec and what the broker does. One file per request in
// requests/ owns both; request-table.ts lists them, session.ts calls them.
import type { Reader, Writer } from '../protocol/wire.ts'
import type { BrokerState } from './broker-state.ts'

/** Who asks, and how. */
export interface RequestContext {
  readonly broker: BrokerState
  /** The node that was asked. */
  readonly nodeId: number
  readonly version: number
  readonly clientId: string
  /** Address of the client, as group descriptions show it. */
  readonly clientHost: string
  /** Aborted when the connection is gone: what waits for it gives up. */
  readonly gone: AbortSignal
}

/**
 * One request. `decode` and `encode` handle the body alone; the session takes the headers off and puts them on.
 * A handler is called again only when the one before it on the same connection is answered, as a broker does.
 */
export interface RequestHandler<Request, Response> {
  readonly key: number
  readonly name: string
  /** Lowest and highest version that are offered, both inclusive. */
  readonly versions: readonly [min: number, max: number]
  /** From which on headers and bodies are flexible (KIP-482). */
  readonly flexibleFrom: number
  decode(reader: Reader, version: number): Request
  encode(writer: Writer, version: number, response: Response): void
  /**
   * Synchronous wherever nothing has to be waited for. Undefined where the protocol gives no answer (Produce with
   * acks 0).
   */
  handle(request: Request, context: RequestContext): Response | undefined | Promise<Response | undefined>
}

/** Of any request and response, for tables. */
// biome-ignore lint/suspicious/noExplicitAny: a table of handlers of different requests
export type AnyHandler = RequestHandler<any, any>

/** Types follow from the codec. */
export const defineHandler = <Request, Response>(
  handler: RequestHandler<Request, Response>,
): RequestHandler<Request, Response> => handler
