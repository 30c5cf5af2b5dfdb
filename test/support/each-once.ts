// An application of `numbered` over several partitions, fed with values v1, v2, … of one key per partition, and the
// judgement that each of them had its effect once: outputs, changelog and committed offsets by the Java consumer alone.
import { string } from 'millstream'
import { expect } from 'vitest'
import type { SettingsInput } from '../../src/config/settings.ts'
import type { Judge, JudgeProducer } from './judge.ts'
import { kafkaBrokers } from './kafka.ts'
import { type Numbered, numbered, quickly } from './numbered.ts'

export interface EachOnce extends Numbered<string> {
  readonly partitions: number
  /** Writes so many values more into each of these partitions; default: all. */
  feed(count: number, partitions?: readonly number[]): Promise<void>
  /** Waits until the group has committed the end of every input partition. */
  drained(timeoutMs?: number): Promise<void>
  /** Everything is drained, and each value was numbered once, in order, by a store that its changelog describes. */
  judged(): Promise<void>
  /** The committed offset of each input partition; -1 where there is none. */
  offsets(): Promise<number[]>
}

const keyOf = (partition: number): string => `k${partition}`

export const eachOnce = async (judge: Judge, name: string, partitions: number): Promise<EachOnce> => {
  const app = numbered(name, string)
  await judge.createTopics({ name: app.input, partitions }, { name: app.output, partitions })
  const written = new Map<number, number>()
  let producer: JudgeProducer | undefined
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const offsets = async (): Promise<number[]> => {
    const found = await judge.groupOffsets(app.applicationId)
    const of = (partition: number): number =>
      found.find((one) => one.topic === app.input && one.partition === partition)?.offset ?? -1
    return all.map(of)
  }
  const drained = async (timeoutMs = 20_000): Promise<void> =>
    await expect
      .poll(offsets, { timeout: timeoutMs, interval: 40 })
      .toEqual(all.map((partition) => written.get(partition) ?? 0))
  return Object.assign(app, {
    partitions,
    offsets,
    drained,
    feed: async (count: number, which: readonly number[] = all): Promise<void> => {
      producer ??= await judge.openProducer()
      const records = which.flatMap((partition) => {
        const before = written.get(partition) ?? 0
        written.set(partition, before + count)
        return Array.from({ length: count }, (_, index) => ({
          partition,
          key: keyOf(partition),
          value: `v${before + index + 1}`,
        }))
      })
      await producer.send(app.input, records)
    },
    judged: async (): Promise<void> => {
      await drained()
      const seen: Record<string, string[]> = {}
      for (const { key, value } of (await judge.dump(app.output)).records) {
        seen[String(key)] = [...(seen[String(key)] ?? []), String(value)]
      }
      const stored: Record<string, number> = {}
      for (const { key, value } of (await judge.dump(app.changelog)).records) {
        stored[String(key)] = Number(value?.readBigInt64BE() ?? 0)
      }
      const counts = [...written].filter(([, count]) => count > 0)
      const numbers = (count: number): string[] =>
        Array.from({ length: count }, (_, index) => `${index + 1}:v${index + 1}`)
      expect(seen).toEqual(
        Object.fromEntries(counts.map(([partition, count]) => [keyOf(partition), numbers(count)])),
      )
      expect(stored).toEqual(
        Object.fromEntries(counts.map(([partition, count]) => [keyOf(partition), count])),
      )
    },
  })
}

/** Settings with which faults show soon. */
export const impatiently = (address: string, stateDir: string): SettingsInput & { stateDir: string } => ({
  ...quickly([address], stateDir),
  requestTimeoutMs: 700,
  transactionTimeoutMs: 1500,
  heartbeatIntervalMs: 100,
  rebalanceTimeoutMs: 5000,
  sessionTimeoutMs: 12_000,
})

export const brokerAddress = (): string => kafkaBrokers()[0] as string
