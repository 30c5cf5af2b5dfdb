// A broker of our own: version 3.9, which has only version 1 of transactions, with a listener that wants a login, and
// which is killed and comes back.
import net, { type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { Fetcher } from '../../src/client/fetcher.ts'
import { GroupMember } from '../../src/client/group-member.ts'
import { fetchCommitted } from '../../src/client/offsets.ts'
import { createTopics } from '../../src/client/topic-admin.ts'
import { metadata } from '../../src/protocol/metadata.ts'
import { type JvmKafkaHandle, startKafka } from '../../src/testing/kafka/start-kafka.ts'
import { connect, inMs, recordsOf, until } from '../support/client.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { uniqueTopic } from '../support/kafka.ts'

const freePort = async (): Promise<number> => {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

let kafka: JvmKafkaHandle
let judge: Judge
let saslAddress: string

beforeAll(async () => {
  const [port, controllerPort, saslPort] = [await freePort(), await freePort(), await freePort()]
  saslAddress = `127.0.0.1:${saslPort}`
  const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret";'
  kafka = (await startKafka({
    backend: 'jvm',
    version: '3.9',
    port,
    brokerSettings: {
      'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},LOGIN://${saslAddress}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},LOGIN://${saslAddress}`,
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT',
      'listener.name.login.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.login.plain.sasl.jaas.config': login,
      'listener.name.login.connections.max.reauth.ms': '12000',
    },
  })) as JvmKafkaHandle
  judge = await startJudge(kafka.brokers)
})

afterAll(async () => {
  await judge.stop()
  await kafka.stop()
})

describe('a broker of version 3.9', () => {
  it('is used with version 1 of transactions', async () => {
    const cluster = await connect({ brokers: kafka.brokers })
    expect(cluster.transactionVersion).toBe(1)
    await cluster.close()
  })
})

describe('a listener that wants a login', () => {
  const sasl = { mechanism: 'plain', username: 'alice', password: 'alice-secret' } as const

  it('takes the right one, and takes it again when the session is about to end', async () => {
    const cluster = await connect({ brokers: [saslAddress], sasl })
    const node = cluster.brokers()[0]?.nodeId as number
    // The session lasts 12 s and is renewed 10 s before its end; without that the broker ends it within this time.
    const end = inMs(13_000)
    let answered = 0
    while (inMs(0) < end) {
      await Promise.all([1, 2, 3].map(() => cluster.send(node, 'produce', metadata, { topics: [] })))
      answered++
      await nodePorts.timers.sleep(150)
    }
    expect(answered).toBeGreaterThan(10)
    await cluster.close()
  })

  it('refuses a wrong one at once, naming the user and not the password', async () => {
    const wrong = connect({
      brokers: [saslAddress, ...kafka.brokers],
      sasl: { ...sasl, password: 'not-this' },
    })
    const error: Error = await wrong.then(
      () => new Error('it connected'),
      (thrown: Error) => thrown,
    )
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', where: { broker: saslAddress } })
    expect(error.message).toContain('"alice"')
    expect(error.message).not.toContain('not-this')
  })

  it('names a mechanism that it does not offer', async () => {
    await expect(
      connect({ brokers: [saslAddress], sasl: { ...sasl, mechanism: 'scram-sha-256' } }),
    ).rejects.toMatchObject({
      code: 'AUTHENTICATION_FAILED',
    })
  })

  it('is met without a login: the error thinks of it', async () => {
    await expect(connect({ brokers: [saslAddress] })).rejects.toThrow(/BROKER_UNREACHABLE.*wants TLS or SASL/)
  })
})

describe('a broker that is killed and comes back', () => {
  it('is read on where reading stopped, and the group member stays what it was', async () => {
    const cluster = await connect({ brokers: kafka.brokers, requestTimeoutMs: 5000 })
    const topic = uniqueTopic('restart')
    const group = uniqueTopic('group')
    await createTopics(cluster, nodePorts, [{ topic, partitions: 1 }], inMs(15_000))
    const write = (value: string) => judge.produce(topic, [{ partition: 0, value }])
    const settings = {
      groupId: group,
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 10_000,
      heartbeatIntervalMs: 200,
    }
    const protocol = { name: 'p', metadata: () => Buffer.alloc(0), assign: () => new Map<string, Buffer>() }
    const member = new GroupMember(cluster, nodePorts, settings, protocol, silentLogger, () => {})
    const joined = await member.join()
    const fetcher = new Fetcher(cluster, nodePorts, {
      role: 'fetch',
      isolation: 'read_committed',
      maxBytes: 1_000_000,
      partitionMaxBytes: 1_000_000,
      maxWaitMs: 200,
      bufferedBytesMax: 1_000_000,
      log: silentLogger,
      onData: () => {},
    })
    fetcher.add(topic, 0, 0)
    await write('before')
    expect(await until('the first record', () => recordsOf(fetcher.take())[0])).toEqual({
      offset: 0,
      value: 'before',
    })
    await kafka.kill('SIGKILL')
    await expect(
      fetchCommitted(cluster, nodePorts, group, [{ topic, partition: 0 }], inMs(500)),
    ).rejects.toMatchObject({
      reaction: 'retry',
    })
    await kafka.restart()
    await write('after')
    expect(await until('the second record', () => recordsOf(fetcher.take())[0], 30_000)).toEqual({
      offset: 1,
      value: 'after',
    })
    const [position] = await fetchCommitted(
      cluster,
      nodePorts,
      group,
      [{ topic, partition: 0 }],
      inMs(20_000),
    )
    expect(position?.offset).toBe(-1)
    await nodePorts.timers.sleep(1000)
    expect(member).toMatchObject({ state: 'stable', memberId: joined.memberId })
    expect((await judge.describeGroup(group)).members.map(({ memberId }) => memberId)).toEqual([
      joined.memberId,
    ])
    await fetcher.close()
    await member.leave('test')
    await cluster.close()
  })
})
