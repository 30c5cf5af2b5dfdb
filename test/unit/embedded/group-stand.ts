// The groups of an embedded broker on time that stands still: timers fire when the test says so, and requests go to the
// handlers as the session would hand them over.
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { brokerDefaults } from '../../../src/embedded/broker-settings.ts'
import type { BrokerSettings, BrokerState } from '../../../src/embedded/broker-state.ts'
import { codes } from '../../../src/embedded/codes.ts'
import type { JoinAnswer, SyncAnswer } from '../../../src/embedded/group-members.ts'
import { GroupTable } from '../../../src/embedded/group-table.ts'
import { type Journal, MemoryJournal } from '../../../src/embedded/journal.ts'
import { Nodes } from '../../../src/embedded/nodes.ts'
import type { AnyHandler } from '../../../src/embedded/request-handler.ts'
import { heartbeatHandler } from '../../../src/embedded/requests/heartbeat.ts'
import { joinGroupHandler } from '../../../src/embedded/requests/join-group.ts'
import { leaveGroupHandler } from '../../../src/embedded/requests/leave-group.ts'
import { syncGroupHandler } from '../../../src/embedded/requests/sync-group.ts'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

type Admit = BrokerState['transactions']['admit']

/** What a request was answered, as soon as it was. */
export interface Asked<T> {
  answer: T | undefined
}

export interface JoinOptions {
  readonly memberId?: string
  readonly instanceId?: string | null
  readonly sessionTimeoutMs?: number
  readonly rebalanceTimeoutMs?: number
  readonly protocolType?: string
  /** Names of assignors with their metadata. */
  readonly protocols?: Readonly<Record<string, string>>
  readonly version?: number
}

export interface SyncOptions {
  readonly instanceId?: string | null
  readonly assignments?: Readonly<Record<string, string>>
}

export const errorName = (code: number | undefined): string =>
  Object.entries(codes).find(([, value]) => value === code)?.[0] ?? String(code)

/** Topics `a` and `b` with four partitions each, on two nodes. */
export class GroupStand {
  readonly broker: BrokerState
  readonly groups: GroupTable
  readonly journal: Journal
  admit: Admit = () => codes.NONE
  readonly #timers = new Set<Timer>()
  #now = 1_000_000
  #ids = 0

