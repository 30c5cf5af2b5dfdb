// Owns the broker in a container: whether a Docker engine answers, and the Apache Kafka image run through
// testcontainers (sole importer; an optional dependency, so it is imported only when a container is started).
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { ensureError, MillstreamError } from '../../errors.ts'
import type { Progress } from './jars.ts'
import { answersKafka, freePort, waitUntil } from './probe.ts'

export interface DockerBrokerOptions {
  readonly version: string
  readonly port?: number | undefined
  readonly brokerSettings?: Readonly<Record<string, string>> | undefined
  readonly onProgress: Progress
}

export interface DockerBroker {
  readonly address: string
  stop(): Promise<void>
}

const pullTimeoutMs = 180_000
const readyTimeoutMs = 60_000

const engineAddresses = (): string[] => {
  const given = process.env.DOCKER_HOST
  if (given) return [given]
  const runtime = process.env.XDG_RUNTIME_DIR
  const sockets = ['/var/run/docker.sock', path.join(os.homedir(), '.docker/run/docker.sock')]
  if (runtime) sockets.push(path.join(runtime, '.docker/run/docker.sock'), path.join(runtime, 'docker.sock'))
  return sockets.map((socket) => `unix://${socket}`)
}

const answersPing = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { protocol, hostname, port, pathname } = new URL(address)
    const target = protocol === 'unix:' ? { socketPath: pathname } : { host: hostname, port: port || 2375 }
    // An engine behind TLS refuses plain HTTP with an answer of its own: something Docker-like is there all the same.
    const request = http.get({ ...target, path: '/_ping', timeout: 3000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200 || response.statusCode === 400)
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(false))
  })

/** The address of the first Docker engine that answers, or undefined. */
export async function findDockerEngine(): Promise<string | undefined> {
  for (const address of engineAddresses()) {
    if (URL.canParse(address) && (await answersPing(address))) return address
  }
  return undefined
}

/** `a.b-c` -> `KAFKA_A_B___C`, the way the image reads settings from its environment. */
const environmentName = (setting: string): string =>
  `KAFKA_${setting.replaceAll('_', '__').replaceAll('-', '___').replaceAll('.', '_').toUpperCase()}`

const brokerEnvironment = (
  host: string,
  port: number,
  extra: Readonly<Record<string, string>>,
): Record<string, string> => {
  const settings: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': '1@localhost:9093',
    // A listener of its own for the broker's calls to itself (the check of a transaction, its markers): the address
    // that it advertises to us leads nowhere inside the container, and transactional produces would wait for ever.
    listeners: 'PLAINTEXT://0.0.0.0:9092,INTERNAL://localhost:9094,CONTROLLER://localhost:9093',
    'advertised.listeners': `PLAINTEXT://${host}:${port},INTERNAL://localhost:9094`,
    'inter.broker.listener.name': 'INTERNAL',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'num.partitions': '1',
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    ...extra,
  }
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [environmentName(name), value]))
}

const loadTestcontainers = async (): Promise<typeof import('testcontainers')> => {
  try {
    return await import('testcontainers')
  } catch (cause) {
    throw new MillstreamError('KAFKA_NOT_AVAILABLE', {
      what: 'the package testcontainers cannot be loaded',
      fix: 'Install it (npm install --save-dev testcontainers), or set KAFKA_BROKERS, or install Java 17 with Maven.',
      cause,
    })
  }
}

/**
 * Starts `apache/kafka:<version>` and waits until it answers from this side.
 * @throws MillstreamError KAFKA_NOT_AVAILABLE (testcontainers is not installed) or KAFKA_START_FAILED.
 */
export async function startDockerBroker(options: DockerBrokerOptions): Promise<DockerBroker> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await loadTestcontainers()
  const image = `apache/kafka:${options.version}`
  options.onProgress(`starting ${image} in Docker`)
  try {
    const host = (await getContainerRuntimeClient()).info.containerRuntime.host
    // The broker must advertise the port under which we reach it, so the port is chosen before the container starts.
    const port = options.port ?? (await freePort())
    const container = await new GenericContainer(image)
      .withEnvironment(brokerEnvironment(host, port, options.brokerSettings ?? {}))
      .withExposedPorts({ container: 9092, host: port })
      .withWaitStrategy(Wait.forListeningPorts())
      .withStartupTimeout(pullTimeoutMs)
      .start()
    let stopped: Promise<unknown> | undefined
    const stop = async (): Promise<void> => {
      stopped ??= container.stop()
      await stopped
    }
    const answered = await waitUntil(() => answersKafka(host, port, 2000), readyTimeoutMs)
    if (answered) return { address: `${host}:${port}`, stop }
    await stop()
    throw new Error(`it did not answer at ${host}:${port} within ${readyTimeoutMs} ms`)
  } catch (cause) {
    throw new MillstreamError('KAFKA_START_FAILED', {
      what: `the container ${image} did not become a broker: ${ensureError(cause).message}`,
      fix: 'Check that the engine can pull that image, or set KAFKA_BROKERS.',
      cause,
    })
  }
}
