// Which processors of a task run before the turn of a record: the asynchronous ones, and those that lead to them.
import type { AsyncWork, TopologyNode } from '../topology/contracts.ts'
import type { StreamRecord } from '../topology/stream-record.ts'
import type { Receiver } from './taken-record.ts'

/** Of the records of a task: see async-turns.ts. */
export interface Turns {
  deferring(receiver: Receiver): Receiver
  awaitCall(work: AsyncWork, record: StreamRecord<unknown, unknown>): void
}

/** Their names. */
export const aheadOf = (nodes: readonly TopologyNode[]): ReadonlySet<string> => {
  const parents = new Map<string, string[]>()
  for (const { name, children } of nodes)
    for (const child of children) parents.set(child, [...(parents.get(child) ?? []), name])
  const found = new Set<string>()
  const next = nodes.flatMap((node) => (node.kind === 'processor' && node.asynchronous ? [node.name] : []))
  for (let name = next.pop(); name !== undefined; name = next.pop()) {
    if (found.has(name)) continue
    found.add(name)
    next.push(...(parents.get(name) ?? []))
  }
  return found
}
