import { existsSync } from 'node:fs'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import { createTopics } from '../../../src/protocol/create-topics.ts'
import { findCoordinator } from '../../../src/protocol/find-coordinator.ts'
import { metadata } from '../../../src/protocol/metadata.ts'
import { temporaryFolder } from '../../support/cli.ts'
import { RawClient } from './raw-client.ts'

const topicOf = (topic: string, partitions = 1, configs: Record<string, string> = {}) => ({
  topics: [{ topic, partitions, replicationFactor: 1, configs }],
  timeoutMs: 1000,
  validateOnly: false,
})

const once = (socket: net.Socket, event: string): Promise<unknown> =>
  new Promise((resolve) => socket.once(event, resolve))

describe('an embedded broker with a directory', () => {
  it('has its topics, their settings and its cluster id again after a restart', async () => {
    const directory = temporaryFolder()
    const first = EmbeddedKafka.inMemory({ directory })
    const client = new RawClient(first)
    client.ask(createTopics, 7, topicOf('kept', 3, { 'retention.ms': '5' }))
    client.ask(createTopics, 7, topicOf('gone'))
    const before = client.ask(metadata, 12, { topics: ['kept'] })
    first.state.topics.delete('gone')
    await first.close()

    const second = EmbeddedKafka.inMemory({ directory })
    const after = new RawClient(second).ask(metadata, 12, { topics: null })
    expect(after).toEqual(before)
    expect(after.topics.map(({ topic, partitions }) => [topic, partitions.length])).toEqual([['kept', 3]])
    expect(second.state.topics.get('kept')?.setting('retention.ms')).toBe('5')
    await second.close()
  })

  it('leaves no file of a topic that was deleted, not even when the process ended in between', async () => {
    const directory = temporaryFolder()
    const first = EmbeddedKafka.inMemory({ directory })
    new RawClient(first).ask(createTopics, 7, topicOf('gone'))
    const id = first.state.topics.get('gone')?.id ?? ''
    const folder = path.join(directory, 'topics', Buffer.from(id, 'base64url').toString('hex'))
    expect(existsSync(folder)).toBe(true)
    // As a process that was killed behind the journal and before the files.
    first.state.journal.put('topic', 'gone', null)
    await first.close()
    const second = EmbeddedKafka.inMemory({ directory })
    expect(existsSync(folder)).toBe(false)
    await second.close()
  })

  it('is the only one there', async () => {
    const directory = temporaryFolder()
    const first = EmbeddedKafka.inMemory({ directory })
    expect(() => EmbeddedKafka.inMemory({ directory })).toThrow(
      /STORE_LOCKED: another embedded broker runs in this directory .*, by this process/,
    )
    await first.close()
    await EmbeddedKafka.inMemory({ directory }).close()
  })
})

describe('an embedded broker on TCP', () => {
  it('refuses a port that is taken, and says the way out', async () => {
    const first = await EmbeddedKafka.start()
    const port = Number(first.brokers[0]?.split(':')[1])
    await expect(EmbeddedKafka.start({ port })).rejects.toThrow(
      /KAFKA_START_FAILED: .*another program has the port .*choose another port \(--port\)/,
    )
    await first.close()
    await (await EmbeddedKafka.start({ port })).close()
  })

  it('reads no more from a client that does not take its answers', async () => {
    const kafka = await EmbeddedKafka.start()
    const [host = '', port = ''] = kafka.brokers[0]?.split(':') ?? []
    new RawClient(kafka).ask(createTopics, 7, topicOf('wide', 2000))
    const socket = net.connect(Number(port), host)
    await once(socket, 'connect')
    socket.pause()
    // About 80 KB of answer for 40 bytes of question.
    const client = new RawClient(kafka)
    const question = client.request(metadata, 12, { topics: null })
    const length = Buffer.alloc(4)
    length.writeInt32BE(question.length, 0)
    const many = Buffer.concat(Array.from({ length: 2000 }, () => [length, question]).flat())
    let written = 0
    while (written < 200 && socket.write(many)) written++
    const rss = process.memoryUsage().rss
    for (let times = 0; times < 20; times++) {
      if (socket.writableNeedDrain) break
      socket.write(many)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
    // All answers would be above 300 MB.
    expect(process.memoryUsage().rss - rss).toBeLessThan(100 * 1024 * 1024)
    expect(socket.writableLength).toBeGreaterThan(0)
    socket.destroy()
    await kafka.close()
  })
})

describe('nodes of an embedded cluster', () => {
  it('give what they lead and coordinate to the others when they stop, and are found again after', async () => {
    const kafka = EmbeddedKafka.inMemory({ nodes: 3 })
    const client = new RawClient(kafka, 1)
    client.ask(createTopics, 7, topicOf('spread', 6))
    const leaders = () =>
      client.ask(metadata, 12, { topics: ['spread'] }).topics[0]?.partitions.map((one) => one.leaderId)
    expect([...new Set(leaders())].sort()).toEqual([1, 2, 3])
    const other = new RawClient(kafka, 2)
    await kafka.stopNode(2)
    expect(other.ended).toBe(true)
    expect(new RawClient(kafka, 2).ended).toBe(true)
    expect(new Set(leaders())).toEqual(new Set([1, 3]))
    const epochs = client.ask(metadata, 12, { topics: ['spread'] }).topics[0]?.partitions
    expect(epochs?.some(({ leaderEpoch }) => leaderEpoch > 0)).toBe(true)
    const keys = Array.from({ length: 20 }, (_, at) => `group-${at}`)
    const { coordinators } = client.ask(findCoordinator, 5, { keyType: 'group', keys })
    expect(new Set(coordinators.map(({ nodeId }) => nodeId))).toEqual(new Set([1, 3]))
    await kafka.startNode(2)
    const { brokers } = client.ask(metadata, 12, { topics: [] })
    expect(brokers.map(({ nodeId }) => nodeId)).toEqual([1, 2, 3])
    await kafka.close()
  })

  it('say who coordinates after a move, and that it still loads', async () => {
    const kafka = EmbeddedKafka.inMemory({ nodes: 2 })
    const ask = () =>
      new RawClient(kafka).ask(findCoordinator, 5, { keyType: 'transaction', keys: ['id'] }).coordinators[0]
    const other = ask()?.nodeId === 1 ? 2 : 1
    kafka.moveCoordinator('transaction', 'id', other, 60_000)
    expect(ask()?.nodeId).toBe(other)
    const { nodes } = kafka.state
    expect(nodes.coordinatorError('transaction', 'id', other)).toBe(14)
    expect(nodes.coordinatorError('transaction', 'id', 3 - other)).toBe(16)
    await kafka.close()
  })

  it('end their timers and connections with close', async () => {
    const timers = new Set<object>()
    const ports = {
      ...nodePorts,
      timers: {
        ...nodePorts.timers,
        set: () => {
          const timer = {}
          timers.add(timer)
          return timer
        },
        clear: (timer: object) => void timers.delete(timer),
      },
    }
    const kafka = EmbeddedKafka.inMemory({ ports })
    const client = new RawClient(kafka)
    await kafka.close()
    expect(client.ended).toBe(true)
    expect(timers.size).toBe(0)
    await kafka.close()
  })
})

it('is used by dev and by tests only', () => {
  const importers = nodePorts.disk
    .list('src/cli')
    .filter((name) => readFileSync(path.join('src/cli', name), 'utf8').includes('/embedded/'))
  expect(importers).toEqual(['dev-broker.ts'])
  const main = readFileSync('src/index.ts', 'utf8')
  expect(main).not.toContain('/embedded/')
})
