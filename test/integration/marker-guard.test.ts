// When a producer looks at a partition before it writes to it: not while it knows that the leader has stayed, and again as
// soon as it does not (docs/decisions/0014-marker-guard.md). What it does about what it finds: hanging.test.ts.
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Cluster } from '../../src/client/cluster.ts'
import type { TransactionalProducer } from '../../src/client/transactional-producer.ts'
import { connect, until } from '../support/client.ts'
import { brokerAddress } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { uniqueTopic } from '../support/kafka.ts'
import { outputOf } from '../support/numbered.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import { commit, producerOn, send } from '../support/transactional-producer.ts'

const DESCRIBE_PRODUCERS = 61

const resources = new AsyncDisposableStack()
let judge: Judge
let proxy: KafkaProxy
let cluster: Cluster

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
  resources.defer(() => judge.stop())
  proxy = await KafkaProxy.start(brokerAddress())
  resources.defer(() => proxy.stop())
  cluster = await connect({ brokers: [proxy.address] })
  resources.defer(() => cluster.close())
})

afterAll(async () => {
  await resources.disposeAsync()
})

interface Watched {
  readonly topic: string
  /** Commits a record. @returns what was asked of the leader of its partition meanwhile, in order */
  write(value: string): Promise<string[]>
}

/** A producer that knows its partition: it has looked, over the connection that it has now. */
const settled = async (name: string): Promise<Watched> => {
  const topic = uniqueTopic(name)
  await judge.createTopics({ name: topic })
  const producer: TransactionalProducer = producerOn(cluster, `${topic}.one.0`)
  await producer.init(true)
  const write = async (value: string): Promise<string[]> => {
    const asked: string[] = []
    const { rules } = proxy
    proxy.rules = {
      request: (request) => {
        if (request.apiKey === apiKeys.Produce) asked.push('Produce')
        else if (request.apiKey === DESCRIBE_PRODUCERS && request.bytes.includes(topic)) asked.push('look')
        return rules.request?.(request) ?? 'pass'
      },
    }
    producer.begin()
    send(producer, topic, 0, value)
    await producer.flush()
    await commit(producer, topic)
    proxy.rules = {}
    return asked
  }
  // A topic that was just created may refuse the first produce: that is repeated, each time behind another look.
  const first = await write('first')
  expect(first.join(' ')).toMatch(/^look Produce( look Produce)*$/)
  // By the second look it has a connection that may stay.
  await write('second')
  expect(await write('third')).toEqual(['Produce'])
  return { topic, write }
}

it('a leader whose connection was lost while nothing was to be done is looked at again, once', async () => {
  const { topic, write } = await settled('guard-idle')
  const leader = cluster.partition(topic, 0)?.leader as number
  proxy.cutAll()
  await until('the loss', () => cluster.connection(leader, 'produce') === undefined)
  expect(await write('fourth')).toEqual(['look', 'Produce'])
  await write('fifth')
  expect(await write('sixth')).toEqual(['Produce'])
  expect(await outputOf(judge, topic)).toEqual(['first', 'second', 'third', 'fourth', 'fifth', 'sixth'])
})

it('a leader whose loss shows by the produce alone is looked at before that is repeated', async () => {
  const { topic, write } = await settled('guard-half-open')
  // The machine went without a word, and what answers at the other end by now knows nothing of the connection.
  let lost = false
  proxy.rules = {
    request: ({ apiKey }) => {
      if (lost || apiKey !== apiKeys.Produce) return 'pass'
      lost = true
      return 'cut'
    },
  }
  expect(await write('fourth')).toEqual(['Produce', 'look', 'Produce'])
  expect(await outputOf(judge, topic)).toEqual(['first', 'second', 'third', 'fourth'])
})
