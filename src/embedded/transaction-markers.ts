// The markers of transactions whose end is decided: each partition gets its own after its own delay, and a transaction is
// complete with the last of them. Until then its producer is put back, and readers of committed records wait.
//
// A delay of 0 writes at once, before EndTxn is answered; Infinity holds the marker until it is released. A coordinator
// that has moved begins anew with all partitions, as the one that takes over knows the decision alone: a partition may
// then get a second marker, which changes nothing.
import type { TimerHandle } from '../base/ports.ts'
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import { type BrokerState, type Marker, offsetsTopic } from './broker-state.ts'
import { codes } from './codes.ts'
import type { TransactionEntry } from './transaction-entry.ts'

interface Waiting {
  readonly to: TopicPartition
  timer: TimerHandle | undefined
}

interface Ending {
  readonly entry: TransactionEntry
  /** Who writes them. */
  node: number
  coordinatorEpoch: number
  readonly waiting: Map<string, Waiting>
}

/** Which markers are meant: those of one transactional id, or to one partition; of all that is not named. */
export interface MarkerFilter {
  readonly transactionalId?: string
  readonly topic?: string
  readonly partition?: number
}

/** Between two tries where nobody leads the partition, or the coordinator is loading. */
const retryMs = 20
/** The longest delay that timers know; beyond it a marker is held. */
const delayMsMax = 2_147_483_647

export class TransactionMarkers {
  readonly #broker: BrokerState
  /** All markers of this one are written. */
  readonly #done: (entry: TransactionEntry) => void
  /** What the markers carry: a later coordinator's is higher, also after a restart of the broker. */
  readonly #epochOf: (transactionalId: string) => number
  readonly #endings = new Map<string, Ending>()

  constructor(
    broker: BrokerState,
    epochOf: (transactionalId: string) => number,
    done: (entry: TransactionEntry) => void,
  ) {
    this.#broker = broker
    this.#epochOf = epochOf
    this.#done = done
  }

  /** Sends the markers that the decision in the entry asks for. */
  send(entry: TransactionEntry): void {
    const ending = { entry, node: 0, coordinatorEpoch: 0, waiting: new Map() }
    this.#endings.set(entry.transactionalId, ending)
    this.#begin(ending)
  }

  /** Partitions that have no marker yet. */
  outstanding({ transactionalId, partitions }: TransactionEntry): readonly TopicPartition[] {
    const ending = this.#endings.get(transactionalId)
    return ending === undefined ? partitions : [...ending.waiting.values()].map(({ to }) => to)
  }

  /** Writes at once what is held or delayed. */
  release({ transactionalId, topic, partition }: MarkerFilter = {}): void {
    for (const ending of [...this.#endings.values()]) {
      if (transactionalId !== undefined && transactionalId !== ending.entry.transactionalId) continue
      if (this.#hasMoved(ending)) this.#begin(ending)
      for (const waiting of [...ending.waiting.values()]) {
        if (topic !== undefined && topic !== waiting.to.topic) continue
        if (partition !== undefined && partition !== waiting.to.partition) continue
        this.#attempt(ending, waiting)
      }
    }
  }

  close(): void {
    for (const ending of this.#endings.values()) this.#stop(ending)
    this.#endings.clear()
  }

  #begin(ending: Ending): void {
    this.#stop(ending)
    const { transactionalId } = ending.entry
    ending.node = this.#broker.nodes.coordinator('transaction', transactionalId)
    ending.coordinatorEpoch = this.#epochOf(transactionalId)
    for (const to of ending.entry.partitions) {
      ending.waiting.set(partitionId(to.topic, to.partition), { to, timer: undefined })
    }
    for (const waiting of [...ending.waiting.values()]) {
      const delayMs = this.#broker.settings.markerDelayMs(waiting.to.topic, waiting.to.partition)
      if (delayMs > 0) this.#later(ending, waiting, delayMs)
      else this.#attempt(ending, waiting)
    }
    this.#finish(ending)
  }

  #later(ending: Ending, waiting: Waiting, delayMs: number): void {
    if (delayMs > delayMsMax) return
    waiting.timer = this.#broker.ports.timers.set(() => this.#attempt(ending, waiting), delayMs)
  }

  #attempt(ending: Ending, waiting: Waiting): void {
    const { nodes, log } = this.#broker
    const { entry } = ending
    const id = partitionId(waiting.to.topic, waiting.to.partition)
    if (this.#endings.get(entry.transactionalId) !== ending || ending.waiting.get(id) !== waiting) return
    this.#clear(waiting)
    const node = nodes.coordinator('transaction', entry.transactionalId)
    const isServed = nodes.coordinatorError('transaction', entry.transactionalId, node) === codes.NONE
    if (node < 0 || !isServed || nodes.leader(waiting.to.topic, waiting.to.partition) < 0) {
      this.#later(ending, waiting, retryMs)
      return
    }
    if (this.#hasMoved(ending)) {
      this.#begin(ending)
      return
    }
    const code = this.#write(ending, waiting.to)
    if (code === codes.NONE) {
      ending.waiting.delete(id)
      this.#finish(ending)
      return
    }
    // As in Kafka: somebody has gone over this producer here. The other partitions get their markers, and the transaction
    // waits for this one for good (until its coordinator moves, and tries again).
    log.warn('a transaction cannot be completed: a partition refused its marker', {
      transactionalId: entry.transactionalId,
      ...waiting.to,
      code,
    })
  }

  /** A partition that is gone needs no marker. */
  #write({ entry, coordinatorEpoch }: Ending, { topic, partition }: TopicPartition): number {
    const { producerId, producerEpoch, raisesEpoch } = entry.record
    const marker: Marker = {
      producerId,
      producerEpoch,
      coordinatorEpoch,
      committed: entry.isCommitting,
      transactionVersion: raisesEpoch ? 2 : 1,
    }
    if (topic === offsetsTopic) {
      this.#broker.groups.applyMarker(partition, marker)
      return codes.NONE
    }
    return this.#broker.topics.get(topic)?.logs[partition]?.appendMarker(marker) ?? codes.NONE
  }

  #finish(ending: Ending): void {
    const { entry, waiting } = ending
    if (waiting.size > 0 || this.#endings.get(entry.transactionalId) !== ending) return
    this.#endings.delete(entry.transactionalId)
    this.#done(entry)
  }

  #hasMoved({ entry: { transactionalId }, node, coordinatorEpoch }: Ending): boolean {
    const isElsewhere = node !== this.#broker.nodes.coordinator('transaction', transactionalId)
    return isElsewhere || coordinatorEpoch !== this.#epochOf(transactionalId)
  }

  #stop(ending: Ending): void {
    for (const waiting of ending.waiting.values()) this.#clear(waiting)
    ending.waiting.clear()
  }

  #clear(waiting: Waiting): void {
    if (waiting.timer !== undefined) this.#broker.ports.timers.clear(waiting.timer)
    waiting.timer = undefined
  }
}
