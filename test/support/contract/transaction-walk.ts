// A random walk of single requests by two clients that hold one transactional id, with epochs, sequences and versions
// that are right mostly: what two brokers answer to it can be held against each other step by step.
import { below, type Random } from '../random.ts'
import type { Broker } from './contract.ts'
import { batchOf, boundsOf, produceBytes, readLog } from './log.ts'
import { commitOnce, fetchOffset } from './members.ts'
import { type Answer, endOnce, type Identity, initOnce, noIdentity, passed, Producer } from './producers.ts'
import { settled } from './waits.ts'

interface Client {
  identity: Identity
  sequences: number[]
}

const partitions = [0, 1] as const
const steps = ['init', 'produce', 'plain', 'add', 'add offsets', 'end', 'commit', 'plain commit'] as const
/** How often each is taken. */
const weights = [1, 4, 1, 1, 1, 2, 1, 1] as const

/** Far longer than markers take. */
const stuckMs = 5000

const weighted: readonly (typeof steps)[number][] = steps.flatMap((step, at) =>
  Array.from({ length: weights[at] ?? 1 }, () => step),
)

/**
 * Kafka asks the coordinator for several producers at once, and answers all of them in the words of the version that one
 * of them speaks: which of these two it is depends on who else is at work.
 */
const sameWord = (error: string): string => (error === 'INVALID_TXN_STATE' ? 'TRANSACTION_ABORTABLE' : error)

export class TransactionWalk {
  readonly #random: Random
  readonly #producer: Producer
  readonly #topic: string
  readonly #group: string
  readonly #clients: readonly Client[] = [0, 1].map(() => ({ identity: noIdentity, sequences: [0, 0] }))
  /** Producer ids in the order in which they were met: the numbers themselves differ between brokers. */
  readonly #producerIds: number[] = []
  /** Which version of transactions the clients speak; 0: now one, now the other. */
  readonly #mode: number
  #step = 0
  /** A partition refuses the marker for ever, since it knows a newer epoch: nothing more can happen. */
  #isStuck = false

  private constructor(random: Random, producer: Producer, topic: string, group: string) {
    this.#random = random
    this.#group = group
    this.#producer = producer
    this.#topic = topic
    this.#mode = below(random, 3)
  }

