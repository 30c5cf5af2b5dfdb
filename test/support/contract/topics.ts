// Topics for the cases of the contract: made by CreateTopics, and seen by Metadata before they are used.
import { setTimeout as sleep } from 'node:timers/promises'
import { createTopics } from '../../../src/protocol/create-topics.ts'
import { listOffsets } from '../../../src/protocol/list-offsets.ts'
import { type MetadataTopic, metadata } from '../../../src/protocol/metadata.ts'
import type { Wire } from './wire.ts'

export const describeTopic = async (wire: Wire, topic: string): Promise<MetadataTopic> => {
  const { topics } = await wire.ask(metadata, { topics: [topic] })
  const found = topics[0]
  if (found === undefined) throw new Error(`Metadata has no answer for ${topic}`)
  return found
}

/** Whether the leader of each of these partitions answers for it: Metadata may know it a little earlier. */
const isLed = async (wire: Wire, topic: string, count: number): Promise<boolean> => {
  const numbers = Array.from({ length: count }, (_, partition) => partition)
  const partitions = numbers.map((partition) => ({ partition, currentLeaderEpoch: -1, timestamp: -1 }))
  const request = { isolationLevel: 'read_uncommitted', topics: [{ topic, partitions }] } as const
  const { topics } = await wire.ask(listOffsets, request)
  return topics[0]?.partitions.every(({ errorCode }) => errorCode === 0) ?? false
}

/** Waits until the topic has this many partitions, each with a leader. */
export const untilLed = async (wire: Wire, topic: string, partitions: number): Promise<void> => {
  for (let tries = 0; tries < 1000; tries++) {
    const found = await describeTopic(wire, topic)
    const led = found.partitions.filter(({ errorCode }) => errorCode === 0)
    if (led.length === partitions && (await isLed(wire, topic, partitions))) return
    await sleep(5)
  }
  throw new Error(`${topic} has no leaders`)
}

export const createTopic = async (
  wire: Wire,
  topic: string,
  partitions: number,
  configs: Readonly<Record<string, string>>,
): Promise<void> => {
  const request = { topics: [{ topic, partitions, replicationFactor: 1, configs }], timeoutMs: 10_000 }
  const { topics } = await wire.ask(createTopics, { ...request, validateOnly: false })
  if (topics[0]?.errorCode !== 0) throw new Error(`${topic} was not created: ${topics[0]?.errorMessage}`)
  await untilLed(wire, topic, partitions)
}
