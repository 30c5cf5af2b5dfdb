// Two workers in processes of their own, of which one has a processor that blocks: neither the other nor the test is held
// up by it.
import { expect } from 'vitest'
import { type CliProcess, startCli, temporaryFolder, testModule } from './cli.ts'
import { brokerAddress, type EachOnce, eachOnce } from './each-once.ts'
import type { Judge } from './judge.ts'

export const sessionTimeoutMs = 12_000

export interface TwoWorkers {
  readonly app: EachOnce
  readonly first: CliProcess
  readonly second: CliProcess
  /** The number of assigned partitions of each member, by its instance id. */
  shares(): Promise<Record<string, number>>
  /** Stops both by a signal; both end with 0. */
  stop(): Promise<void>
}

const startWorker = async (
  app: EachOnce,
  instance: string,
  maxPollIntervalMs: number,
  env: Readonly<Record<string, string>> = {},
): Promise<CliProcess> => {
  const settings = {
    brokers: brokerAddress(),
    'state-dir': temporaryFolder(),
    'instance-id': instance,
    'session-timeout-ms': sessionTimeoutMs,
    'max-poll-interval-ms': maxPollIntervalMs,
    'transaction-timeout-ms': 1500,
    'rebalance-timeout-ms': 5000,
    'heartbeat-interval-ms': 300,
    'commit-interval-ms': 20,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const cli = startCli(['run', testModule('blocking.ts'), ...flags], {
    env: { TEST_NAME: app.applicationId, ...env },
  })
  await cli.said('to=running')
  return cli
}

/** How often a worker has said this. */
export const times = ({ stderr }: CliProcess, text: string): number => stderr.split(text).length - 1

export const lineWith = ({ stderr }: CliProcess, text: string): string =>
  stderr.split('\n').find((line) => line.includes(text)) ?? ''

/** Two workers that share the work, of which the first blocks at v4 of its partition. */
export const twoWorkers = async (
  judge: Judge,
  name: string,
  blocksMs: number,
  maxPollIntervalMs: number,
): Promise<TwoWorkers> => {
  const app = await eachOnce(judge, name, 2)
  const first = await startWorker(app, 'one', maxPollIntervalMs, {
    TEST_BLOCKS_AT: 'v4',
    TEST_BLOCKS_MS: String(blocksMs),
  })
  const second = await startWorker(app, 'two', maxPollIntervalMs)
  const shares = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await judge.describeGroup(app.applicationId)).members.map(({ instanceId, partitions }) => [
        instanceId ?? '',
        partitions.length,
      ]),
    )
  await expect.poll(shares, { timeout: 10_000 }).toEqual({ one: 1, two: 1 })
  await app.feed(3)
  await app.drained()
  const stop = async (): Promise<void> => {
    for (const { child } of [first, second]) child.kill('SIGTERM')
    for (const { ended } of [first, second]) expect(await ended).toMatchObject({ code: 0 })
  }
  return { app, first, second, shares, stop }
}
