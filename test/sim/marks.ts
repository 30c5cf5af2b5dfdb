// What a batch of seeds has to have seen: situations that a simulation is made for, each told from what went over the
// network, what the broker knows and what the workers logged.
import { handlerOf } from '../../src/embedded/request-table.ts'
import { type Api, responseHeaderHasTags } from '../../src/protocol/api.ts'
import { endTxn } from '../../src/protocol/end-txn.ts'
import { initProducerId } from '../../src/protocol/init-producer-id.ts'
import { offsetFetch } from '../../src/protocol/offset-fetch.ts'
import { txnOffsetCommit } from '../../src/protocol/txn-offset-commit.ts'
import { Reader } from '../../src/protocol/wire.ts'
import { transactionalIdOf } from '../../src/runtime/transactional-id.ts'
import type { Fault } from '../../src/testing/simulation/fault.ts'
import type { Request, SimulatedLink } from '../../src/testing/simulation/simulated-link.ts'
import type { NetObserver } from '../../src/testing/simulation/simulated-net.ts'
import type { Simulation } from '../../src/testing/simulation/simulation.ts'

export const marks = [
  'a commit without an answer had landed',
  'a commit without an answer had not landed',
  'a commit arrived when its sender had gone on',
  'a zombie was refused by its generation',
  'a producer was fenced',
  'a restore began while a changelog ended beyond its last stable offset',
  'a producer id was rotated',
  'the tail of a store was lost',
  'unstable offsets were waited for',
  'a member joined again with a transaction open',
  'a coordinator moved in the middle of a commit',
  'a task went on on another host',
  'a process was killed in the middle of a commit',
  'a process was stopped in the middle of a commit',
  'a machine lost its disk',
  'a store was rebuilt',
  'a node went down',
  'a transaction timed out',
  'markers were late',
  'transactions version 1',
] as const

export type Mark = (typeof marks)[number]

const key = {
  joinGroup: 11,
  offsetFetch: 9,
  initProducerId: 22,
  endTxn: 26,
  txnOffsetCommit: 28,
  listOffsets: 2,
} as const
const code = {
  ILLEGAL_GENERATION: 22,
  UNKNOWN_MEMBER_ID: 25,
  INVALID_PRODUCER_EPOCH: 47,
  FENCED_INSTANCE_ID: 82,
  UNSTABLE_OFFSET_COMMIT: 88,
  PRODUCER_FENCED: 90,
} as const
const zombies: ReadonlySet<number> = new Set([
  code.ILLEGAL_GENERATION,
  code.UNKNOWN_MEMBER_ID,
  code.FENCED_INSTANCE_ID,
])
const fenced: ReadonlySet<number> = new Set([code.INVALID_PRODUCER_EPOCH, code.PRODUCER_FENCED])

const lengthBytes = 4
const correlationBytes = 4

/** Reads an answer by the codec of the client. */
const decode = <Res>(api: Api<never, Res>, { version }: Request, frame: Buffer): Res => {
  const reader = new Reader(frame.subarray(lengthBytes + correlationBytes))
  if (responseHeaderHasTags(api, version)) {
    reader.begin('the header of an answer', true)
    reader.tags()
  }
  return api.decode(reader, version)
}

interface EndTxnRequest {
  readonly producerId: number
  readonly committed: boolean
}

/** Reads a request by the codec of the broker. */
const endTxnOf = ({ frame, version }: Request): EndTxnRequest => {
  const handler = handlerOf(key.endTxn)
  if (handler === undefined) throw new Error('the broker does not know EndTxn')
  const reader = new Reader(frame.subarray(lengthBytes))
  reader.begin('a request', false)
  reader.int16()
  reader.int16()
  reader.int32()
  reader.nullableString()
  reader.begin('EndTxn', version >= handler.flexibleFrom)
  reader.tags()
  return handler.decode(reader, version) as EndTxnRequest
}

export class Marks {
  readonly seen = new Set<Mark>()
  readonly #applicationId: string
  readonly #changelogs: readonly string[]
  readonly #inCommit = new Map<string, number>()
  #simulation: Simulation | undefined

