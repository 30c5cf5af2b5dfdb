// The broker and the judge that all other integration tests stand on: they start, tell the truth, and leave nothing.
import { execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findDockerEngine } from '../../src/testing/kafka/docker-broker.ts'
import { answersKafka, waitUntil } from '../../src/testing/kafka/probe.ts'
import { type JvmKafkaHandle, startKafka } from '../../src/testing/kafka/start-kafka.ts'
import { type Compression, type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    // A process whose parent has not asked for its end yet is a zombie: gone for all that matters here.
    return !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

const portOf = (address: string | undefined): number => Number(address?.split(':').at(-1))

const withEnvironment = async <T>(
  name: string,
  value: string | undefined,
  work: () => Promise<T>,
): Promise<T> => {
  const before = process.env[name]
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
  try {
    return await work()
  } finally {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  }
}

describe('the judge', () => {
  let judge: Judge

  beforeAll(async () => {
    judge = await startJudge(kafkaBrokers())
  })

  afterAll(async () => {
    await judge.stop()
    expect(isAlive(judge.pid)).toBe(false)
  })

  it('reads back what it wrote, byte for byte', async () => {
    const topic = uniqueTopic('broker')
    await judge.createTopics({ name: topic, partitions: 2, settings: { 'retention.ms': '-1' } })
    await judge.produce(topic, [
      {
        partition: 1,
        key: 'k',
        value: 'v',
        timestamp: 1234,
        headers: [
          ['h', 'x'],
          ['h', null],
        ],
      },
      { partition: 1, key: null, value: Buffer.from([0, 255, 128]) },
      { partition: 0, key: Buffer.alloc(0), value: null },
    ])
    const { records, ends } = await judge.dump(topic)
    expect(ends).toEqual({ 0: 1, 1: 2 })
    const ofOne = records.filter((record) => record.partition === 1)
    expect(ofOne[0]).toEqual({
      partition: 1,
      offset: 0,
      timestamp: 1234,
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      headers: [
        ['h', Buffer.from('x')],
        ['h', null],
      ],
    })
    expect(ofOne[1]).toMatchObject({ offset: 1, key: null, value: Buffer.from([0, 255, 128]) })
    expect(records.find((record) => record.partition === 0)).toMatchObject({
      key: Buffer.alloc(0),
      value: null,
    })
    expect(await judge.topicSettings(topic)).toEqual({ 'retention.ms': '-1' })
  })

  it('tells committed from aborted and open transactions', async () => {
    const topic = uniqueTopic('broker-transactions')
    const group = uniqueTopic('broker-group')
    const id = uniqueTopic('broker-id')
    await judge.createTopics({ name: topic })
    const first = await judge.openProducer({ transactionalId: id, compression: 'lz4' })
    const second = await judge.openProducer({ transactionalId: `${id}-2` })
    await first.begin()
    await first.send(topic, [{ value: 'aborted' }])
    await second.begin()
    await second.send(topic, [{ value: 'committed' }])
    await second.sendOffsets(group, [{ topic, partition: 0, offset: 7, metadata: 'm' }])
    await first.abort()
    await second.commit()
    await first.begin()
    await first.send(topic, [{ value: 'open' }])

    const values = async (
      isolation: 'read_committed' | 'read_uncommitted',
      fromOffset = 0,
    ): Promise<string[]> =>
      (await judge.dump(topic, { isolation, fromOffset, maxPartitionFetchBytes: 1 })).records.map((r) =>
        String(r.value),
      )
    expect(await values('read_committed')).toEqual(['committed'])
    expect(await values('read_committed', 2)).toEqual([])
    expect(await values('read_uncommitted')).toEqual(['aborted', 'committed', 'open'])
    expect(await judge.offsets(topic)).toEqual([
      { partition: 0, earliest: 0, highWatermark: 5, lastStable: 4 },
    ])
    expect(await judge.groupOffsets(group)).toEqual([{ topic, partition: 0, offset: 7, metadata: 'm' }])
    expect(await judge.describeTransactions(id)).toMatchObject([
      { state: 'Ongoing', partitions: [[topic, 0]] },
    ])
    expect(await judge.listTransactions()).toContainEqual(
      expect.objectContaining({ transactionalId: id, state: 'Ongoing' }),
    )
    const producers = await judge.describeProducers(topic, 0)
    expect(producers.map((entry) => entry.openTransactionStart).sort()).toEqual([4, null])
    await first.abandon()
    expect(await judge.describeTransactions(id)).toMatchObject([{ state: 'Ongoing' }])
    await second.close()
  })

  it('returns more records than fit one line of its answer', async () => {
    const topic = uniqueTopic('broker-many')
    await judge.createTopics({ name: topic })
    await judge.produce(
      topic,
      Array.from({ length: 5001 }, (_, i) => ({ value: String(i) })),
    )
    const { records } = await judge.dump(topic)
    expect(records.map((record) => String(record.value))).toEqual(
      Array.from({ length: 5001 }, (_, i) => String(i)),
    )
  })

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as Compression[])(
    'encodes and decodes a batch (%s)',
    async (compression) => {
      const records = [
        { offset: 40, timestamp: 5, key: 'k', value: 'v'.repeat(300), headers: [['h', 'x'] as const] },
      ]
      const bytes = await judge.encodeBatch({
        records,
        compression,
        baseOffset: 40,
        producerId: 9,
        producerEpoch: 3,
        baseSequence: 1,
        transactional: true,
      })
      const [batch] = await judge.decodeBatches(bytes)
      expect(batch).toMatchObject({
        baseOffset: 40,
        compression,
        producerId: 9,
        producerEpoch: 3,
        transactional: true,
        control: false,
      })
      expect(batch?.records[0]?.value).toEqual(Buffer.from('v'.repeat(300)))
      const [marker] = await judge.decodeBatches(
        await judge.encodeBatch({ marker: 'abort', baseOffset: 41, producerId: 9, producerEpoch: 3 }),
      )
      expect(marker).toMatchObject({ baseOffset: 41, control: true, transactional: true })
      bytes[bytes.length - 1]! ^= 1
      await expect(judge.decodeBatches(bytes)).rejects.toThrow(/crc/i)
    },
  )

  it('answers a mistake with an error and goes on', async () => {
    await expect(judge.dump(uniqueTopic('absent'))).rejects.toThrow('does not exist')
    expect(await judge.features()).toBeDefined()
  })
})

