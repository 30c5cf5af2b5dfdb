// A small application that shows by its output alone whether each record had its effect once, in order: it numbers the
// values of a key by a store, so its output reads 1:a, 2:b, 3:c, … whatever happened between them.
import { nodePorts } from '../../src/base/node-ports.ts'
import type { SettingsInput } from '../../src/config/settings.ts'
import { produce } from '../../src/protocol/produce.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import type { Serde } from '../../src/serde/serde.ts'
import type { Topology } from '../../src/topology/contracts.ts'
import { int64, output, store, string, topic, topology, type StreamRecord } from 'millstream'
import { expect } from 'vitest'
import { connect } from './client.ts'
import type { Judge } from './judge.ts'
import { uniqueTopic } from './kafka.ts'

export interface Numbered<V> {
  readonly applicationId: string
  readonly input: string
  readonly output: string
  readonly changelog: string
  readonly topology: Topology
  /** What the processor does with a record before it numbers it; tests put their mistakes here. */
  before: (record: StreamRecord<string, V>) => void
}

/** @param value of the input */
export const numbered = <V>(name: string, value: Serde<V>): Numbered<V> => {
  const applicationId = uniqueTopic(name)
  const input = topic(`${applicationId}-in`, { key: string, value })
  const out = topic(`${applicationId}-out`, { key: string, value: string })
  const seen = store('seen', { key: string, value: int64 })
  const app: Numbered<V> = {
    applicationId,
    input: input.name,
    output: out.name,
    changelog: `${applicationId}-seen-changelog`,
    before: () => {},
    topology: topology(applicationId, (t) => {
      t.stream(input)
        .process({
          stores: [seen],
          outputs: output<string, string>(),
          process: (record, { stores, forward }) => {
            app.before(record as StreamRecord<string, V>)
            const number = (stores.seen.get(record.key) ?? 0) + 1
            stores.seen.put(record.key, number)
            forward(record.withValue(`${number}:${String(record.value)}`))
          },
        })
        .to(out)
    }),
  }
  return app
}

export const createNumberedTopics = (
  judge: Judge,
  app: Numbered<never>,
  settings: Record<string, string> = {},
): Promise<void> => judge.createTopics({ name: app.input }, { name: app.output, settings })

/** Settings with which records are committed soon. */
export const quickly = (
  brokers: readonly string[],
  stateDir: string,
): SettingsInput & { stateDir: string } => ({
  brokers: [...brokers],
  stateDir,
  commitIntervalMs: 20,
  fetchWaitMs: 100,
})

/** The committed output, by the Java consumer. */
export const outputOf = async (judge: Judge, topic: string): Promise<string[]> =>
  (await judge.dump(topic)).records.map(({ value }) => value?.toString('utf8') ?? '(null)')

export const committedOffset = async (
  judge: Judge,
  app: Pick<Numbered<never>, 'applicationId' | 'input'>,
): Promise<number> =>
  (await judge.groupOffsets(app.applicationId)).find(
    ({ topic, partition }) => topic === app.input && partition === 0,
  )?.offset ?? -1

/** Waits until the group has committed this offset of partition 0 of the input. */
export const untilCommitted = async (
  judge: Judge,
  app: Pick<Numbered<never>, 'applicationId' | 'input'>,
  offset: number,
): Promise<void> =>
  await expect.poll(() => committedOffset(judge, app), { timeout: 20_000, interval: 50 }).toBe(offset)

/** Writes records that Kafka's own producer refuses to write. */
export const writeUnchecked = async (
  topicName: string,
  records: readonly { readonly key: string; readonly value: string; readonly timestamp: number }[],
): Promise<number> => {
  const cluster = await connect()
  try {
    await cluster.refreshMetadata([topicName])
    const builder = new BatchBuilder(1024)
    for (const { key, value, timestamp } of records) {
      const [keyBytes, valueBytes] = [Buffer.from(key), Buffer.from(value)]
      builder.append(timestamp, keyBytes, 0, keyBytes.length, valueBytes, 0, valueBytes.length, undefined)
    }
    const bytes = builder.seal({
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      transactional: false,
      compression: 'none',
    })
    const leader = cluster.partition(topicName, 0)?.leader as number
    const { topics } = await cluster.send(leader, 'produce', produce, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 5000,
      topics: [{ topic: topicName, partitions: [{ partition: 0, records: bytes }] }],
    })
    return topics[0]?.partitions[0]?.errorCode ?? -1
  } finally {
    await cluster.close()
    await nodePorts.timers.yield()
  }
}
