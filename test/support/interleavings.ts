// Random interleavings of transactions: a plan of what up to five producers do in one partition, and a plain
// transactional client that does it step by step, so that nothing of src/client decides what a partition holds.
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster, ConnectionRole } from '../../src/client/cluster.ts'
import { addPartitionsToTxn } from '../../src/protocol/add-partitions-to-txn.ts'
import type { Api } from '../../src/protocol/api.ts'
import { endTxn } from '../../src/protocol/end-txn.ts'
import { brokerError, reactionFor } from '../../src/protocol/error-codes.ts'
import { initProducerId } from '../../src/protocol/init-producer-id.ts'
import { produce } from '../../src/protocol/produce.ts'
import { BatchBuilder, type SealOptions } from '../../src/record/batch-builder.ts'
import { type Compression, compressions } from '../../src/record/compression.ts'
import { below, type Random } from './random.ts'

interface WriteStep {
  readonly does: 'write'
  /** 0 to 4, or undefined for records without a transaction. */
  readonly producer: number | undefined
  readonly keys: readonly Buffer[]
  readonly compression: Compression
}

type Step = WriteStep | { readonly does: 'commit' | 'abort'; readonly producer: number }

export interface Interleaving {
  readonly steps: readonly Step[]
  /** Producers whose transaction stays open: what follows its first record is not stable. */
  readonly leftOpen: readonly number[]
}

const producersMax = 5
/** The keys of transaction markers: version 0, then type 0 (abort) or 1 (commit). */
export const markerKeys: readonly Buffer[] = [Buffer.from([0, 0, 0, 0]), Buffer.from([0, 0, 0, 1])]

const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)] as T

/** @param keys how many ordinary keys there are beside those that look like markers; few make compaction bite. */
export const randomInterleaving = (random: Random, keys: number): Interleaving => {
  const producers = 1 + below(random, producersMax)
  const length = 4 + below(random, 14)
  const open = new Set<number>()
  const steps: Step[] = []
  const key = (): Buffer =>
    random() < 0.35 ? pick(random, markerKeys) : Buffer.from(`k${below(random, keys)}`)
  const end = (producer: number): void => {
    open.delete(producer)
    steps.push({ does: random() < 0.6 ? 'abort' : 'commit', producer })
  }
  while (steps.length < length) {
    if (open.size > 0 && random() < 0.35) {
      end(pick(random, [...open]))
      continue
    }
    const producer = random() < 0.1 ? undefined : below(random, producers)
    const count = random() < 0.6 ? 1 : 2 + below(random, 2)
    const compression = random() < 0.6 ? 'none' : pick(random, compressions)
    steps.push({ does: 'write', producer, keys: Array.from({ length: count }, key), compression })
    if (producer !== undefined) open.add(producer)
  }
  const leavesOpen = random() < 0.25
  const leftOpen = [...open].filter(() => leavesOpen && random() < 0.5)
  for (const producer of [...open]) if (!leftOpen.includes(producer)) end(producer)
  return { steps, leftOpen }
}

/** The high watermark behind an interleaving once all its markers are there. */
export const offsetsOf = ({ steps }: Interleaving): number =>
  steps.reduce((sum, step) => sum + (step.does === 'write' ? step.keys.length : 1), 0)

/** One line per interleaving, to read and to write it again by hand. */
export const describeInterleaving = ({ steps, leftOpen }: Interleaving): string => {
  const text = steps.map((step) => {
    if (step.does !== 'write') return `${step.does} ${step.producer}`
    const keys = step.keys.map((key) =>
      markerKeys.some((one) => one.equals(key)) ? key.toString('hex') : key,
    )
    return `write ${step.producer ?? 'plainly'} (${keys.join(' ')}${step.compression === 'none' ? '' : `, ${step.compression}`})`
  })
  return [...text, ...leftOpen.map((producer) => `${producer} stays open`)].join('; ')
}

/** Asks until the answer is neither "wait" nor "somebody else knows". */
const ask = async <Request, Response>(
  cluster: Cluster,
  node: number,
  role: ConnectionRole,
  api: Api<Request, Response>,
  request: Request,
  codeOf: (answer: Response) => number,
): Promise<Response> => {
  for (let attempt = 0; ; attempt++) {
    const answer = await cluster.send(node, role, api, request)
    const code = codeOf(answer)
    if (code === 0) return answer
    const passes = ['retry', 'refresh-metadata', 'find-coordinator'].includes(reactionFor(code, api.name))
    if (!passes || attempt === 500) throw new Error(`${api.name} was answered ${brokerError(code).name}`)
    await nodePorts.timers.sleep(Math.min(1 + attempt, 20))
  }
}

const sealed = (
  keys: readonly Buffer[],
  value: (index: number) => Buffer,
  timestamp: number,
  options: SealOptions,
): Buffer => {
  const builder = new BatchBuilder(512)
  keys.forEach((key, index) => {
    const bytes = value(index)
    builder.append(timestamp, key, 0, key.length, bytes, 0, bytes.length, undefined)
  })
  return builder.seal(options)
}

