// The brokers that rows may hurt, one or three, and the judge that reads them.
import { randomClusterId } from '../../../src/testing/kafka/jvm-broker.ts'
import { freePort } from '../../../src/testing/kafka/probe.ts'
import { type JvmKafkaHandle, startKafka } from '../../../src/testing/kafka/start-kafka.ts'
import { type Judge, startJudge } from '../../support/judge.ts'
import { KafkaProxy } from '../../support/proxy.ts'

export interface Grounds {
  readonly kafkas: readonly JvmKafkaHandle[]
  readonly judge: Judge
  /** What the brokers say to each other goes through these, one in front of each; empty where it does not. */
  readonly between: readonly KafkaProxy[]
}

/** What a row stands on: brokers that it shares with other rows, or some of its own. */
export interface GroundsWanted {
  readonly brokers: 1 | 3
  /** Settings of brokers of its own. */
  readonly brokerSettings?: Readonly<Record<string, string>> | undefined
  /** Three brokers of its own, with proxies between them. */
  readonly proxied?: boolean | undefined
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

/** A listener for the other brokers alone, which are told that it is at the proxy. */
const betweenBrokers = (
  proxy: KafkaProxy,
  listeners: string,
  port: number,
  clientPort: number,
): Record<string, string> => ({
  listeners: `${listeners},BETWEEN://127.0.0.1:${port}`,
  'advertised.listeners': `PLAINTEXT://127.0.0.1:${clientPort},BETWEEN://${proxy.address}`,
  'inter.broker.listener.name': 'BETWEEN',
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,BETWEEN:PLAINTEXT',
})

const nodes = [1, 2, 3] as const

/** Three brokers that are controllers too: they come up together or not at all. */
const startThree = async (
  brokerSettings: Readonly<Record<string, string>>,
  ports: readonly number[],
  between: readonly KafkaProxy[],
  onProgress: (line: string) => void,
): Promise<JvmKafkaHandle[]> => {
  const portOf = (node: number, use: 0 | 1 | 2): number => ports[node - 1 + nodes.length * use] as number
  const clusterId = randomClusterId()
  return await Promise.all(
    nodes.map((node) => {
      const listeners = `PLAINTEXT://127.0.0.1:${portOf(node, 0)},CONTROLLER://127.0.0.1:${portOf(node, 1)}`
      const proxy = between[node - 1]
      return startKafka({
        backend: 'jvm',
        port: portOf(node, 0),
        clusterId,
        heapMb: 400,
        onProgress,
        brokerSettings: {
          ...common,
          ...replicated,
          ...brokerSettings,
          'node.id': String(node),
          'controller.quorum.voters': nodes.map((one) => `${one}@127.0.0.1:${portOf(one, 1)}`).join(','),
          ...(proxy === undefined
            ? { listeners }
            : betweenBrokers(proxy, listeners, portOf(node, 2), portOf(node, 0))),
        },
      })
    }),
  )
}

/** Starts what is wanted; all of it ends with the stack. */
export const openGrounds = async (
  { brokers, brokerSettings = {}, proxied }: GroundsWanted,
  resources: AsyncDisposableStack,
  onProgress: (line: string) => void,
): Promise<Grounds> => {
  const ports = await freePorts(3 * nodes.length)
  const between: KafkaProxy[] = []
  for (const port of proxied === true ? ports.slice(2 * nodes.length) : []) {
    const proxy = await KafkaProxy.start(`127.0.0.1:${port}`)
    resources.defer(() => proxy.stop())
    between.push(proxy)
  }
  const kafkas =
    brokers === 3
      ? await startThree(brokerSettings, ports, between, onProgress)
      : [
          await startKafka({
            backend: 'jvm',
            brokerSettings: { ...common, ...brokerSettings },
            onProgress,
          }),
        ]
  for (const kafka of kafkas) resources.use(kafka)
  const addresses = kafkas.flatMap((kafka) => kafka.brokers)
  return { kafkas, judge: resources.use(await startJudge(addresses, onProgress)), between }
}
