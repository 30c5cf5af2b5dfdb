// Transactions and group members made of single requests, with none of the care that src/ takes: what a broker answers
// to a client that is late, stale or wrong. Each has connections of its own, as each process has them.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, ConnectionRole } from '../../src/client/cluster.ts'
import { listOffsets } from '../../src/client/offsets.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { addOffsetsToTxn } from '../../src/protocol/add-offsets-to-txn.ts'
import { encodeAssignment, encodeSubscription } from '../../src/protocol/consumer-protocol.ts'
import { endTxn } from '../../src/protocol/end-txn.ts'
import { brokerError } from '../../src/protocol/error-codes.ts'
import { heartbeat } from '../../src/protocol/heartbeat.ts'
import { initProducerId } from '../../src/protocol/init-producer-id.ts'
import { type JoinGroupResponse, joinGroup } from '../../src/protocol/join-group.ts'
import { leaveGroup } from '../../src/protocol/leave-group.ts'
import type { IsolationLevel } from '../../src/protocol/list-offsets.ts'
import { offsetFetch } from '../../src/protocol/offset-fetch.ts'
import { produce } from '../../src/protocol/produce.ts'
import { syncGroup } from '../../src/protocol/sync-group.ts'
import { txnOffsetCommit } from '../../src/protocol/txn-offset-commit.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { connect, inMs } from './client.ts'

export interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}

export interface MemberIdentity {
  readonly memberId: string
  readonly generationId: number
  readonly instanceId?: string | undefined
}

/** As a client that is no member of the group: the broker checks nothing. */
const nobody: MemberIdentity = { memberId: '', generationId: -1 }

/** Answers that pass by themselves. */
const passing = new Set([
  'CONCURRENT_TRANSACTIONS',
  // On a broker that has just made the internal topic of its coordinators.
  'NOT_COORDINATOR',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_ENOUGH_REPLICAS',
  'NOT_LEADER_OR_FOLLOWER',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNSTABLE_OFFSET_COMMIT',
])

const nameOf = (code: number): string => brokerError(code).name

/** Repeats a request while its answer is one that passes. */
const settled = async <T extends { readonly error: string }>(ask: () => Promise<T>): Promise<T> => {
  for (const deadline = inMs(20_000); ; await sleep(5)) {
    const answer = await ask()
    if (!passing.has(answer.error) || inMs(0) > deadline) return answer
  }
}

export interface EndAnswer extends Identity {
  readonly error: string
}

export interface ProduceOptions {
  /** Which of the connections to the broker. */
  readonly role?: ConnectionRole
  /** The answer to the first try. */
  readonly once?: boolean
}

/** A transactional producer; under version 2 of transactions unless told otherwise. */
export class RawProducer {
  readonly cluster: Cluster
  readonly transactionalId: string
  readonly #timeoutMs: number
  identity: Identity = { producerId: -1, producerEpoch: -1 }
  readonly #sequences = new Map<string, number>()

  private constructor(cluster: Cluster, transactionalId: string, timeoutMs: number) {
    this.cluster = cluster
    this.transactionalId = transactionalId
    this.#timeoutMs = timeoutMs
  }

  static async open(
    transactionalId: string,
    { brokers, timeoutMs = 60_000 }: { brokers?: readonly string[]; timeoutMs?: number } = {},
  ): Promise<RawProducer> {
    const cluster = await connect(brokers === undefined ? {} : { brokers })
    const producer = new RawProducer(cluster, transactionalId, timeoutMs)
    const error = await producer.init()
    if (error !== 'NONE') throw new Error(`InitProducerId was answered ${error}`)
    return producer
  }

  /** InitProducerId, which shows this id and epoch, or none. */
  async init(shown?: Identity): Promise<string> {
    return (await settled(async () => ({ error: await this.initOnce(shown) }))).error
  }

  async initOnce(shown: Identity = { producerId: -1, producerEpoch: -1 }): Promise<string> {
    const { transactionalId } = this
    const node = await this.cluster.coordinator('transaction', transactionalId)
    const answer = await this.cluster.send(node, 'coordinator', initProducerId, {
      transactionalId,
      transactionTimeoutMs: this.#timeoutMs,
      ...shown,
    })
    if (answer.errorCode === 0) this.#take(answer)
    return nameOf(answer.errorCode)
  }

  /** One batch of these values. A batch that is not taken keeps its sequence. */
  async produce(
    topic: string,
    partition: number,
    values: readonly string[],
    { role = 'produce', once = false }: ProduceOptions = {},
  ): Promise<string> {
    const id = `${topic}/${partition}`
    const sequence = this.#sequences.get(id) ?? 0
    this.#sequences.set(id, sequence + values.length)
    const records = sealed(values, sequence, this.identity)
    if (this.cluster.partition(topic, partition) === undefined) await this.cluster.refreshMetadata([topic])
    const leader = this.cluster.partition(topic, partition)?.leader ?? -1
    const request = {
      transactionalId: this.transactionalId,
      acks: -1,
      timeoutMs: 10_000,
      topics: [{ topic, partitions: [{ partition, records }] }],
    } as const
    const ask = async (): Promise<{ error: string }> => {
      const { topics } = await this.cluster.send(leader, role, produce, request)
      return { error: nameOf(topics[0]?.partitions[0]?.errorCode ?? -1) }
    }
    return (await (once ? ask() : settled(ask))).error
  }