  /**
   * @param group a new one, of the same name on all brokers: its name says which partition has its offsets
   * @returns what was asked and answered at each step, and how things stood after it
   */
  static async run(broker: Broker, group: string, random: Random, length: number): Promise<string[]> {
    const topic = await broker.topic(partitions.length)
    const walk = new TransactionWalk(random, await Producer.unopened(broker), topic, group)
    const trace: string[] = []
    while (trace.length < length && !walk.#isStuck) trace.push(await walk.#next())
    return [...trace, ...(await walk.#logs())]
  }

  async #next(): Promise<string> {
    this.#step++
    const at = this.#chance(0.75) ? 0 : 1
    const client = this.#clients[at] as Client
    const step = this.#step === 1 ? 'init' : this.#pick(weighted)
    const version = (this.#mode || this.#pick([1, 2])) as 1 | 2
    const answer = await this.#take(step, client, version)
    return `client ${at}, version ${version}: ${step} ${answer} | ${await this.#standing()}`
  }

  async #take(step: (typeof steps)[number], client: Client, version: 1 | 2): Promise<string> {
    const shown = this.#shown(client)
    const text = this.#text(shown)
    const [producer, topic, group] = [this.#producer, this.#topic, this.#group]
    switch (step) {
      case 'init': {
        const held = this.#chance(0.5) ? shown : noIdentity
        const ask = (): Promise<Answer> => initOnce(producer.wire, producer.transactionalId, held)
        return `with ${this.#text(held)}: ${this.#taken(client, await settled(ask, passed))}`
      }
      case 'produce':
        return await this.#produce(client, shown, version === 2 ? 12 : this.#pick([10, 11]), true)
      case 'plain':
        return await this.#produce(client, shown, 12, false)
      case 'add':
        return `with ${text}: ${await producer.addPartitions(topic, [this.#pick(partitions)], { identity: shown })}`
      case 'add offsets':
        return `with ${text}: ${await producer.addOffsets(group, shown)}`
      case 'end': {
        const committed = this.#chance(0.6)
        const { wire, transactionalId } = producer
        const ask = (): Promise<Answer> =>
          endOnce(wire, transactionalId, shown, committed, version === 2 ? 5 : 4)
        return `(${committed}) with ${text}: ${this.#taken(client, await settled(ask, passed))}`
      }
      case 'commit': {
        const options = { identity: shown, version: version === 2 ? 5 : this.#pick([3, 4]) }
        return `with ${text}: ${sameWord(await producer.commitOffsets(group, topic, { 0: this.#step }, options))}`
      }
      case 'plain commit':
        return await commitOnce(producer.wire, group, topic, 1000 + this.#step)
    }
  }

  async #produce(client: Client, shown: Identity, version: number, transactional: boolean): Promise<string> {
    const partition = this.#pick(partitions)
    const next = client.sequences[partition] ?? 0
    const baseSequence = Math.max(0, next + (this.#chance(0.8) ? 0 : this.#pick([-1, 1])))
    const values = Array.from({ length: this.#pick([1, 1, 2]) }, (_, index) => `${this.#step}.${index}`)
    if (shown.producerId < 0) return 'of nobody'
    const { wire, transactionalId } = this.#producer
    const bytes = batchOf(values, { ...shown, baseSequence, transactional })
    const options = { partition, version, transactionalId: transactional ? transactionalId : null }
    const answer = await settled(() => produceBytes(wire, this.#topic, bytes, options), passed)
    if (answer.error === 'NONE') client.sequences[partition] = baseSequence + values.length
    const what = `${values.length} from ${baseSequence} into ${partition} (v${version})`
    return `${what} with ${this.#text(shown)}: ${sameWord(answer.error)} at ${answer.baseOffset}`
  }

  /** What the client holds, or now and then an epoch beside it. */
  #shown({ identity: { producerId, producerEpoch } }: Client): Identity {
    const beside = this.#chance(0.12) ? this.#pick([-1, 1]) : 0
    return producerId < 0 ? noIdentity : { producerId, producerEpoch: Math.max(0, producerEpoch + beside) }
  }

  #taken(client: Client, { error, producerId, producerEpoch }: Answer): string {
    const { identity } = client
    const isOther = producerId !== identity.producerId || producerEpoch !== identity.producerEpoch
    if (error === 'NONE' && producerId >= 0 && isOther) {
      client.identity = { producerId, producerEpoch }
      client.sequences = partitions.map(() => 0)
    }
    return `${error} ${this.#text({ producerId, producerEpoch })}`
  }

  /** Once no markers are outstanding. */
  async #standing(): Promise<string> {
    const isQuiet = ({ state }: { state: string }): boolean => !state.startsWith('Prepare')
    const described = await settled(() => this.#producer.describe(), isQuiet, stuckMs)
    this.#isStuck = !isQuiet(described)
    const topics = described.topics.map(
      ({ topic, partitions: of }) => `${topic === this.#topic} ${[...of].sort()}`,
    )
    const bounds = await Promise.all(partitions.map((one) => boundsOf(this.#producer.wire, this.#topic, one)))
    const { error, offset } = await fetchOffset(this.#producer.wire, this.#group, this.#topic)
    return `${described.state} ${this.#text(described)} [${topics.sort()}], ${bounds.join(' and ')}, ${error} ${offset}`
  }

  async #logs(): Promise<string[]> {
    const texts: string[] = []
    for (const partition of partitions) {
      const { wire } = this.#producer
      const { seen } = await readLog(wire, this.#topic, 'read_committed', partition)
      const { batches } = await readLog(wire, this.#topic, 'read_uncommitted', partition)
      texts.push(`${partition}: ${seen.map(({ value }) => value)}`)
      texts.push(
        ...batches.map(({ base, last, kind, producerEpoch }) => `${base}-${last} ${kind} ${producerEpoch}`),
      )
    }
    return texts
  }

  #text({ producerId, producerEpoch }: Identity): string {
    if (producerId < 0) return 'nothing'
    if (!this.#producerIds.includes(producerId)) this.#producerIds.push(producerId)
    return `id ${this.#producerIds.indexOf(producerId)} epoch ${producerEpoch}`
  }

  #pick<T>(list: readonly T[]): T {
    return list[below(this.#random, list.length)] as T
  }

  #chance(probability: number): boolean {
    return this.#random() < probability
  }
}
