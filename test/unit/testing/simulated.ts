// What the simulations of several operators have in common: in the end each topic holds what the test driver gives for the
// same records.
import type { TopicHandle, Topology } from 'millstream'
import { type SimulatedWorld, testDriver } from 'millstream/testing'
import { expect } from 'vitest'

/** About the time at which a simulation begins, ms: what is much older the brokers delete, and they take nothing that is later. */
export const start: number = Date.UTC(2026, 0, 1)

interface Told {
  readonly key: unknown
  readonly value: unknown
  readonly timestamp: number
}

/** By key: tasks that write into the same partition are not told apart by their order. */
const ordered = (told: readonly Told[]): string[] =>
  told
    .map(({ key, value, timestamp }) => [JSON.stringify(key), `${String(value)}/${timestamp}`] as const)
    .sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
    .map(([key, text]) => `${key} ${text}`)

/** A topic in which the driver tells nothing fails, too: it would prove nothing. */
export const expectAsDriven = <K, V>(
  world: SimulatedWorld,
  topology: Topology,
  input: TopicHandle<K, V>,
  results: readonly { readonly name: string }[],
): void => {
  using driver = testDriver(topology, { partitions: 2 })
  for (const { key, value, timestamp } of world.records(input))
    driver.input(input).send(key, value, { timestamp })
  for (const result of results) {
    const expected = ordered(driver.output<unknown, unknown>(result as never).readAll())
    expect(expected.length, result.name).toBeGreaterThan(0)
    expect(ordered(world.records<unknown, unknown>(result as never)), result.name).toEqual(expected)
  }
}