  /** TxnOffsetCommit of these offsets by partition, all with the same metadata. */
  async commitOffsets(
    groupId: string,
    topic: string,
    offsets: Readonly<Record<number, number>>,
    options: { metadata?: string; member?: MemberIdentity; once?: boolean; version?: number } = {},
  ): Promise<string> {
    const { metadata = '', member = nobody, once = false, version } = options
    const partitions = Object.entries(offsets).map(([partition, offset]) => ({
      partition: Number(partition),
      offset,
      leaderEpoch: -1,
      metadata,
    }))
    const { transactionalId, identity } = this
    const request = {
      transactionalId,
      groupId,
      ...identity,
      generationId: member.generationId,
      memberId: member.memberId,
      groupInstanceId: member.instanceId ?? null,
      topics: [{ topic, partitions }],
    }
    const node = await this.cluster.coordinator('group', groupId)
    const ask = async (): Promise<{ error: string }> => {
      const { topics } = await this.cluster.send(
        node,
        'coordinator',
        txnOffsetCommit,
        request,
        versionOf(version),
      )
      const codes = topics.flatMap((one) => one.partitions.map(({ errorCode }) => errorCode))
      return { error: nameOf(codes.find((code) => code !== 0) ?? 0) }
    }
    return (await (once ? ask() : settled(ask))).error
  }

  /** Only for version 1 of transactions: the group's offsets are to be part of this one. */
  async addOffsets(groupId: string): Promise<string> {
    const { transactionalId, identity } = this
    const node = await this.cluster.coordinator('transaction', transactionalId)
    const ask = async (): Promise<{ error: string }> => {
      const request = { transactionalId, ...identity, groupId }
      const { errorCode } = await this.cluster.send(node, 'coordinator', addOffsetsToTxn, request)
      return { error: nameOf(errorCode) }
    }
    return (await settled(ask)).error
  }

  /** EndTxn, and on with the identity that it answers. */
  async end(committed: boolean, { version }: { version?: number } = {}): Promise<EndAnswer> {
    const { identity } = this
    const answer = await settled(() => this.endOnce(committed, { identity, version }))
    if (answer.error === 'NONE' && answer.producerId >= 0) this.#take(answer)
    return answer
  }

  /** EndTxn as often as it is called, and nothing else changes. */
  async endOnce(
    committed: boolean,
    { identity = this.identity, role = 'coordinator', version }: EndOptions = {},
  ): Promise<EndAnswer> {
    const { transactionalId } = this
    const node = await this.cluster.coordinator('transaction', transactionalId)
    const request = { transactionalId, ...identity, committed }
    const answer = await this.cluster.send(node, role, endTxn, request, versionOf(version))
    const { producerId, producerEpoch } = answer
    return { error: nameOf(answer.errorCode), producerId, producerEpoch }
  }

  close(): Promise<void> {
    return this.cluster.close()
  }

  #take({ producerId, producerEpoch }: Identity): void {
    this.identity = { producerId, producerEpoch }
    this.#sequences.clear()
  }
}

interface EndOptions {
  readonly identity?: Identity
  readonly role?: ConnectionRole
  readonly version?: number | undefined
}

const versionOf = (version: number | undefined): { version?: number } =>
  version === undefined ? {} : { version }

const sealed = (values: readonly string[], baseSequence: number, identity: Identity): Buffer => {
  const builder = new BatchBuilder(256)
  for (const value of values) {
    const bytes = Buffer.from(value)
    builder.append(Date.now(), bytes, 0, bytes.length, bytes, 0, bytes.length, undefined)
  }
  return builder.seal({ ...identity, baseSequence, transactional: true, compression: 'none' })
}

export interface RawMemberOptions {
  readonly topics: readonly string[]
  readonly instanceId?: string
  readonly userData?: string
  readonly sessionTimeoutMs?: number
  readonly rebalanceTimeoutMs?: number
  /** Of JoinGroup. */
  readonly version?: number
  /** Default: one of its own. */
  readonly cluster?: Cluster
}

export interface RawJoined {
  readonly error: string
  readonly answer: JoinGroupResponse
}

/** The assignment of some partitions of a topic, as the leader hands it in. */
export const assigned = (
  topic: string,
  partitions: readonly number[],
  userData: Buffer | null = null,
): Buffer =>
  encodeAssignment({ partitions: partitions.length === 0 ? [] : [{ topic, partitions }], userData })

/** A member of a group that does nothing by itself: no heartbeat, no join again. */
export class RawMember {
  readonly groupId: string
  readonly cluster: Cluster
  readonly options: RawMemberOptions
  memberId = ''
  generationId = -1
  userData: Buffer

  private constructor(groupId: string, cluster: Cluster, options: RawMemberOptions) {
    this.groupId = groupId
    this.cluster = cluster
    this.options = options
    this.userData = Buffer.from(options.userData ?? 'test')
  }

