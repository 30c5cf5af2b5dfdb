// Owns the choice of a broker for development and tests, and says it aloud: the one named by KAFKA_BROKERS; else a
// container, where a Docker engine answers; else a JVM process of ours.
import { ensureError, MillstreamError } from '../../errors.ts'
import { findDockerEngine, startDockerBroker } from './docker-broker.ts'
import type { Progress } from './jars.ts'
import { startJvmBroker } from './jvm-broker.ts'
import { acceptsConnection } from './probe.ts'

export type KafkaBackend = 'env' | 'docker' | 'jvm'

export interface StartKafkaOptions {
  /** Version of a broker that we start; `3.9` and `4.3` mean the newest of that line that is tested. Default 4.3.1. */
  readonly version?: string | undefined
  /** JVM only: where settings, log and data go; kept after stop. Default: a temporary directory, removed by stop. */
  readonly dataDirectory?: string | undefined
  /** Port of 127.0.0.1; default: a free one. */
  readonly port?: number | undefined
  /** Settings of the broker, in the words of its server.properties. */
  readonly brokerSettings?: Readonly<Record<string, string>> | undefined
  /** JVM only: maximum heap; default 512. */
  readonly heapMb?: number | undefined
  /** JVM only: brokers of one cluster have the same; default: a random one. */
  readonly clusterId?: string | undefined
  /** JVM only: full JIT compilation; slower to start, faster to run. */
  readonly forBenchmark?: boolean | undefined
  /** Called with one line per step (a download, a start). */
  readonly onProgress?: Progress | undefined
  /** Take this one, whatever else there is. */
  readonly backend?: KafkaBackend | undefined
}

export interface KafkaHandle extends AsyncDisposable {
  /** Bootstrap addresses, `host:port`. */
  readonly brokers: string[]
  readonly backend: KafkaBackend
  /** One sentence: which broker this is and why it was chosen. */
  readonly how: string
  /** Version that was started; undefined for a broker that we did not start. */
  readonly version?: string | undefined
  /** Stops what was started (nothing for KAFKA_BROKERS). May be called twice. */
  stop(): Promise<void>
}

/** A broker that tests may also hurt. */
export interface JvmKafkaHandle extends KafkaHandle {
  readonly backend: 'jvm'
  readonly version: string
  /** Pid of the JVM; another one after a restart. */
  readonly pid: number
  readonly logFile: string
  readonly dataDirectory: string
  /** Sends a signal; after SIGKILL it waits until the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts the broker again on the same port and data, stopping it before where it still runs. */
  restart(): Promise<void>
}

/** The versions that are tested: transaction version 2, and the last line that has only version 1. */
const testedKafkaVersions = { '4.3': '4.3.1', '3.9': '3.9.2' } as const
const defaultVersion = testedKafkaVersions['4.3']

const fullVersion = (wanted: string | undefined): string =>
  wanted === undefined ? defaultVersion : ((testedKafkaVersions as Record<string, string>)[wanted] ?? wanted)

const addressParts = (address: string): { host: string; port: number } => {
  const found = address.match(/^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/)
  const host = found?.[1] ?? found?.[2]
  if (host === undefined) {
    throw new MillstreamError('SETTING_INVALID', {
      what: 'an address in KAFKA_BROKERS is not of the form host:port',
      where: { address },
      fix: 'Write for instance KAFKA_BROKERS=127.0.0.1:9092.',
    })
  }
  return { host, port: Number(found?.[3]) }
}

const useEnvironment = async (): Promise<KafkaHandle> => {
  const brokers = (process.env.KAFKA_BROKERS ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '')
  const answers = await Promise.all(
    brokers.map(addressParts).map(({ host, port }) => acceptsConnection(host, port, 5000)),
  )
  if (!answers.includes(true)) {
    throw new MillstreamError('BROKER_UNREACHABLE', {
      what: 'KAFKA_BROKERS is set, but nothing accepts a connection there',
      where: { KAFKA_BROKERS: brokers.join(',') || '(empty)' },
      fix: 'Start that broker, or unset KAFKA_BROKERS so that Docker or Java is used.',
    })
  }
  const how = `Kafka at ${brokers.join(',')}, because KAFKA_BROKERS is set`
  const stop = (): Promise<void> => Promise.resolve()
  return { brokers, backend: 'env', how, stop, [Symbol.asyncDispose]: stop }
}

const useDocker = async (
  engine: string,
  options: StartKafkaOptions,
  onProgress: Progress,
): Promise<KafkaHandle> => {
  const version = fullVersion(options.version)
  const broker = await startDockerBroker({ ...options, version, onProgress })
  return {
    brokers: [broker.address],
    backend: 'docker',
    how: `Apache Kafka ${version} in a container at ${broker.address}, because a Docker engine answers at ${engine}`,
    version,
    stop: broker.stop,
    [Symbol.asyncDispose]: broker.stop,
  }
}

const useJvm = async (
  why: string,
  options: StartKafkaOptions,
  onProgress: Progress,
): Promise<JvmKafkaHandle> => {
  const version = fullVersion(options.version)
  const broker = await startJvmBroker({ ...options, version, onProgress })
  return {
    brokers: [broker.address],
    backend: 'jvm',
    how: `Apache Kafka ${version} as a Java process (pid ${broker.pid}) at ${broker.address}, because ${why}`,
    version,
    get pid() {
      return broker.pid
    },
    logFile: broker.logFile,
    dataDirectory: broker.dataDirectory,
    kill: (signal) => broker.kill(signal),
    restart: () => broker.restart(),
    stop: () => broker.stop(),
    [Symbol.asyncDispose]: () => broker.stop(),
  }
}

/**
 * Finds or starts a broker: KAFKA_BROKERS, else Docker, else Java with Maven.
 * @throws MillstreamError BROKER_UNREACHABLE (KAFKA_BROKERS answers nothing), KAFKA_NOT_AVAILABLE (no way at hand),
 * KAFKA_START_FAILED (it was started and did not come up).
 */
export async function startKafka(
  options: StartKafkaOptions & { readonly backend: 'jvm' },
): Promise<JvmKafkaHandle>
export async function startKafka(options?: StartKafkaOptions): Promise<KafkaHandle>
export async function startKafka(options: StartKafkaOptions = {}): Promise<KafkaHandle> {
  const onProgress = options.onProgress ?? (() => undefined)
  const { backend } = options
  if (backend === 'jvm') return useJvm('Java was asked for', options, onProgress)
  if (backend === 'env' || (backend === undefined && process.env.KAFKA_BROKERS)) return useEnvironment()
  const engine = await findDockerEngine()
  if (backend === 'docker' && engine === undefined) {
    throw new MillstreamError('KAFKA_NOT_AVAILABLE', {
      what: 'a broker in Docker was asked for, but no Docker engine answers',
      fix: 'Start Docker, or set DOCKER_HOST to where it listens.',
    })
  }
  if (engine === undefined)
    return useJvm('KAFKA_BROKERS is not set and no Docker engine answers', options, onProgress)
  try {
    return await useDocker(engine, options, onProgress)
  } catch (error) {
    if (backend === 'docker') throw error
    const reason = ensureError(error).message.slice(0, 300)
    onProgress(`a Docker engine answers at ${engine}, but gave no broker (${reason}): using Java instead`)
    return useJvm(`KAFKA_BROKERS is not set and Docker gave no broker (${reason})`, options, onProgress)
  }
}
