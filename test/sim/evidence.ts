// What a run left behind, for the checker of the fault bench: the logs of the broker, the stores on the disks, and what
// the workers said. None of it goes through a client.
import type { Simulation } from '../../src/testing/simulation/simulation.ts'
import { changelogTopicName, repartitionTopicName } from '../../src/topology/internal-topics.ts'
import type { TransactionListing } from '../support/judge.ts'
import type { Evidence, Predicted, Snapshot, TopicDump } from '../system/faults/checker.ts'
import { creditsTopic, inputTopic, outputTopic, storeNames } from '../system/faults/ops.ts'
import { tornTransactions } from '../system/faults/transactions.ts'
import { textOf } from '../system/support/evidence.ts'
import type { WentBack } from '../system/support/offset-watch.ts'
import type { WorkerLogLine } from '../system/support/worker-process.ts'
import { applicationId } from './plan.ts'

export const credits: string = repartitionTopicName(applicationId, creditsTopic)
export const changelogs: readonly string[] = storeNames.map((name) => changelogTopicName(applicationId, name))
const allTopics = [inputTopic, outputTopic, credits, ...changelogs]

const byOffset = (one: { readonly offset: number }, other: { readonly offset: number }): number =>
  one.offset - other.offset

const dump = ({ logs }: Simulation, topic: string): TopicDump => {
  const followers = logs.follow(topic)
  return {
    topic,
    committed: followers.flatMap(({ committed }) => committed.toSorted(byOffset)),
    all: followers.flatMap(({ all }) => all),
    offsets: logs.logs(topic).map((log, partition) => ({
      partition,
      earliest: log.startOffset,
      highWatermark: log.endOffset,
      lastStable: log.lastStableOffset,
    })),
  }
}

/** The stores on the disk of a host. */
export const storesOf = (simulation: Simulation, host: string, when: string): Snapshot[] =>
  [...simulation.disk(host).stores].flatMap(([directory, { memory }]) => {
    const [store = '', taskId = ''] = directory.split('/').reverse()
    const values = new Map<string, string>()
    for (const { key, value } of memory.range(undefined, undefined, false))
      values.set(Buffer.from(key, 'latin1').toString('utf8'), textOf(value))
    const stored = {
      taskId,
      store,
      partition: Number(taskId.split('_')[1]),
      checkpoint: memory.checkpoint(),
      values,
    }
    return [{ when: `on ${host} ${when}`, stored }]
  })

const transactionsOf = ({ kafka, workers }: Simulation): TransactionListing[] =>
  workers.flatMap((worker) => {
    const known = kafka.state.transactions.describe(worker.transactionalId)
    return known === undefined
      ? []
      : [{ transactionalId: known.transactionalId, producerId: known.producerId, state: known.state }]
  })

export interface Seen {
  readonly snapshots: readonly Snapshot[]
  readonly wentBack: readonly WentBack[]
  readonly log: readonly WorkerLogLine[]
  /** Positions of the group by `<topic>/<partition>`. */
  readonly committed: ReadonlyMap<string, number>
  readonly drain: { readonly tookMs: number; readonly boundMs: number }
  readonly transactionVersion: 1 | 2
}

/**
 * A worker that was thought dead and closes at the end may leave an aborted transaction behind, which nobody reads any
 * more: a position before it is as good as one behind it.
 */
const withoutLeftovers = (
  committed: ReadonlyMap<string, number>,
  dumps: readonly TopicDump[],
): Map<string, number> => {
  const positions = new Map(committed)
  for (const { topic, offsets, committed: records } of dumps) {
    for (const { partition, highWatermark } of offsets) {
      const place = `${topic}/${partition}`
      const position = positions.get(place) ?? 0
      const hasMore = records.some((one) => one.partition === partition && one.offset >= position)
      if (!hasMore && position < highWatermark) positions.set(place, highWatermark)
    }
  }
  return positions
}

const anything: Predicted = { rebuilt: [0, Number.POSITIVE_INFINITY] }

export const collect = (simulation: Simulation, seen: Seen): Evidence => {
  const dumps = new Map(allTopics.map((topic) => [topic, dump(simulation, topic)]))
  const of = (topic: string): TopicDump => dumps.get(topic) as TopicDump
  const batches = allTopics
    .filter((topic) => topic !== inputTopic)
    .flatMap((topic) =>
      simulation.logs
        .follow(topic)
        .flatMap((follower) =>
          follower.batches.map((batch) => ({ ...batch, partition: `${topic}-${follower.partition}` })),
        ),
    )
  return {
    ops: of(inputTopic),
    effects: of(outputTopic),
    credits: of(credits),
    changelogs: new Map(storeNames.map((name) => [name, of(changelogTopicName(applicationId, name))])),
    stores: simulation.workers.flatMap(({ host }) => storesOf(simulation, host, 'at the end')),
    snapshots: seen.snapshots,
    committed: withoutLeftovers(seen.committed, [of(inputTopic), of(credits)]),
    // With transaction version 1 the transactions of a producer share an epoch, and cannot be told from each other.
    torn: seen.transactionVersion === 1 ? [] : tornTransactions(batches, undefined),
    wentBack: seen.wentBack,
    transactions: transactionsOf(simulation),
    log: seen.log,
    drain: seen.drain,
    predicted: anything,
  }
}
