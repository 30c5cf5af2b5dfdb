// What a partition knows of its producers: the epoch and the last five batches of each (KIP-98: so many may be in flight,
// and a repeated one is answered with the offset that it has), and the transactions that are open here.
//
// A producer that is not known may begin with any sequence number: its state may have gone with its records. Markers end
// transactions; one of transactions version 2 carries the next epoch (KIP-890), so that what the ended transaction still
// sends is refused.
import type { BatchView } from '../record/batch-view.ts'
import { nextSequence } from '../record/varint.ts'
import type { Marker } from './broker-state.ts'
import { codes } from './codes.ts'

/** As many as an idempotent producer may have in flight. */
const rememberedBatches = 5
const noEpoch = -1
const noSequence = -1
const sequenceMax = 2_147_483_647

interface RememberedBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly timestamp: number
}

export interface ProducerState {
  readonly producerId: number
  epoch: number
  /** Of the last marker; -1 before the first one. */
  coordinatorEpoch: number
  lastTimestamp: number
  /** Where the transaction begins that is open here. */
  transactionStart: number | undefined
  readonly batches: RememberedBatch[]
}

/** A producer that asked to begin a transaction here, before its first batch was appended. */
interface Verification {
  epoch: number
  lowestSequence: number
  readonly startsAtZero: boolean
}

export interface EndedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

const lastSequenceOf = (view: BatchView): number =>
  view.baseSequence < 0 ? noSequence : nextSequence(view.baseSequence, view.lastOffset - view.baseOffset)

const takeEpoch = (state: ProducerState, epoch: number): void => {
  if (state.epoch === epoch) return
  state.epoch = epoch
  state.batches.length = 0
}

export class ProducerStates {
  readonly #producers = new Map<number, ProducerState>()
  readonly #open = new Map<number, number>()
  readonly #verifications = new Map<number, Verification>()

  /** Producers whose transaction is open here, with its first offset. */
  get open(): ReadonlyMap<number, number> {
    return this.#open
  }

  all(): Iterable<ProducerState> {
    return this.#producers.values()
  }

  get(producerId: number): ProducerState | undefined {
    return this.#producers.get(producerId)
  }