  constructor(applicationId: string, changelogs: readonly string[]) {
    this.#applicationId = applicationId
    this.#changelogs = changelogs
  }

  watch(simulation: Simulation): void {
    this.#simulation = simulation
  }

  get observer(): NetObserver {
    return {
      sent: (link, request) => this.#sent(link, request),
      arrived: (link, request) => this.#arrived(link, request),
      answered: (link, request, frame, lost) => this.#answered(link, request, frame, lost),
    }
  }

  fault(fault: Fault): void {
    const point = fault.when?.point ?? ''
    const isInCommit = /offset-commit|end-txn|after-produce|local-commit/.test(point)
    if (fault.kind === 'kill' && isInCommit) this.seen.add('a process was killed in the middle of a commit')
    if (fault.kind === 'pause' && isInCommit) this.seen.add('a process was stopped in the middle of a commit')
    if (fault.kind === 'kill' && fault.crash === 'disk lost') this.seen.add('a machine lost its disk')
    if (fault.kind === 'stop node') this.seen.add('a node went down')
    if (fault.kind === 'slow markers') this.seen.add('markers were late')
    if (fault.kind === 'move coordinator' && [...this.#inCommit.values()].some((count) => count > 0))
      this.seen.add('a coordinator moved in the middle of a commit')
  }

  line(text: string): void {
    if (text.startsWith('a store is rebuilt')) this.seen.add('a store was rebuilt')
  }

  brokerLine(text: string): void {
    if (text.startsWith('a transaction is aborted')) this.seen.add('a transaction timed out')
  }

  #sent({ host }: SimulatedLink, request: Request): void {
    const { apiKey, fault } = request
    if (apiKey === key.txnOffsetCommit || apiKey === key.endTxn) this.#inCommit.set(host, 1)
    if (apiKey !== key.endTxn || fault === undefined || !endTxnOf(request).committed) return
    if (fault.effect === 'request lost' || fault.effect === 'swallowed')
      this.seen.add('a commit without an answer had not landed')
    if (fault.effect === 'ghost') this.seen.add('a commit arrived when its sender had gone on')
  }

  #arrived({ host }: SimulatedLink, { apiKey }: Request): void {
    const state = this.#simulation?.kafka.state
    if (apiKey === key.joinGroup) {
      const transaction = state?.transactions.describe(transactionalIdOf(this.#applicationId, host))
      if (transaction?.state === 'Ongoing') this.seen.add('a member joined again with a transaction open')
    }
    if (apiKey === key.listOffsets) {
      const isBehind = this.#changelogs
        .flatMap((topic) => this.#simulation?.logs.logs(topic) ?? [])
        .some((log) => log.lastStableOffset < log.endOffset)
      if (isBehind) this.seen.add('a restore began while a changelog ended beyond its last stable offset')
    }
  }

  #answered({ host }: SimulatedLink, request: Request, frame: Buffer, lost: boolean): void {
    switch (request.apiKey) {
      case key.endTxn: {
        this.#inCommit.set(host, 0)
        const asked = endTxnOf(request)
        const { errorCode, producerId } = decode(endTxn, request, frame)
        this.#errors([errorCode])
        if (errorCode !== 0) return
        if (lost && asked.committed) this.seen.add('a commit without an answer had landed')
        if (producerId >= 0 && producerId !== asked.producerId) this.seen.add('a producer id was rotated')
        return
      }
      case key.txnOffsetCommit: {
        const { topics } = decode(txnOffsetCommit, request, frame)
        return this.#errors(topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)))
      }
      case key.initProducerId:
        return this.#errors([decode(initProducerId, request, frame).errorCode])
      case key.offsetFetch: {
        const { topics } = decode(offsetFetch, request, frame)
        const codes = topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
        if (codes.includes(code.UNSTABLE_OFFSET_COMMIT)) this.seen.add('unstable offsets were waited for')
        return
      }
      default:
    }
  }

  #errors(codes: readonly number[]): void {
    if (codes.some((one) => zombies.has(one))) this.seen.add('a zombie was refused by its generation')
    if (codes.some((one) => fenced.has(one))) this.seen.add('a producer was fenced')
  }
}
