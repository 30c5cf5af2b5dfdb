// The brokers that rows may hurt, one or three, and the judge that reads them.
import { randomClusterId } from '../../../src/testing/kafka/jvm-broker.ts'
import { freePort } from '../../../src/testing/kafka/probe.ts'
import { type JvmKafkaHandle, startKafka } from '../../../src/testing/kafka/start-kafka.ts'
import { type Judge, startJudge } from '../../support/judge.ts'

export interface Grounds {
  readonly kafkas: readonly JvmKafkaHandle[]
  readonly judge: Judge
}

/** What died in the middle is cleaned up soon, and changelogs are compacted at once where a row asks for it. */
const common = {
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '500',
  'log.cleaner.backoff.ms': '200',
}

const replicated = {
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  'share.coordinator.state.topic.replication.factor': '3',
  'share.coordinator.state.topic.min.isr': '2',
}

const freePorts = async (count: number): Promise<number[]> => {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(await freePort())
  return [...ports]
}

/** Three brokers that are controllers too: they come up together or not at all. */
const startThree = async (onProgress: (line: string) => void): Promise<JvmKafkaHandle[]> => {
  const nodes = [1, 2, 3] as const
  const ports = await freePorts(6)
  const portOf = (node: number): number => ports[node - 1] as number
  const controllerOf = (node: number): number => ports[node + 2] as number
  const clusterId = randomClusterId()
  return await Promise.all(
    nodes.map((node) =>
      startKafka({
        backend: 'jvm',
        port: portOf(node),
        clusterId,
        heapMb: 400,
        onProgress,
        brokerSettings: {
          ...common,
          ...replicated,
          'node.id': String(node),
          'controller.quorum.voters': nodes.map((one) => `${one}@127.0.0.1:${controllerOf(one)}`).join(','),
          listeners: `PLAINTEXT://127.0.0.1:${portOf(node)},CONTROLLER://127.0.0.1:${controllerOf(node)}`,
        },
      }),
    ),
  )
}

/** Starts what has not been started; all of it ends with the stack. */
export const openGrounds = async (
  brokers: 1 | 3,
  resources: AsyncDisposableStack,
  onProgress: (line: string) => void,
): Promise<Grounds> => {
  const kafkas =
    brokers === 3
      ? await startThree(onProgress)
      : [await startKafka({ backend: 'jvm', brokerSettings: common, onProgress })]
  for (const kafka of kafkas) resources.use(kafka)
  const addresses = kafkas.flatMap((kafka) => kafka.brokers)
  return { kafkas, judge: resources.use(await startJudge(addresses, onProgress)) }
}