  static async open(groupId: string, options: RawMemberOptions): Promise<RawMember> {
    return new RawMember(groupId, options.cluster ?? (await connect()), options)
  }

  get identity(): MemberIdentity {
    const { memberId, generationId } = this
    return { memberId, generationId, instanceId: this.options.instanceId }
  }

  async join(): Promise<RawJoined> {
    const { sessionTimeoutMs = 30_000, rebalanceTimeoutMs = 10_000, topics, instanceId } = this.options
    const { userData, groupId } = this
    const metadata = encodeSubscription({
      topics,
      userData,
      ownedPartitions: [],
      generationId: -1,
      rackId: null,
    })
    const node = await this.cluster.coordinator('group', groupId)
    for (;;) {
      const request = {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId: this.memberId,
        groupInstanceId: instanceId ?? null,
        protocolType: 'consumer',
        protocols: [{ name: 'test', metadata }],
        reason: null,
      }
      const patience = { timeoutMs: rebalanceTimeoutMs + 10_000, ...versionOf(this.options.version) }
      const answer = await this.cluster.send(node, 'group', joinGroup, request, patience)
      const error = nameOf(answer.errorCode)
      if (answer.memberId !== '') this.memberId = answer.memberId
      if (error === 'MEMBER_ID_REQUIRED') continue
      if (passing.has(error)) {
        await sleep(20)
        continue
      }
      if (error === 'NONE') this.generationId = answer.generationId
      return { error, answer }
    }
  }

  /** SyncGroup; the leader gives each member id its assignment. */
  async sync(
    assignments: readonly (readonly [memberId: string, assignment: Buffer])[] = [],
  ): Promise<{ error: string; assignment: Buffer }> {
    const { groupId, generationId, memberId } = this
    const node = await this.cluster.coordinator('group', groupId)
    const answer = await this.cluster.send(node, 'group', syncGroup, {
      groupId,
      generationId,
      memberId,
      groupInstanceId: this.options.instanceId ?? null,
      protocolType: 'consumer',
      protocolName: 'test',
      assignments: assignments.map(([id, assignment]) => ({ memberId: id, assignment })),
    })
    return { error: nameOf(answer.errorCode), assignment: Buffer.from(answer.assignment) }
  }

  /** JoinGroup as the only member, and everything for itself. */
  async takeAll(topic: string, partitions: readonly number[]): Promise<void> {
    const { error } = await this.join()
    if (error !== 'NONE') throw new Error(`JoinGroup was answered ${error}`)
    await this.sync([[this.memberId, assigned(topic, partitions, Buffer.from('test'))]])
  }

  async heartbeat(): Promise<string> {
    const { groupId, generationId, memberId } = this
    const groupInstanceId = this.options.instanceId ?? null
    const node = await this.cluster.coordinator('group', groupId)
    const request = { groupId, generationId, memberId, groupInstanceId }
    const options = { timeoutMs: 20_000 }
    return nameOf((await this.cluster.send(node, 'group', heartbeat, request, options)).errorCode)
  }

  /** Puts the member out of the group, as the end of its session would. */
  async kick(): Promise<void> {
    const { groupId, memberId } = this
    const node = await this.cluster.coordinator('group', groupId)
    const members = [{ memberId, groupInstanceId: this.options.instanceId ?? null, reason: 'test' }]
    const answer = await this.cluster.send(node, 'admin', leaveGroup, { groupId, members })
    const code = answer.errorCode || (answer.members[0]?.errorCode ?? -1)
    if (code !== 0) throw new Error(`LeaveGroup was answered ${nameOf(code)}`)
  }
}

export interface RawOffset {
  readonly error: string
  readonly offset: number
  readonly metadata: string | null
}

/** OffsetFetch, once. */
export const offsetOf = async (
  cluster: Cluster,
  groupId: string,
  topic: string,
  partition: number,
  requireStable = true,
): Promise<RawOffset> => {
  const node = await cluster.coordinator('group', groupId)
  const request = { groupId, topics: [{ topic, partitions: [partition] }], requireStable }
  const { topics } = await cluster.send(node, 'admin', offsetFetch, request)
  const found = topics[0]?.partitions[0]
  return {
    error: nameOf(found?.errorCode ?? -1),
    offset: found?.offset ?? -1,
    metadata: found?.metadata ?? null,
  }
}

/** OffsetFetch until nothing is pending any more. */
export const stableOffsetOf = (
  cluster: Cluster,
  groupId: string,
  topic: string,
  partition: number,
): Promise<RawOffset> => settled(() => offsetOf(cluster, groupId, topic, partition))

/** The high watermark (read_uncommitted) or the last stable offset (read_committed). */
export const endOf = async (
  cluster: Cluster,
  topic: string,
  partition: number,
  isolation: IsolationLevel,
): Promise<number> => {
  const partitions = [{ topic, partition }]
  const [found] = await listOffsets(cluster, nodePorts, partitions, 'latest', isolation, inMs(10_000))
  return found?.offset ?? -1
}
