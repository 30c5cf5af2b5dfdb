// A transaction coordinator on time that stands still: markers go into a list, timers fire when the test says so.
import { nodePorts } from '../../../src/base/node-ports.ts'
import { silentLogger } from '../../../src/base/log.ts'
import { brokerDefaults } from '../../../src/embedded/broker-settings.ts'
import type { BrokerSettings, BrokerState, Marker } from '../../../src/embedded/broker-state.ts'
import { codes } from '../../../src/embedded/codes.ts'
import { type Journal, MemoryJournal } from '../../../src/embedded/journal.ts'
import { Nodes } from '../../../src/embedded/nodes.ts'
import type { AnyHandler } from '../../../src/embedded/request-handler.ts'
import { TransactionCoordinator } from '../../../src/embedded/transaction-coordinator.ts'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

export interface WrittenMarker extends Marker {
  readonly to: string
}

export interface TransactionStand {
  readonly broker: BrokerState
  readonly coordinator: TransactionCoordinator
  readonly journal: Journal
  readonly written: WrittenMarker[]
  /** What partitions answer to a marker; default NONE. */
  refuse(to: string, code: number): void
  /** Time goes on, timers fire in order. */
  pass(ms: number): void
  timers(): number
  ask<Response>(handler: AnyHandler, request: unknown, version?: number, nodeId?: number): Response
}

export const errorName = (code: number): string =>
  Object.entries(codes).find(([, value]) => value === code)?.[0] ?? String(code)

/** Topics `a` and `b` with four partitions each, on two nodes. */
export const transactionStand = (
  settings: Partial<BrokerSettings> = {},
  journal: Journal = new MemoryJournal(),
): TransactionStand => {
  let now = 1_000_000
  const timers = new Set<Timer>()
  const written: WrittenMarker[] = []
  const refusals = new Map<string, number>()
  const ports = {
    ...nodePorts,
    clock: { now: () => now, monotonic: () => now },
    timers: {
      ...nodePorts.timers,
      set(callback: () => void, delayMs: number): object {
        const timer = { at: now + delayMs, callback }
        timers.add(timer)
        return timer
      },
      clear: (timer: object) => void timers.delete(timer as Timer),
    },
  }
  const appendTo = (to: string, marker: Marker): number => {
    const code = refusals.get(to) ?? codes.NONE
    if (code === codes.NONE) written.push({ to, ...marker })
    return code
  }
  const topicNamed = (name: string): object => ({
    name,
    logs: [0, 1, 2, 3].map((partition) => ({
      appendMarker: (marker: Marker) => appendTo(`${name}-${partition}`, marker),
    })),
  })
  const topics = new Map([
    ['a', topicNamed('a')],
    ['b', topicNamed('b')],
  ])
  const all = { ...brokerDefaults, ...settings }
  const nodes = new Nodes(ports.clock, all.coordinatorPartitions)
  for (const nodeId of [1, 2]) nodes.add({ nodeId, host: 'localhost', port: 9090 + nodeId })
  const parts: Partial<BrokerState> = {
    ports,
    log: silentLogger,
    settings: all,
    journal,
    nodes,
    topics: { get: (name: string) => topics.get(name) } as unknown as BrokerState['topics'],
    groups: {
      applyMarker: (partition, marker) => void appendTo(`__consumer_offsets-${partition}`, marker),
      topicDeleted: () => {},
    },
  }
  const broker = parts as BrokerState & { transactions: TransactionCoordinator }
  const coordinator = new TransactionCoordinator(broker)
  broker.transactions = coordinator
  coordinator.load()
  return {
    broker,
    coordinator,
    journal,
    written,
    refuse: (to, code) => void refusals.set(to, code),
    pass(ms) {
      const end = now + ms
      for (;;) {
        const due = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
        if (due === undefined) break
        timers.delete(due)
        now = due.at
        due.callback()
      }
      now = end
    },
    timers: () => timers.size,
    ask(handler, request, version = handler.versions[1], nodeId = 0) {
      const id = (request as { transactionalId?: string | null }).transactionalId
      const asked = nodeId || (typeof id === 'string' ? nodes.coordinator('transaction', id) : 1)
      const context = {
        broker,
        nodeId: asked,
        version,
        clientId: 'test',
        clientHost: '/127.0.0.1',
        gone: new AbortController().signal,
      }
      return handler.handle(request, context) as never
    },
  }
}