const send = (
  cluster: Cluster,
  topic: string,
  partition: number,
  transactionalId: string | null,
  records: Buffer,
): Promise<unknown> => {
  const leader = cluster.partition(topic, partition)?.leader as number
  const topics = [{ topic, partitions: [{ partition, records }] }]
  return ask(
    cluster,
    leader,
    'produce',
    produce,
    { transactionalId, acks: -1, timeoutMs: 10_000, topics },
    (answer) => answer.topics[0]?.partitions[0]?.errorCode ?? -1,
  )
}

class PlainTransactions {
  readonly #cluster: Cluster
  readonly #transactionalId: string
  readonly #coordinator: number
  readonly #sequences = new Map<string, number>()
  readonly #added = new Set<string>()
  #producerId = -1
  #producerEpoch = -1

  static async open(cluster: Cluster, transactionalId: string): Promise<PlainTransactions> {
    const node = await cluster.coordinator('transaction', transactionalId)
    const transactions = new PlainTransactions(cluster, transactionalId, node)
    // Longer than any test: the coordinator must not end what is left open.
    const request = { transactionalId, transactionTimeoutMs: 600_000, producerId: -1, producerEpoch: -1 }
    const answer = await ask(cluster, node, 'coordinator', initProducerId, request, (one) => one.errorCode)
    transactions.#producerId = answer.producerId
    transactions.#producerEpoch = answer.producerEpoch
    return transactions
  }

  private constructor(cluster: Cluster, transactionalId: string, coordinator: number) {
    this.#cluster = cluster
    this.#transactionalId = transactionalId
    this.#coordinator = coordinator
  }

  get #identity(): { transactionalId: string; producerId: number; producerEpoch: number } {
    const [producerId, producerEpoch] = [this.#producerId, this.#producerEpoch]
    return { transactionalId: this.#transactionalId, producerId, producerEpoch }
  }

  async write(
    topic: string,
    partition: number,
    step: WriteStep,
    value: (index: number) => Buffer,
    timestamp: number,
  ): Promise<void> {
    const place = `${topic}/${partition}`
    if (this.#cluster.transactionVersion === 1 && !this.#added.has(place)) {
      this.#added.add(place)
      const request = { ...this.#identity, topics: [{ topic, partitions: [partition] }] }
      await ask(
        this.#cluster,
        this.#coordinator,
        'coordinator',
        addPartitionsToTxn,
        request,
        (answer) => answer.topics[0]?.partitions[0]?.errorCode ?? -1,
      )
    }
    const baseSequence = this.#sequences.get(place) ?? 0
    this.#sequences.set(place, baseSequence + step.keys.length)
    const { compression } = step
    const options = { ...this.#identity, baseSequence, compression, transactional: true }
    await send(
      this.#cluster,
      topic,
      partition,
      this.#transactionalId,
      sealed(step.keys, value, timestamp, options),
    )
  }

  async end(committed: boolean): Promise<void> {
    const request = { ...this.#identity, committed }
    const answer = await ask(
      this.#cluster,
      this.#coordinator,
      'coordinator',
      endTxn,
      request,
      (one) => one.errorCode,
    )
    this.#added.clear()
    if (this.#cluster.transactionVersion === 1) return
    this.#producerId = answer.producerId
    this.#producerEpoch = answer.producerEpoch
    this.#sequences.clear()
  }
}

/** Writes interleavings one after the other, each into a partition of its own, with five producers. */
export class InterleavingWriter {
  readonly #cluster: Cluster
  readonly #name: string
  readonly #producers = new Map<number, PlainTransactions>()
  readonly #open: PlainTransactions[] = []
  #opened = 0

  /** @param name begins the transactional ids; unique. */
  constructor(cluster: Cluster, name: string) {
    this.#cluster = cluster
    this.#name = name
  }

  async write(
    topic: string,
    partition: number,
    { steps, leftOpen }: Interleaving,
    timestamp: number,
  ): Promise<void> {
    let written = 0
    const value = (): Buffer => Buffer.from(`${partition}-${written++}`)
    for (const step of steps) {
      if (step.does !== 'write') {
        await (await this.#producer(step.producer)).end(step.does === 'commit')
      } else if (step.producer !== undefined) {
        await (await this.#producer(step.producer)).write(topic, partition, step, value, timestamp)
      } else await this.writePlainly(topic, partition, step.keys, value, timestamp, step.compression)
    }
    for (const producer of leftOpen) {
      this.#open.push(await this.#producer(producer))
      this.#producers.delete(producer)
    }
  }

  async writePlainly(
    topic: string,
    partition: number,
    keys: readonly Buffer[],
    value: (index: number) => Buffer,
    timestamp: number,
    compression: Compression = 'none',
  ): Promise<void> {
    const nobody = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }
    await send(
      this.#cluster,
      topic,
      partition,
      null,
      sealed(keys, value, timestamp, { ...nobody, compression }),
    )
  }

  /** Leaves no open transaction behind on a broker that lives on. */
  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((producer) => producer.end(false)))
  }

  async #producer(number: number): Promise<PlainTransactions> {
    let producer = this.#producers.get(number)
    if (producer === undefined) {
      producer = await PlainTransactions.open(this.#cluster, `${this.#name}-${this.#opened++}`)
      this.#producers.set(number, producer)
    }
    return producer
  }
}
