// The broker under `millstream dev`: the one that the settings or KAFKA_BROKERS name; else one embedded in this process,
// which keeps its topics and records in a folder; with --broker real Apache Kafka, in Docker or by Java.
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import type { Logger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import { EmbeddedKafka } from '../embedded/embedded-kafka.ts'
import { isMillstreamError, MillstreamError } from '../errors.ts'
import { startKafka } from '../testing/kafka/start-kafka.ts'
import type { CommandLine } from './arguments.ts'

export interface DevBroker {
  readonly brokers: readonly string[]
  /** One sentence: which broker this is and why. */
  readonly how: string
  /** Where the stores of the workers belong. @param clusterId as the broker tells it */
  stateDirectory(clusterId: string): string
  stop(): Promise<void>
}

const defaultData = path.join('.millstream', 'dev')
const usualPort = 9092
const portsTried = 10
const addressFile = 'address'

const keptState = (data: string) => (clusterId: string) => path.join(data, clusterId)

/** The state of a cluster that ends with this process is of no use to anybody, however it ends. */
const passingState = (): string => {
  const temporary = mkdtempSync(path.join(os.tmpdir(), 'millstream-dev-'))
  process.once('exit', () => rmSync(temporary, { recursive: true, force: true }))
  return temporary
}

const startReal = async (data: string, say: (text: string) => void): Promise<DevBroker> => {
  const kafka = await startKafka({ onProgress: say })
  const { brokers, how } = kafka
  const stateDirectory = kafka.backend === 'env' ? keptState(data) : passingState
  return { brokers, how, stateDirectory, stop: () => kafka.stop() }
}

const isPortTaken = (error: unknown): boolean =>
  isMillstreamError(error) && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE'

/** Another process has the folder: it wrote down where its broker is. */
const inUse = (error: MillstreamError, data: string, directory: string): MillstreamError => {
  const address = nodePorts.disk.readText(path.join(directory, addressFile))?.trim()
  const join = address === undefined ? '' : `, or use its broker (KAFKA_BROKERS=${address})`
  return new MillstreamError(error.code, {
    what: 'another millstream dev runs in this folder',
    where: { data, by: error.where['by'] },
    fix: `End it${join}, or give this one a folder and a port of its own: --data DIR --port N.`,
  })
}

const startEmbedded = async ({ port, data = defaultData }: CommandLine, log: Logger): Promise<DevBroker> => {
  const directory = path.join(data, 'broker')
  const ports =
    port === undefined ? [...Array.from({ length: portsTried }, (_, at) => usualPort + at), 0] : [port]
  for (const candidate of ports) {
    try {
      const kafka = await EmbeddedKafka.start({ log, port: candidate, directory })
      const address = kafka.brokers.join(',')
      nodePorts.disk.writeText(path.join(directory, addressFile), `${address}\n`)
      const other = port === undefined && candidate !== usualPort ? ` (port ${usualPort} is taken)` : ''
      return {
        brokers: kafka.brokers,
        how: `embedded broker at ${address}${other}, for development only; it keeps topics and records in ${directory}`,
        stateDirectory: keptState(data),
        stop: () => {
          nodePorts.disk.remove(path.join(directory, addressFile))
          return kafka.close()
        },
      }
    } catch (error) {
      if (isMillstreamError(error) && error.code === 'STORE_LOCKED') throw inUse(error, data, directory)
      if (!isPortTaken(error) || candidate === ports.at(-1)) throw error
    }
  }
  throw new Error('there is always a free port')
}

const contradiction = (what: string): MillstreamError =>
  new MillstreamError('SETTING_INVALID', { what, fix: 'Leave one of them out.' })

/**
 * @param given the setting brokers
 * @throws MillstreamError SETTING_INVALID, KAFKA_START_FAILED, STORE_LOCKED, and what startKafka throws
 */
export const openDevBroker = async (
  line: CommandLine,
  given: readonly string[],
  log: Logger,
): Promise<DevBroker> => {
  const { broker, data = defaultData } = line
  const isEmbedded = broker === 'embedded' || (broker === undefined && !process.env['KAFKA_BROKERS'])
  if (given.length > 0 && broker === 'embedded')
    throw contradiction('--broker embedded contradicts the setting brokers')
  if (line.port !== undefined && (given.length > 0 || !isEmbedded))
    throw contradiction('--port is that of the embedded broker, and another broker is used here')
  if (given.length > 0) {
    const how = `Kafka at ${given.join(',')}, because the setting brokers says so`
    return { brokers: given, how, stateDirectory: keptState(data), stop: () => Promise.resolve() }
  }
  return isEmbedded ? startEmbedded(line, log) : startReal(data, (text) => log.info(text))
}