describe('a broker of our own', () => {
  it.each([
    ['4.3', 2],
    ['3.9', 1],
  ])(
    'version %s has transaction version %i at most, survives kill -9 with its data, and leaves nothing',
    async (version, level) => {
      // After kill -9 a broker is let back only when its old registration has expired.
      const brokerSettings = { 'broker.session.timeout.ms': '3000', 'broker.heartbeat.interval.ms': '1000' }
      const kafka: JvmKafkaHandle = await startKafka({ backend: 'jvm', version, brokerSettings })
      const judge = await startJudge(kafka.brokers)
      try {
        const transactionVersion = async (): Promise<number> =>
          (await judge.features())['transaction.version'] ?? 0
        // A broker that has just come up answers before it knows the features of its cluster.
        if (level === 2) await expect.poll(transactionVersion, { timeout: 10_000 }).toBe(2)
        expect(await transactionVersion()).toBeLessThanOrEqual(level)
        const topic = uniqueTopic('kept')
        await judge.createTopics({ name: topic })
        await judge.produce(topic, [{ value: 'kept' }])
        const before = kafka.pid
        await kafka.kill('SIGKILL')
        expect(isAlive(before)).toBe(false)
        expect(await answersKafka('127.0.0.1', portOf(kafka.brokers[0]), 500)).toBe(false)
        await kafka.restart()
        expect(kafka.pid).not.toBe(before)
        expect((await judge.dump(topic)).records.map((record) => String(record.value))).toEqual(['kept'])
      } finally {
        await judge.stop()
        await kafka.stop()
      }
      expect(isAlive(kafka.pid)).toBe(false)
      expect(fs.existsSync(kafka.dataDirectory)).toBe(false)
      await kafka.stop()
    },
    120_000,
  )

  const byHand = async (): Promise<{
    node: ReturnType<typeof spawn>
    jvm: number
    directory: string
    port: number
  }> => {
    const main = path.resolve(import.meta.dirname, '../../src/testing/kafka/main.ts')
    const node = spawn(process.execPath, [main, '--backend', 'jvm'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    node.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()))
    node.stderr.on('data', (bytes: Buffer) => (text += bytes.toString()))
    expect(await waitUntil(() => /^127\.0\.0\.1:\d+$/m.test(text), 60_000), text).toBe(true)
    const jvm = Number(text.match(/pid (\d+)/)?.[1])
    return {
      node,
      jvm,
      directory: fs.readlinkSync(`/proc/${jvm}/cwd`),
      port: portOf(text.match(/^127\.0\.0\.1:\d+$/m)?.[0]),
    }
  }

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
    'leaves nothing when its owner gets %s',
    async (signal) => {
      const { node, jvm, directory, port } = await byHand()
      expect(await answersKafka('127.0.0.1', port, 2000)).toBe(true)
      node.kill(signal)
      expect(await waitUntil(() => !isAlive(jvm) && !fs.existsSync(directory), 15_000)).toBe(true)
      const left = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => line.includes(directory))
      expect(left).toEqual([])
    },
    90_000,
  )

  it('refuses a port that is taken', async () => {
    const failing = startKafka({ backend: 'jvm', port: portOf(kafkaBrokers()[0]) })
    await expect(failing).rejects.toThrow(/Address already in use \(port \d+\)/)
  }, 60_000)

  it('says what failed, with the end of the log, when the broker does not come up', async () => {
    const failing = startKafka({ backend: 'jvm', brokerSettings: { 'num.io.threads': '0' } })
    await expect(failing).rejects.toMatchObject({ code: 'KAFKA_START_FAILED' })
    await expect(failing).rejects.toThrow('num.io.threads')
  }, 60_000)
})

