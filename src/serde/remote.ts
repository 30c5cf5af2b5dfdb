// What a serde says of itself whose bytes name schemas that are kept elsewhere (a schema registry): what has to be
// fetched before bytes are decoded and before values are encoded, so that both stay synchronous.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'

/** Where a serde stands. */
export interface SerdePlace {
  readonly role: 'key' | 'value'
  /** The name of the topic; of an internal one, without the application id that it begins with. */
  readonly topic: string
  readonly internal: boolean
}

/** What serves the requests. Without `http` nothing is asked: ids are given out in this process. */
export type RemotePorts = Pick<Ports, 'clock' | 'timers' | 'random' | 'http'>

export interface RemoteEnvironment {
  readonly ports: RemotePorts
  readonly log: Logger
  readonly applicationId: string
}

/** Schemas may be asked for until it is closed. */
export interface RemoteUse {
  readonly environment: RemoteEnvironment
  readonly signal: AbortSignal
  close(): void
}

/** Where the schemas come from; several serdes share one. */
export interface RemoteSource {
  readonly name: string
  open(environment: RemoteEnvironment): RemoteUse
  /** Whether bytes with this id need not wait. Where they must, it is being asked for. */
  settled(id: number): boolean
  /** Ids and subjects that are waited for. */
  readonly awaited: readonly string[]
  /** Requests that failed or were not answered, since the process started. */
  readonly failures: number
}

export interface RemoteSerde {
  readonly source: RemoteSource
  /** The id of the schema that the bytes begin with, or -1. */
  idOf(bytes: Buffer, start: number, end: number): number
  /**
   * Makes `decode` possible as far as its own schema goes, and `encode` where it is to write. Tries again while the source
   * does not answer.
   * @throws MillstreamError SCHEMA_REJECTED, SCHEMA_REGISTRY_REFUSED; CLOSED when the use is closed meanwhile
   */
  prepare(use: RemoteUse, purpose: 'read' | 'write'): Promise<void>
  /** The same without asking anybody. */
  prepareAlone(applicationId: string): void
}

/** The same inside of a longer layout: the id is not what the bytes begin with. */
export const embedded = (remote: RemoteSerde | undefined): { readonly remote?: RemoteSerde } =>
  remote === undefined
    ? {}
    : {
        remote: {
          source: remote.source,
          idOf: () => -1,
          prepare: (use, purpose) => remote.prepare(use, purpose),
          prepareAlone: (applicationId) => remote.prepareAlone(applicationId),
        },
      }