  /** First offset of the transactions that are open, undefined without one. */
  firstOpenOffset(except?: number): number | undefined {
    let first: number | undefined
    for (const [producerId, offset] of this.#open)
      if (producerId !== except && (first === undefined || offset < first)) first = offset
    return first
  }

  hasOpenTransaction(producerId: number, epoch: number): boolean {
    return this.#open.has(producerId) && this.#producers.get(producerId)?.epoch === epoch
  }

  /**
   * A batch is about to be verified. The lowest sequence number that came is remembered, so that of several batches in
   * flight not the second one begins when the first one was refused.
   * @param startsAtZero transactions version 2, where a transaction of an unknown producer begins with sequence 0
   */
  beginVerification(producerId: number, epoch: number, sequence: number, startsAtZero: boolean): void {
    const known = this.#verifications.get(producerId)
    if (known === undefined) {
      this.#verifications.set(producerId, { epoch, lowestSequence: sequence, startsAtZero })
    } else if (epoch > known.epoch) {
      known.epoch = epoch
      known.lowestSequence = sequence
    } else if (epoch === known.epoch) known.lowestSequence = Math.min(known.lowestSequence, sequence)
  }

  /** The same batch, if it is one of the last five of its producer. */
  duplicateOf(view: BatchView): RememberedBatch | undefined {
    const state = this.#producers.get(view.producerId)
    if (state === undefined || state.epoch !== view.producerEpoch) return undefined
    const last = lastSequenceOf(view)
    return state.batches.find(
      ({ firstSequence, lastSequence }) => firstSequence === view.baseSequence && lastSequence === last,
    )
  }

  /** @returns NONE, or why a batch of an idempotent producer is refused. */
  check(view: BatchView): number {
    const state = this.#producers.get(view.producerId)
    const epoch = view.producerEpoch
    if (state !== undefined && epoch < state.epoch) return codes.INVALID_PRODUCER_EPOCH
    if (!this.#isNext(view, state)) return codes.OUT_OF_ORDER_SEQUENCE_NUMBER
    const mixesIn = !view.isTransactional && state?.transactionStart !== undefined
    return mixesIn ? codes.INVALID_TXN_STATE : codes.NONE
  }

  /** @returns NONE, or why the marker is refused. */
  checkMarker({ producerId, producerEpoch, coordinatorEpoch, transactionVersion = 0 }: Marker): number {
    const state = this.#producers.get(producerId)
    if (state === undefined) return codes.NONE
    // Transactions version 2 raises the epoch with each end, so an equal one is late (KIP-1228), unless it only repeats
    // the marker that ended the last transaction.
    const isLate = transactionVersion >= 2 && state.transactionStart !== undefined
    if (producerEpoch < state.epoch || (isLate && producerEpoch === state.epoch))
      return codes.INVALID_PRODUCER_EPOCH
    return coordinatorEpoch < state.coordinatorEpoch ? codes.TRANSACTION_COORDINATOR_FENCED : codes.NONE
  }

  /** A batch of an idempotent producer is in the log. */
  appended(view: BatchView): void {
    const state = this.#stateOf(view.producerId)
    takeEpoch(state, view.producerEpoch)
    if (state.batches.length === rememberedBatches) state.batches.shift()
    state.batches.push({
      firstSequence: view.baseSequence,
      lastSequence: lastSequenceOf(view),
      firstOffset: view.baseOffset,
      lastOffset: view.lastOffset,
      timestamp: view.maxTimestamp,
    })
    state.lastTimestamp = view.maxTimestamp
    if (!view.isTransactional) return
    this.#verifications.delete(view.producerId)
    if (state.transactionStart !== undefined) return
    state.transactionStart = view.baseOffset
    this.#open.set(view.producerId, view.baseOffset)
  }

  /** A marker is in the log. @returns the transaction that it ended, undefined where none was open here */
  markerAppended(
    { producerId, producerEpoch, coordinatorEpoch }: Omit<Marker, 'committed'>,
    timestampMs: number,
  ): EndedTransaction | undefined {
    const state = this.#stateOf(producerId)
    const firstOffset = state.transactionStart
    takeEpoch(state, producerEpoch)
    state.transactionStart = undefined
    state.coordinatorEpoch = coordinatorEpoch
    state.lastTimestamp = timestampMs
    this.#open.delete(producerId)
    this.#verifications.delete(producerId)
    return firstOffset === undefined ? undefined : { producerId, firstOffset }
  }

  /** Forgets who has written nothing since then, and has no open transaction. */
  expire(beforeMs: number): void {
    for (const [producerId, state] of this.#producers)
      if (state.transactionStart === undefined && state.lastTimestamp < beforeMs)
        this.#producers.delete(producerId)
  }

  #isNext(view: BatchView, state: ProducerState | undefined): boolean {
    const sequence = view.baseSequence
    const verification = this.#verifications.get(view.producerId)
    if (verification !== undefined) {
      const isUnknown = state === undefined || state.batches.length === 0
      if (verification.startsAtZero && sequence !== 0 && isUnknown) return false
      if (sequence > verification.lowestSequence) return false
    }
    if (state === undefined) return true
    if (view.producerEpoch !== state.epoch) return sequence === 0
    const last = state.batches.at(-1)?.lastSequence ?? noSequence
    return sequence === last + 1 || (sequence === 0 && last === sequenceMax)
  }

  #stateOf(producerId: number): ProducerState {
    const known = this.#producers.get(producerId)
    if (known !== undefined) return known
    const state: ProducerState = {
      producerId,
      epoch: noEpoch,
      coordinatorEpoch: -1,
      lastTimestamp: -1,
      transactionStart: undefined,
      batches: [],
    }
    this.#producers.set(producerId, state)
    return state
  }
}