describe('the choice of a broker', () => {
  it('takes KAFKA_BROKERS first and says so', async () => {
    const kafka = await withEnvironment('KAFKA_BROKERS', kafkaBrokers().join(','), () => startKafka())
    expect(kafka).toMatchObject({ backend: 'env', brokers: kafkaBrokers() })
    expect(kafka.how).toContain('KAFKA_BROKERS')
    await kafka.stop()
    expect(await answersKafka('127.0.0.1', portOf(kafkaBrokers()[0]), 2000)).toBe(true)
  })

  it('refuses a KAFKA_BROKERS where nothing listens, or that is no address', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as net.AddressInfo
    await new Promise((resolve) => server.close(resolve))
    await withEnvironment('KAFKA_BROKERS', `127.0.0.1:${port}`, () =>
      expect(startKafka()).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' }),
    )
    await withEnvironment('KAFKA_BROKERS', 'nonsense', () =>
      expect(startKafka()).rejects.toMatchObject({ code: 'SETTING_INVALID' }),
    )
  })

  it('names what is missing and the three ways out in one sentence each', async () => {
    const where = { PATH: '/nonexistent', JAVA_HOME: '/nonexistent' }
    await withEnvironment('PATH', where.PATH, () =>
      withEnvironment('JAVA_HOME', where.JAVA_HOME, async () => {
        const refused = startKafka({ backend: 'jvm' })
        await expect(refused).rejects.toMatchObject({ code: 'KAFKA_NOT_AVAILABLE' })
        await expect(refused).rejects.toThrow(/no java.*KAFKA_BROKERS.*Docker.*Java 17/)
      }),
    )
  })

  it('finds no Docker engine where none answers', async () => {
    expect(
      await withEnvironment('DOCKER_HOST', 'unix:///nonexistent/docker.sock', findDockerEngine),
    ).toBeUndefined()
  })
})
