// What a run came to, by the handles of the topology: read from the logs of the broker, decoded by the user's serdes.
import type { Serde } from '../../serde/serde.ts'
import { withoutTimestamp } from '../../state/timestamped.ts'
import type { Topology } from '../../topology/contracts.ts'
import { changelogTopicName } from '../../topology/internal-topics.ts'
import { misused } from '../driver/misused.ts'
import type { SimulatedRecord, SimulatedWorld } from './contracts.ts'
import type { LogRecord } from './log-follower.ts'
import type { Simulation } from './simulation.ts'

const read = <T>(serde: Serde<T, never>, bytes: Buffer | null): T => {
  if (bytes !== null) return serde.decode(bytes)
  // Null is what it is where the serde has no other word for it.
  return serde.decodeNull === undefined ? (null as T) : serde.decodeNull()
}

/** @throws DRIVER_MISUSED */
const committedOf = ({ logs }: Simulation, topic: string): LogRecord[] => {
  if (logs.logs(topic).length === 0) throw misused('the topology has no such topic or store', { topic })
  const byOffset = (one: LogRecord, other: LogRecord): number => one.offset - other.offset
  return logs.follow(topic).flatMap(({ committed }) => committed.toSorted(byOffset))
}

/** How the values of a store are read: an aggregate has its timestamp in front. */
const valueSerdeOf = <V>({ graph }: Topology, name: string, otherwise: Serde<V, never>): Serde<V, never> => {
  const stores = graph.subtopologies.flatMap((subtopology) => subtopology.stores)
  const plain = stores.find((one) => one.name === name)?.plainValue
  return plain === undefined ? otherwise : (withoutTimestamp(plain) as Serde<V, never>)
}

export const worldOf = (
  simulation: Simulation,
  seed: number,
  applicationId: string,
  topology: Topology,
): SimulatedWorld => ({
  seed,
  records: <K, V>({ name, key, value }: { name: string; key: Serde<K, never>; value: Serde<V, never> }) =>
    committedOf(simulation, name).map(
      (record): SimulatedRecord<K, V> => ({
        key: read(key, record.key),
        value: read(value, record.value),
        timestamp: record.timestamp,
        headers: record.headers.map(([name, bytes]) => ({ key: name, value: bytes })),
        partition: record.partition,
        offset: record.offset,
      }),
    ),
  store: <K, V>({ name, key, value }: { name: string; key: Serde<K, never>; value: Serde<V, never> }) => {
    const last = new Map<string, LogRecord>()
    for (const record of committedOf(simulation, changelogTopicName(applicationId, name))) {
      const id = record.key?.toString('latin1') ?? ''
      if (record.value === null) last.delete(id)
      else last.set(id, record)
    }
    const plain = valueSerdeOf(topology, name, value)
    return new Map([...last.values()].map((record) => [read(key, record.key), read(plain, record.value)]))
  },
})
