import { afterAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { BrokerConnection, wasNeverSent } from '../../../src/client/connection.ts'
import { heartbeat } from '../../../src/protocol/heartbeat.ts'
import { type ProduceRequest, produce } from '../../../src/protocol/produce.ts'
import { frameOf, type ScriptedBroker, scriptedBroker } from './scripted-broker.ts'

const settings = { clientId: 'tester', connectionTimeoutMs: 500 }
const address = { host: 'kafka-1', port: 9092 }
const open = (broker: ScriptedBroker): Promise<BrokerConnection> =>
  BrokerConnection.open(address, settings, broker.ports, silentLogger)

const beat = { groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null }
/** Heartbeat v3: throttle time and error code; v4 with the tags of header and body. */
const beatV3 = (errorCode: number): Buffer => Buffer.from([0, 0, 0, 0, 0, errorCode])
const beatV4 = (errorCode: number): Buffer => Buffer.from([0, 0, 0, 0, 0, 0, errorCode, 0])
const passTime = (ms = 20): Promise<void> => nodePorts.timers.sleep(ms)

// From the beginning of the file: Node warns of the same thing once per process.
const warnings: Error[] = []
const onWarning = (warning: Error): void => void warnings.push(warning)
process.on('warning', onWarning)
afterAll(() => void process.off('warning', onWarning))

describe('BrokerConnection', () => {
  it('writes header v1 for fixed versions, and header v2 with its tags for flexible ones', async () => {
    const broker = scriptedBroker()
    const connection = await open(broker)
    const sent = [connection.request(heartbeat, 3, beat, 1000), connection.request(heartbeat, 4, beat, 1000)]
    await passTime()
    const [fixed, flexible] = broker.received
    expect(fixed?.frame.subarray(12).toString('latin1')).toBe('\0\x06tester\0\x01g\0\0\0\x01\0\x01m\xff\xff')
    expect(flexible?.frame.subarray(12).toString('latin1')).toBe('\0\x06tester\0\x02g\0\0\0\x01\x02m\0\0')
    broker.answer(fixed?.correlationId as number, beatV3(0))
    broker.answer(flexible?.correlationId as number, beatV4(27))
    expect(await Promise.all(sent)).toEqual([
      { throttleTimeMs: 0, errorCode: 0 },
      { throttleTimeMs: 0, errorCode: 27 },
    ])
    connection.close()
  })

  it('puts answers together that come byte by byte, or several at once', async () => {
    const broker = scriptedBroker()
    const connection = await open(broker)
    const sent = [1, 2, 3].map(() => connection.request(heartbeat, 4, beat, 1000))
    await passTime()
    const [a, b, c] = broker.received.map(({ correlationId }, index) => frameOf(correlationId, beatV4(index)))
    for (const byte of a as Buffer) {
      broker.send(Buffer.from([byte]))
      await passTime(0)
    }
    broker.send(Buffer.concat([b as Buffer, c as Buffer]))
    expect((await Promise.all(sent)).map(({ errorCode }) => errorCode)).toEqual([0, 1, 2])
    connection.close()
  })

  it('hands large records to the socket as they are, without a copy', async () => {
    const broker = scriptedBroker()
    const connection = await open(broker)
    const records = Buffer.alloc(100_000, 7)
    const request: ProduceRequest = {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topics: [{ topic: 't', partitions: [{ partition: 0, records }] }],
    }
    connection.request(produce, 9, request, 1000).catch(() => {})
    await passTime()
    expect(broker.written.filter(({ length }) => length > 50_000).map(({ buffer }) => buffer)).toEqual([
      records.buffer,
    ])
    expect(
      broker.written.some((part) => part.buffer === records.buffer && part.length === records.length),
    ).toBe(true)
    expect(broker.received[0]?.frame.includes(records.subarray(0, 50_000))).toBe(true)
    connection.close()
  })

  it('ends with a request that is not answered in time, so that a late answer meets nobody', async () => {
    const broker = scriptedBroker()
    const connection = await open(broker)
    const late = connection.request(heartbeat, 4, beat, 50)
    const other = connection.request(heartbeat, 4, beat, 5000)
    await Promise.all([
      expect(late).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' }),
      expect(other).rejects.toMatchObject({ code: 'CONNECTION_LOST' }),
    ])
    expect(broker.isClosed()).toBe(true)
    expect(connection.isOpen).toBe(false)
  })

  it('tells a request whose outcome is unknown from one that was never sent', async () => {
    const broker = scriptedBroker()
    const connection = await open(broker)
    const inFlight = connection.request(heartbeat, 4, beat, 5000).catch((error: unknown) => error)
    await passTime()
    broker.end()
    const lost = await inFlight
    expect(lost).toMatchObject({
      code: 'CONNECTION_LOST',
      message: expect.stringContaining('closed the connection') as string,
    })
    expect(wasNeverSent(lost)).toBe(false)
    const refused: unknown = await connection
      .request(heartbeat, 4, beat, 5000)
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'CONNECTION_LOST' })
    expect(wasNeverSent(refused)).toBe(true)
  })

  it('refuses an answer that does not follow the protocol, and goes on', async () => {
    const broker = scriptedBroker()
    const connection = await open(broker)
    const garbage = connection.request(heartbeat, 4, beat, 1000)
    const fine = connection.request(heartbeat, 4, beat, 1000)
    await passTime()
    broker.answer(broker.received[0]?.correlationId as number, Buffer.from([0, 0, 0]))
    broker.answer(broker.received[1]?.correlationId as number, beatV4(0))
    await expect(garbage).rejects.toMatchObject({ code: 'PROTOCOL_INVALID' })
    expect((await fine).errorCode).toBe(0)
    connection.close()
  })
})

describe('opening', () => {
  it('names a broker that is too old', async () => {
    await expect(open(scriptedBroker({ apiVersionsError: 35 }))).rejects.toMatchObject({
      code: 'BROKER_TOO_OLD',
      where: { broker: 'kafka-1:9092' },
    })
  })

  it('gives up after the connection timeout', async () => {
    const broker = scriptedBroker({ silent: true })
    const error: unknown = await open(broker).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'CONNECTION_LOST',
      message: expect.stringContaining('within 500 ms') as string,
    })
    expect(wasNeverSent(error)).toBe(true)
    expect(broker.isClosed()).toBe(true)
  })

  it('can be given up', async () => {
    const giveUp = new AbortController()
    const opening = BrokerConnection.open(
      address,
      settings,
      scriptedBroker({ silent: true }).ports,
      silentLogger,
      giveUp.signal,
    )
    giveUp.abort()
    await expect(opening).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
  })
})

describe('warnings of Node', () => {
  it('are not caused by the queue of kafkajs, which arms timers with negative delays', async () => {
    const broker = scriptedBroker()
    const connection = await open(broker)
    const sent = connection.request(heartbeat, 4, beat, 1000)
    await passTime()
    broker.answer(broker.received[0]?.correlationId as number, beatV4(0))
    await sent
    await passTime()
    connection.close()
    expect(warnings).toEqual([])
  })
})
