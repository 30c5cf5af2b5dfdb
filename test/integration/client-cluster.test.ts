// The first contact and the connections, on a real broker and on things that are none.
import net, { type AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { wasNeverSent } from '../../src/client/connection.ts'
import { listOffsets } from '../../src/client/offsets.ts'
import { createTopics, deleteRecords, describeTopics, topicSettings } from '../../src/client/topic-admin.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { findCoordinator } from '../../src/protocol/find-coordinator.ts'
import { joinGroup } from '../../src/protocol/join-group.ts'
import { metadata } from '../../src/protocol/metadata.ts'
import { clusterSettings, connect, inMs, until } from '../support/client.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'

const servers: net.Server[] = []

/** A server on a free port of this machine. @returns its address */
const serve = async (onConnection: (socket: net.Socket) => void): Promise<string> => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  servers.push(server)
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

describe('a first contact that fails', () => {
  const failure = (brokers: readonly string[], more: object = {}): Promise<Error & { code: string }> =>
    connect({ brokers, connectionTimeoutMs: 500, ...more }).then(
      async (cluster) => {
        await cluster.close()
        throw new Error('it connected')
      },
      (error: Error & { code: string }) => error,
    )

  it('names every address with its own error', async () => {
    const closed = await serve(() => {})
    servers.pop()?.close()
    const silent = await serve(() => {})
    const error = await failure([closed, silent])
    expect(error.code).toBe('BROKER_UNREACHABLE')
    expect(error.message).toMatch(
      new RegExp(`${closed} \\(connect ECONNREFUSED.*${silent} \\(did not answer within 500 ms`),
    )
  })

  it('tells a web server from a broker at once', async () => {
    const web = await serve((socket) =>
      socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    )
    const error = await failure([web], { connectionTimeoutMs: 20_000 })
    expect(error.code).toBe('BROKER_UNREACHABLE')
    expect(error.message).toContain('is no Kafka broker: its first bytes are "HTTP/1.1 400 Bad"')
  })

  it('tells a listener that wants TLS', async () => {
    const alert = await serve((socket) =>
      socket.on('data', () => socket.end(Buffer.from('15030300020250', 'hex'))),
    )
    expect((await failure([alert])).message).toContain('TLS')
  })

  it('reports that TLS was met by a listener without it', async () => {
    const error = await failure(kafkaBrokers(), { tls: true })
    expect(error.code).toBe('BROKER_UNREACHABLE')
  })

  it('goes on to the next address', async () => {
    const silent = await serve(() => {})
    const cluster = await connect({ brokers: [silent, ...kafkaBrokers()], connectionTimeoutMs: 1000 })
    expect(cluster.clusterId).not.toBe('')
    await cluster.close()
  })
})

describe('requests', () => {
  let cluster: Cluster
  let judge: Judge
  let node: number
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)

  beforeAll(async () => {
    process.on('warning', onWarning)
    judge = await startJudge(kafkaBrokers())
    cluster = await connect()
    node = cluster.brokers()[0]?.nodeId ?? -1
  })

  afterAll(async () => {
    await cluster.close()
    await judge.stop()
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
  })

  it('takes the version of transactions from the finalized feature', async () => {
    const { 'transaction.version': level = 0 } = await judge.features()
    expect(cluster.transactionVersion).toBe(level >= 2 ? 2 : 1)
  })

  it('finds coordinators and remembers them', async () => {
    const group = uniqueTopic('group')
    expect(await cluster.coordinator('group', group)).toBe(await cluster.coordinator('group', group))
    expect(await cluster.coordinator('transaction', uniqueTopic('tx'))).toBeGreaterThanOrEqual(0)
  })

  it('does not send what was interrupted while it waited for its connection', async () => {
    const proxy = await KafkaProxy.start(kafkaBrokers()[0] as string)
    const fresh = await connect({ brokers: [proxy.address] })
    const opened = Promise.withResolvers<void>()
    const asked: number[] = []
    proxy.rules = {
      request: ({ apiKey }) => {
        asked.push(apiKey)
        return apiKey === apiKeys.ApiVersions ? { until: opened.promise } : 'pass'
      },
    }
    const request = { keyType: 'group', keys: [uniqueTopic('group')] } as const
    const given = fresh.send(node, 'produce', findCoordinator, request).catch((error: unknown) => error)
    await until('the opening', () => asked.length > 0)
    fresh.interrupt(node, 'produce')
    const error = await given
    expect(error).toMatchObject({ code: 'CONNECTION_LOST' })
    expect(wasNeverSent(error)).toBe(true)
    const later = fresh.send(node, 'produce', metadata, { topics: [] })
    opened.resolve()
    await later
    expect(asked).toEqual([apiKeys.ApiVersions, apiKeys.Metadata])
    await fresh.close()
    await proxy.stop()
  })

  it('writes requests in the order of the calls while the connection is being opened', async () => {
    const fresh = await connect()
    const order: number[] = []
    const sends = Array.from({ length: 20 }, (_, index) =>
      fresh.send(node, 'produce', metadata, { topics: [] }).then(() => order.push(index)),
    )
    // One of them comes while the first ones wait for the opening to end.
    await Promise.all(sends)
    expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index))
    await fresh.close()
  })

  it('keeps a waiting request of one role from holding up another role', async () => {
    const topic = uniqueTopic('roles')
    await createTopics(cluster, nodePorts, [{ topic, partitions: 1 }], inMs(15_000))
    const partition = { partition: 0, currentLeaderEpoch: -1, fetchOffset: 0, maxBytes: 1000 }
    const waiting = {
      maxWaitMs: 1500,
      minBytes: 1,
      maxBytes: 1000,
      isolationLevel: 'read_committed',
      topics: [{ topic, partitions: [partition] }],
    } as const
    // A leader that has not heard yet that it is one refuses at once.
    const isLed = async (): Promise<boolean> => {
      const { topics } = await cluster.send(node, 'fetch', fetch, { ...waiting, maxWaitMs: 0 })
      return topics[0]?.partitions[0]?.errorCode === 0
    }
    await expect.poll(isLed).toBe(true)
    const began = inMs(0)
    const slow = cluster.send(node, 'fetch', fetch, waiting).then(() => inMs(0) - began)
    await cluster.send(node, 'admin', metadata, { topics: [] })
    expect(inMs(0) - began).toBeLessThan(1000)
    expect(await slow).toBeGreaterThan(1400)
  })

  it('rejects a request that is not answered in time, and goes on with a new connection', async () => {
    const group = uniqueTopic('timeout')
    const join = {
      groupId: group,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [{ name: 'p', metadata: Buffer.alloc(0) }],
      reason: null,
    }
    const first = await cluster.send(node, 'group', joinGroup, join)
    await cluster.send(node, 'group', joinGroup, { ...join, memberId: first.memberId })
    // A second member: its join waits for the first one, which never comes.
    const second = await cluster.send(node, 'group', joinGroup, join)
    const waiting = cluster.send(
      node,
      'group',
      joinGroup,
      { ...join, memberId: second.memberId },
      { timeoutMs: 300 },
    )
    const behind = cluster.send(node, 'group', metadata, { topics: [] })
    await expect(waiting).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
    await expect(behind).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(await cluster.send(node, 'group', metadata, { topics: [] })).toMatchObject({
      clusterId: cluster.clusterId,
    })
  })

  it('says of a request on a connection that cannot be opened that it was never sent', async () => {
    const error: unknown = await cluster
      .send(4711, 'admin', metadata, { topics: [] })
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'CONNECTION_LOST' })
    expect(wasNeverSent(error)).toBe(true)
  })

  it('rejects what is in flight when it is closed, and everything afterwards', async () => {
    const fresh = await connect()
    const group = uniqueTopic('closing')
    await fresh.coordinator('group', group)
    const inFlight = fresh.send(node, 'group', metadata, { topics: null })
    const failed = expect(inFlight).rejects.toMatchObject({
      code: expect.stringMatching(/CLOSED|CONNECTION_LOST/) as string,
    })
    await fresh.close()
    await failed
    await expect(fresh.refreshMetadata([])).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('topics', () => {
  let cluster: Cluster
  let judge: Judge

  beforeAll(async () => {
    judge = await startJudge(kafkaBrokers())
    cluster = await connect()
  })

  afterAll(async () => {
    await cluster.close()
    await judge.stop()
  })

  it('creates topics with settings, and takes those that are there', async () => {
    const topic = uniqueTopic('created')
    expect(await describeTopics(cluster, [topic])).toEqual([
      { topic, exists: false, partitions: 0, topicId: '', internal: false },
    ])
    const spec = { topic, partitions: 3, settings: { 'cleanup.policy': 'compact', 'retention.ms': '-1' } }
    await createTopics(cluster, nodePorts, [spec], inMs(15_000))
    await createTopics(cluster, nodePorts, [spec], inMs(15_000))
    const [description] = await describeTopics(cluster, [topic])
    expect(description).toMatchObject({ exists: true, partitions: 3 })
    expect(description?.topicId).toMatch(/^[\w-]{22}$/)
    expect(cluster.partition(topic, 2)?.leader).toBeGreaterThanOrEqual(0)
    const settings = await topicSettings(cluster, [topic])
    expect(settings.get(topic)?.get('cleanup.policy')).toBe('compact')
    expect(settings.get(topic)?.get('retention.ms')).toBe('-1')
  })

  it('refuses a topic with another number of partitions, and an unknown setting', async () => {
    const topic = uniqueTopic('mismatch')
    await createTopics(cluster, nodePorts, [{ topic, partitions: 1 }], inMs(15_000))
    await expect(
      createTopics(cluster, nodePorts, [{ topic, partitions: 2 }], inMs(15_000)),
    ).rejects.toMatchObject({
      code: 'TOPIC_MISMATCH',
      where: { topic },
    })
    const spec = { topic: uniqueTopic('setting'), partitions: 1, settings: { 'no.such.setting': '1' } }
    await expect(createTopics(cluster, nodePorts, [spec], inMs(15_000))).rejects.toThrow(/no\.such\.setting/)
  })

  it('deletes records and lists where partitions begin and end', async () => {
    const topic = uniqueTopic('ends')
    await createTopics(cluster, nodePorts, [{ topic, partitions: 2 }], inMs(15_000))
    await judge.produce(
      topic,
      [1, 2, 3, 4, 5].map((n) => ({ partition: 0, value: `v${n}` })),
    )
    const both = [
      { topic, partition: 1 },
      { topic, partition: 0 },
    ]
    expect(
      await listOffsets(cluster, nodePorts, both, 'latest', 'read_committed', inMs(10_000)),
    ).toMatchObject([
      { partition: 1, offset: 0 },
      { partition: 0, offset: 5 },
    ])
    await deleteRecords(cluster, nodePorts, [{ topic, partition: 0, offset: 3 }], inMs(10_000))
    expect(
      await listOffsets(cluster, nodePorts, both, 'earliest', 'read_committed', inMs(10_000)),
    ).toMatchObject([
      { partition: 1, offset: 0 },
      { partition: 0, offset: 3 },
    ])
  })

  it('names a topic or partition that is not there', async () => {
    const topic = uniqueTopic('nowhere')
    const ask = (partition: number) =>
      listOffsets(cluster, nodePorts, [{ topic, partition }], 'latest', 'read_committed', inMs(5000))
    await expect(ask(0)).rejects.toMatchObject({ code: 'TOPIC_MISSING', where: { topic } })
    await createTopics(cluster, nodePorts, [{ topic, partitions: 1 }], inMs(15_000))
    await expect(ask(7)).rejects.toThrow(/has 1 partitions only/)
  })

  it('refuses settings without an address', async () => {
    await expect(
      Cluster.connect(clusterSettings({ brokers: [] }), nodePorts, silentLogger),
    ).rejects.toMatchObject({
      code: 'SETTING_INVALID',
    })
  })
})
