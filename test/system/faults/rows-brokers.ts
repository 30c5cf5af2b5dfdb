// Rows that need brokers of their own: such that forget soon, such that are put back to an old state, and such whose
// words to each other can be held up.
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JvmKafkaHandle } from '../../../src/testing/kafka/start-kafka.ts'
import { apiKeys, type ProxiedRequest } from '../../support/proxy.ts'
import { type Bench, partitions } from './bench.ts'
import { storeNames } from './ops.ts'
import type { BenchRow } from './row.ts'
import { workAndClose } from './rows-state.ts'

/**
 * The marker of a commit reaches the offsets, and the changelogs on the other brokers not yet: whoever takes over then may
 * read the offsets, and has to wait for the end of the changelogs, which is behind what is stable there (KAFKA-10167).
 */
const markersDelayed = async (bench: Bench): Promise<string> => {
  bench.feeder.start()
  await bench.start(1)
  const { coordinator } = await bench.judge.describeGroup(bench.applicationId)
  const held = Promise.withResolvers<void>()
  let count = 0
  const hold = ({ apiKey, bytes }: ProxiedRequest): 'pass' | { until: Promise<void> } => {
    const isOurs = bytes.includes(bench.applicationId) && bytes.includes('-changelog')
    if (apiKey !== apiKeys.WriteTxnMarkers || !isOurs) return 'pass'
    count++
    return { until: held.promise }
  }
  try {
    // Node ids are numbered from 1.
    for (const [index, proxy] of bench.between.entries())
      if (index + 1 !== coordinator) proxy.rules = { request: hold }
    await bench.until('markers that are held up', () => count > 0)
    // The marker to the coordinator of the group was sent with them, and is not held up.
    await sleep(500)
    await bench.worker(1).kill()
    await bench.judge.removeMember(bench.applicationId, bench.instanceOf(1))
    const life = await bench.worker(2).start()
    let runs = false
    void life.whenRunning.then(() => {
      runs = true
    })
    await bench.until('a restore that waits', () => runs || bench.logged('restoring', 2) > 1, 60_000)
    bench.expect(!runs, 'the other worker', 'it waits for the markers', 'it runs or has ended')
    for (const proxy of bench.between) proxy.rules = {}
    held.resolve()
    const started = await bench.within('the start of the other worker', 60_000, life.whenRunning)
    bench.expect(started, 'the other worker', 'it runs', 'an end')
    await bench.finish()
    return `${count} requests with markers were held up while another worker waited for them`
  } finally {
    for (const proxy of bench.between) proxy.rules = {}
    held.resolve()
  }
}

/** The coordinator forgets a transactional.id that was idle for long: the worker begins anew with its next record. */
const expiredTransactionalId = async (bench: Bench): Promise<string> => {
  await bench.start(1)
  await bench.feeder.feedRound()
  await bench.drain(40_000)
  const id = bench.transactionalIdOf(1)
  const idles = bench.short ? 1 : 3
  for (let idle = 0; idle < idles; idle++) {
    await bench.until(
      'the transactional id has expired',
      async () =>
        (await bench.judge.listTransactions()).every(({ transactionalId }) => transactionalId !== id),
      60_000,
    )
    // Those of the feeder have expired as well.
    await bench.feeder.close()
    await bench.feeder.open()
    await bench.feeder.feedRound()
    await bench.drain(40_000)
    bench.expect(bench.worker(1).isRunning, 'the worker whose id has expired', 'it runs', 'an end')
  }
  await bench.finish()
  return `${idles} times forgotten, ${bench.logged('the worker recovers')} recoveries`
}

/** Kills the broker, does something to its data, and starts it again. */
const whileDown = async (bench: Bench, change: (data: string) => void): Promise<void> => {
  const kafka = bench.kafkas[0] as JvmKafkaHandle
  await bench.feeder.close()
  await kafka.kill('SIGKILL')
  change(path.join(kafka.dataDirectory, 'data'))
  await kafka.restart()
  await bench.feeder.open()
}

/** The broker is put back to a copy of its data: stores are ahead of what their changelogs hold. */
const oldBroker = async (bench: Bench): Promise<string> => {
  const copy = path.join(bench.directory, 'broker')
  await workAndClose(bench, 1)
  await whileDown(bench, (data) => fs.cpSync(data, copy, { recursive: true }))
  await workAndClose(bench, 1)
  await whileDown(bench, (data) => {
    fs.rmSync(data, { recursive: true })
    fs.renameSync(copy, data)
  })
  await bench.start(1)
  await bench.feeder.feedRound()
  await bench.finish({ rebuilt: [1, partitions * storeNames.length], offsets: 'set back' })
  return `${bench.logged('a store is rebuilt from its changelog')} stores were ahead of the broker and rebuilt`
}

export const brokerRows: readonly BenchRow[] = [
  {
    id: 'F11',
    title: 'markers that come late to the changelogs',
    short: false,
    brokers: 3,
    proxied: true,
    settings: { transactionTimeoutMs: 12_000, sessionTimeoutMs: 30_000 },
    run: markersDelayed,
  },
  { id: 'F23', title: 'a broker put back to old data', short: false, brokerSettings: {}, run: oldBroker },
  {
    id: 'F30',
    title: 'a transactional id that expired',
    short: false,
    brokerSettings: {
      'transactional.id.expiration.ms': '6000',
      'transaction.remove.expired.transaction.cleanup.interval.ms': '500',
    },
    run: expiredTransactionalId,
  },
]
