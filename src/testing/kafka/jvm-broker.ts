// Owns one Apache Kafka broker as a JVM process (KRaft, broker and controller in one): its data directory, its settings,
// the formatting of its storage, start, stop, kill and restart.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { MillstreamError } from '../../errors.ts'
import { type GuardedProcess, spawnGuarded } from './guarded-process.ts'
import { brokerJars, javaCommand, type Progress } from './jars.ts'
import { acceptsConnection, answersKafka, freePort, waitUntil } from './probe.ts'

export interface JvmBrokerOptions {
  readonly version: string
  /** Where settings, log and data go; kept after stop. Without it a temporary directory is used and removed. */
  readonly dataDirectory?: string | undefined
  readonly port?: number | undefined
  readonly brokerSettings?: Readonly<Record<string, string>> | undefined
  /** Maximum heap of the broker; default 512. */
  readonly heapMb?: number | undefined
  /** Brokers of one cluster have the same; default: a random one. */
  readonly clusterId?: string | undefined
  /** Full JIT compilation and a parallel collector instead of a light, quickly started JVM. */
  readonly forBenchmark?: boolean | undefined
  readonly onProgress: Progress
}

export interface JvmBroker {
  readonly address: string
  readonly dataDirectory: string
  readonly logFile: string
  /** Pid of the JVM that was started last. */
  readonly pid: number
  isRunning(): boolean
  kill(signal: NodeJS.Signals): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

const startTimeoutMs = 60_000
const stopGraceMs = 10_000
/** The words of the JVM when it cannot bind. */
const portTaken = 'Address already in use'

const defaultSettings = (
  port: number,
  controllerPort: number,
  directory: string,
): Record<string, string> => ({
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
  listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
  'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
  'inter.broker.listener.name': 'PLAINTEXT',
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
  'log.dirs': path.join(directory, 'data'),
  'num.partitions': '1',
  // A missing topic is to be an error, as it is in production.
  'auto.create.topics.enable': 'false',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
})

const jvmArguments = (options: JvmBrokerOptions, jars: string): string[] => [
  `-Xmx${options.heapMb ?? 512}m`,
  ...(options.forBenchmark === true
    ? ['-XX:+UseParallelGC']
    : ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']),
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
  '-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn',
  '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn',
  '-cp',
  path.join(jars, '*'),
]

/** A random cluster id: 16 bytes in URL-safe base64 that do not begin with a dash (an option to the tool). */
export const randomClusterId = (): string => randomBytes(16).toString('base64url').replace(/^-/, 'a')

const formatStorage = async (settingsFile: string, jars: string, clusterId: string): Promise<void> => {
  const light = [
    '-Xmx256m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  ]
  const tool = ['-cp', path.join(jars, '*'), 'kafka.tools.StorageTool']
  const command = ['format', '--cluster-id', clusterId, '--config', settingsFile]
  try {
    await promisify(execFile)(javaCommand(), [...light, ...tool, ...command], { timeout: startTimeoutMs })
  } catch (cause) {
    const { stderr, stdout } = cause as { stderr?: string; stdout?: string }
    throw new MillstreamError('KAFKA_START_FAILED', {
      what: `the storage of the broker could not be formatted: ${(stderr || stdout || String(cause)).trim().slice(-2000)}`,
      where: { settings: settingsFile },
      cause,
    })
  }
}

const tailOf = (file: string): string => {
  try {
    return fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(-25).join('\n')
  } catch {
    return '(no log)'
  }
}

class JvmBrokerProcess implements JvmBroker {
  readonly address: string
  readonly dataDirectory: string
  readonly logFile: string
  readonly #port: number
  readonly #options: JvmBrokerOptions
  readonly #jars: string
  readonly #isTemporary: boolean
  #process: GuardedProcess | undefined

  constructor(
    options: JvmBrokerOptions,
    jars: string,
    port: number,
    directory: string,
    isTemporary: boolean,
  ) {
    this.#options = options
    this.#jars = jars
    this.#port = port
    this.#isTemporary = isTemporary
    this.address = `127.0.0.1:${port}`
    this.dataDirectory = directory
    this.logFile = path.join(directory, 'kafka.log')
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  isRunning(): boolean {
    return this.#process?.isRunning() === true
  }

  async start(): Promise<void> {
    // Else a foreign broker on this port would be taken for ours while our JVM still fails to bind.
    if (await acceptsConnection('127.0.0.1', this.#port, 1000)) {
      throw new MillstreamError('KAFKA_START_FAILED', { what: portTaken, where: { port: this.#port } })
    }
    const log = fs.openSync(this.logFile, 'a')
    const settings = path.join(this.dataDirectory, 'server.properties')
    const args = [...jvmArguments(this.#options, this.#jars), 'kafka.Kafka', settings]
    try {
      this.#process = await spawnGuarded(javaCommand(), args, {
        cwd: this.dataDirectory,
        stdio: ['ignore', log, log],
        removeWithUs: this.#isTemporary ? this.dataDirectory : undefined,
      })
    } finally {
      fs.closeSync(log)
    }
    const running = this.#process
    const answered = await waitUntil(
      async () => !running.isRunning() || (await answersKafka('127.0.0.1', this.#port, 2000)),
      startTimeoutMs,
    )
    if (answered && running.isRunning()) return
    const end = running.isRunning() ? `did not answer within ${startTimeoutMs} ms` : 'ended while starting'
    await running.stop(2000)
    throw new MillstreamError('KAFKA_START_FAILED', {
      what: `the Kafka broker (version ${this.#options.version}) ${end}; the end of its log:\n${tailOf(this.logFile)}\n`,
      where: { log: this.#isTemporary ? undefined : this.logFile, port: this.#port },
    })
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#process?.kill(signal)
    if (signal === 'SIGKILL') await this.#process?.ended
  }

  async restart(): Promise<void> {
    await this.#process?.stop(stopGraceMs)
    await this.start()
  }

  async stop(): Promise<void> {
    // Nobody reads a temporary directory again: its broker needs no orderly shutdown, which takes seconds.
    await this.#process?.stop(this.#isTemporary ? 500 : stopGraceMs)
    if (this.#isTemporary) fs.rmSync(this.dataDirectory, { recursive: true, force: true, maxRetries: 5 })
  }
}

const prepare = async (
  options: JvmBrokerOptions,
  jars: string,
  directory: string,
  port: number,
): Promise<void> => {
  let controllerPort = await freePort()
  while (controllerPort === port) controllerPort = await freePort()
  const settings = { ...defaultSettings(port, controllerPort, directory), ...options.brokerSettings }
  const file = path.join(directory, 'server.properties')
  fs.writeFileSync(
    file,
    Object.entries(settings)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  if (!fs.existsSync(path.join(directory, 'data', 'meta.properties')))
    await formatStorage(file, jars, options.clusterId ?? randomClusterId())
}

/**
 * Starts a broker and waits until it answers.
 * @throws MillstreamError KAFKA_NOT_AVAILABLE (no Java, no Maven) or KAFKA_START_FAILED (with the end of its log).
 */
export async function startJvmBroker(options: JvmBrokerOptions): Promise<JvmBroker> {
  const jars = await brokerJars(options.version, options.onProgress)
  const isTemporary = options.dataDirectory === undefined
  for (let attempt = 1; ; attempt++) {
    const directory = isTemporary
      ? fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-kafka-'))
      : path.resolve(options.dataDirectory)
    fs.mkdirSync(directory, { recursive: true })
    const port = options.port ?? (await freePort())
    const broker = new JvmBrokerProcess(options, jars, port, directory, isTemporary)
    try {
      await prepare(options, jars, directory, port)
      options.onProgress(`starting Apache Kafka ${options.version} on ${broker.address}`)
      await broker.start()
      return broker
    } catch (error) {
      const isPortTaken = `${String(error)}${tailOf(broker.logFile)}`.includes(portTaken)
      await broker.stop()
      // Between the choice of a port and the JVM's bind somebody else may have taken it.
      if (!isPortTaken || options.port !== undefined || attempt === 3) throw error
    }
  }
}
