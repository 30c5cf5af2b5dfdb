// The HTTP port of a process with workers: /metrics for Prometheus, /live and /ready for the probes of Kubernetes. It
// tells nothing of the content of records.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import type { Worker } from '../runtime/create-worker.ts'
import { type HttpAnswer, openHttpServer } from './http-server.ts'
import { deathOf, readiness } from './readiness.ts'

export interface ServedPort {
  close(): Promise<void>
}

const json = (status: number, value: unknown): HttpAnswer => ({
  status,
  contentType: 'application/json',
  body: `${JSON.stringify(value)}\n`,
})

const live = (workers: readonly Worker[]): HttpAnswer => {
  const reason = deathOf(workers.map((worker) => worker.status()))
  return json(reason === undefined ? 200 : 503, { live: reason === undefined, reason })
}

const ready = (workers: readonly Worker[]): HttpAnswer => {
  const answer = readiness(workers.map((worker) => worker.status()))
  return json(answer.ready ? 200 : 503, answer)
}

/**
 * Opens `httpPort` for these workers; nothing where it is not set.
 * @throws MillstreamError HTTP_PORT_UNAVAILABLE
 */
export const serveWorkers = async (
  workers: readonly Worker[],
  { httpHost: host, httpPort: port }: Pick<WorkerSettings, 'httpHost' | 'httpPort'>,
  ports: Ports,
  log: Logger,
): Promise<ServedPort> => {
  if (port === undefined) return { close: () => Promise.resolve() }
  // Whoever serves no metrics does not load their library either.
  const { MetricsRegistry } = await import('./registry.ts')
  const registry = new MetricsRegistry(ports)
  try {
    const server = await openHttpServer({
      host,
      port,
      routes: {
        '/metrics': async () => ({
          status: 200,
          contentType: registry.contentType,
          body: await registry.text(),
        }),
        '/live': () => live(workers),
        '/ready': () => ready(workers),
      },
    })
    for (const worker of workers) registry.add(worker)
    log.info('listening for probes and scrapes', { httpHost: host, httpPort: server.port })
    return {
      close: async () => {
        registry.close()
        await server.close()
      },
    }
  } catch (error) {
    registry.close()
    throw error
  }
}
