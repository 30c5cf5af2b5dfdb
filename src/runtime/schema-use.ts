// The schemas that a worker needs from elsewhere: asked for before it joins its group, and open while it runs.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'
import type { RemoteSource, RemoteUse } from '../serde/remote.ts'
import type { TopologyGraph } from '../topology/contracts.ts'
import { remoteSerdes } from '../topology/remote-serdes.ts'

/** How often a start that waits looks whether it is to end. */
const lookMs = 100

export class SchemaUse {
  readonly sources: readonly RemoteSource[]
  readonly #uses: readonly RemoteUse[]
  readonly #graph: TopologyGraph
  readonly #ports: Ports

  constructor(graph: TopologyGraph, applicationId: string, ports: Ports, log: Logger) {
    this.#graph = graph
    this.#ports = ports
    this.sources = [...remoteSerdes(graph).sources]
    this.#uses = this.sources.map((source) => source.open({ ports, log, applicationId }))
  }

  /** What is waited for, and of whom; undefined: nothing. */
  get awaited(): string | undefined {
    const waiting = this.sources.filter(({ awaited }) => awaited.length > 0)
    if (waiting.length === 0) return undefined
    return waiting.map(({ name, awaited }) => `${awaited.join(', ')} of ${name}`).join('; ')
  }

  get failures(): number {
    return this.sources.reduce((sum, { failures }) => sum + failures, 0)
  }

  /**
   * Schemas are looked up and registered: while nobody answers, for as long as it takes.
   * @param turned called again and again while it waits @throws what stops the start; CLOSED when `closing` answers true
   */
  async prepare(closing: () => boolean, turned: () => void): Promise<void> {
    if (this.sources.length === 0) return
    let failure: unknown
    let done = false
    const prepared = this.#prepareAll().then(
      () => {
        done = true
      },
      (error: unknown) => {
        done = true
        failure = error
      },
    )
    // What is there answers at once.
    await Promise.race([prepared, this.#ports.timers.sleep(lookMs)])
    while (!done) {
      turned()
      if (closing())
        throw new MillstreamError('CLOSED', { what: 'it was closed while it waited for schemas' })
      await Promise.race([prepared, this.#ports.timers.sleep(lookMs)])
    }
    if (failure !== undefined) throw failure
  }

  async #prepareAll(): Promise<void> {
    const { readers, writers } = remoteSerdes(this.#graph)
    const use = (source: RemoteSource): RemoteUse => this.#uses[this.sources.indexOf(source)] as RemoteUse
    await Promise.all([
      ...[...readers].map((one) => one.prepare(use(one.source), 'read')),
      ...[...writers].map((one) => one.prepare(use(one.source), 'write')),
    ])
  }

  close(): void {
    for (const use of this.#uses) use.close()
  }
}