  constructor(settings: Partial<BrokerSettings> = {}, journal: Journal = new MemoryJournal()) {
    this.journal = journal
    const ports = {
      ...nodePorts,
      clock: { now: () => this.#now, monotonic: () => this.#now },
      random: { next: () => 0, uuid: () => `uuid-${++this.#ids}` },
      timers: {
        ...nodePorts.timers,
        set: (callback: () => void, delayMs: number): object => {
          const timer = { at: this.#now + delayMs, callback }
          this.#timers.add(timer)
          return timer
        },
        clear: (timer: object) => void this.#timers.delete(timer as Timer),
      },
    }
    const all = { ...brokerDefaults, ...settings }
    const nodes = new Nodes(ports.clock, all.coordinatorPartitions)
    const topics = new Map(['a', 'b'].map((name) => [name, { name, logs: [0, 1, 2, 3] }]))
    const parts = {
      ports,
      log: silentLogger,
      settings: all,
      journal,
      nodes,
      topics: { get: (name: string) => topics.get(name) },
      transactions: { admit: (...asked: Parameters<Admit>) => this.admit(...asked) },
    }
    const broker = parts as unknown as BrokerState & { groups: GroupTable }
    this.groups = new GroupTable(broker)
    broker.groups = this.groups
    this.broker = broker
    for (const nodeId of [1, 2]) nodes.add({ nodeId, host: 'localhost', port: 9090 + nodeId })
    this.groups.load()
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Time goes on, timers fire in order. */
  pass(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#now = due.at
      due.callback()
    }
    this.#now = end
  }

  /** @param nodeId default: the node that coordinates the group */
  ask<T>(handler: AnyHandler, request: object, version: number = handler.versions[1], nodeId = 0): T {
    const named = request as { groupId?: string; groupIds?: string[]; groups?: { groupId: string }[] }
    const groupId = named.groupId ?? named.groupIds?.[0] ?? named.groups?.[0]?.groupId ?? ''
    const context = {
      broker: this.broker,
      nodeId: nodeId || this.broker.nodes.coordinator('group', groupId),
      version,
      clientId: 'client',
      clientHost: '127.0.0.1',
      gone: new AbortController().signal,
    }
    return handler.handle(request, context) as T
  }

  /** Once, whatever the answer is. */
  joinOnce(groupId: string, options: JoinOptions = {}): Asked<JoinAnswer> {
    const { protocols = { range: 'x' }, version = 9 } = options
    const request = {
      groupId,
      memberId: options.memberId ?? '',
      instanceId: options.instanceId ?? null,
      sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
      rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 3000,
      protocolType: options.protocolType ?? 'consumer',
      protocols: Object.entries(protocols).map(([name, metadata]) => ({
        name,
        metadata: Buffer.from(metadata),
      })),
    }
    return asked(this.ask(joinGroupHandler, request, version))
  }

  /** With the id that it is told, where it is told one. */
  join(groupId: string, options: JoinOptions = {}): Asked<JoinAnswer> {
    const first = this.joinOnce(groupId, options)
    if (first.answer?.errorCode !== codes.MEMBER_ID_REQUIRED) return first
    return this.joinOnce(groupId, { ...options, memberId: first.answer.memberId })
  }

  sync(groupId: string, member: JoinAnswer, options: SyncOptions = {}): Asked<SyncAnswer> {
    const assignments = Object.entries(options.assignments ?? {})
    const request = {
      groupId,
      memberId: member.memberId,
      instanceId: options.instanceId ?? null,
      generationId: member.generationId,
      protocolType: 'consumer',
      protocolName: member.protocolName,
      assignments: new Map(assignments.map(([id, assignment]) => [id, Buffer.from(assignment)])),
    }
    return asked(this.ask(syncGroupHandler, request))
  }

  /** The only member of a stable group. */
  async alone(groupId: string, options: JoinOptions = {}): Promise<JoinAnswer> {
    const joined = this.join(groupId, options)
    this.pass(this.broker.settings.initialRebalanceDelayMs)
    const answer = await arrived(joined)
    if (answer === undefined) throw new Error('the first member waits')
    const { instanceId = null } = options
    this.sync(groupId, answer, { instanceId, assignments: { [answer.memberId]: 'all' } })
    return answer
  }

  /** The name of the error. */
  heartbeat(groupId: string, member: JoinAnswer, instanceId: string | null = null): string {
    const { memberId, generationId } = member
    const request = { groupId, memberId, generationId, instanceId }
    return errorName(this.ask<{ errorCode: number }>(heartbeatHandler, request).errorCode)
  }

  leave(groupId: string, ...members: { memberId: string; instanceId: string | null }[]): string[] {
    const { members: answers } = this.ask<{ members: { errorCode: number }[] }>(leaveGroupHandler, {
      groupId,
      members,
    })
    return answers.map(({ errorCode }) => errorName(errorCode))
  }

  stateOf(groupId: string): string {
    return this.groups.get(groupId)?.state ?? 'none'
  }
}

/** Answers arrive in a later turn; what was there at once is there at once. */
const asked = <T>(answer: T | Promise<T>): Asked<T> => {
  const one: Asked<T> = { answer: answer instanceof Promise ? undefined : answer }
  if (answer instanceof Promise) {
    void answer.then((value) => {
      one.answer = value
    })
  }
  return one
}

/** Lets what was answered arrive. */
export const arrived = async <T>(one: Asked<T>): Promise<T | undefined> => {
  await Promise.resolve()
  await Promise.resolve()
  return one.answer
}
