// `topology`: the noun that a module exports.
import { MillstreamError } from '../errors.ts'
import type { StoreDefinition, Topology } from './contracts.ts'
import type { GlobalStoreSettings, GlobalTable, GlobalTableOptions } from './global-table.ts'
import { GraphBuilder } from './graph-builder.ts'
import type { TopicHandle } from './handles.ts'
import type { TableOptions } from './per-commit.ts'
import { addReadOnlyStore, type ReadOnlyRows, type ReadOnlyStoreSettings } from './read-only-store.ts'
import { RecordStream } from './stream.ts'
import type { TableStream } from './table.ts'
import type { RowsStoreHandle } from './versioned-table.ts'
import type { TopicPatternHandle } from './topic-pattern.ts'

/** What the function given to `topology` gets. */
export interface TopologyScope {
  /** The records of a topic. A topic is read once per topology; its stream may be used several times. */
  stream<K, V>(topic: TopicHandle<K, V, never, never>): RecordStream<K, V>
  /** The records of all topics that match, those that come later included. */
  stream<K, V>(pattern: TopicPatternHandle<K, V>): RecordStream<K, V>
  /**
   * A topic as a table, kept in a store: the last record of a key is its row, null takes it out. A record that brings
   * what is there already, not earlier, is no change. In a versioned store every record is a version of its row, which
   * is the latest of them; joins of streams read it as it was at the time of their records.
   */
  table<K, V>(
    topic: TopicHandle<K, V, never, never>,
    store: RowsStoreHandle<K, Exclude<V, null>>,
    options?: TableOptions,
  ): TableStream<K, Exclude<V, null>, null>
  /**
   * A topic as a table that every worker holds whole, all partitions of it: loaded before any task runs, and kept up to
   * date from then on, on its own and not with the transactions of the tasks. Rows as in `table`.
   */
  globalTable<K, V>(
    topic: TopicHandle<K, V, never, never>,
    options: GlobalTableOptions<K, Exclude<V, null>>,
  ): GlobalTable<K, Exclude<V, null>>
  /** As `globalTable`, where a function of yours writes the store from the records of the topic. */
  globalStore<K, V, SK, SV, KW, VW>(
    topic: TopicHandle<K, V, never, never>,
    settings: GlobalStoreSettings<K, V, SK, SV, KW, VW>,
  ): GlobalTable<KW, SV>
  /**
   * A topic as the changelog of a store that processors read: its records fill the store in their turn, as an input of the
   * tasks, and no topic more is needed. Each task has the rows of its partition, so the topic has as many partitions as the
   * other inputs of who reads the store. Rows as in `table`; with a function of yours it writes the store instead.
   */
  readOnlyStore<K, V>(topic: TopicHandle<K, V, never, never>, rows: ReadOnlyRows<K, Exclude<V, null>>): void
  readOnlyStore<K, V, SK, SV, KW, VW>(
    topic: TopicHandle<K, V, never, never>,
    settings: ReadOnlyStoreSettings<K, V, SK, SV, KW, VW>,
  ): void
}

/**
 * Describes a topology. The name is the application id unless that is set.
 * @throws TOPOLOGY_INVALID with all mistakes at once.
 */
export const topology = (name: string, describe: (t: TopologyScope) => void): Topology => {
  const builder = new GraphBuilder(name)
  const scope: TopologyScope = {
    stream<K, V>(topic: TopicHandle<K, V, never, never> | TopicPatternHandle<K, V>): RecordStream<K, V> {
      return new RecordStream<K, V>(builder, builder.addSource(topic, topic.timestampExtractor, false), false)
    },
    table<K, V>(
      topic: TopicHandle<K, V, never, never>,
      store: RowsStoreHandle<K, Exclude<V, null>>,
      options?: TableOptions,
    ): TableStream<K, Exclude<V, null>, null> {
      return scope.stream(topic).toTable(store, options)
    },
    globalTable(topic, { store }) {
      builder.readsTopic(topic, topic.timestampExtractor)
      return builder.globals.add(topic, store as never)
    },
    globalStore(topic, { store, process }) {
      builder.readsTopic(topic, topic.timestampExtractor)
      return builder.globals.add(topic, store as never, process as never)
    },
    readOnlyStore(
      topic: TopicHandle<unknown, unknown, never, never>,
      { store, process }: { readonly store: StoreDefinition; readonly process?: unknown },
    ): void {
      addReadOnlyStore(builder, topic, store, process as never)
    },
  }
  const result: unknown = describe(scope)
  if (result instanceof Promise) {
    result.catch(() => undefined)
    builder.problem('the function that describes it is asynchronous')
  }
  return Object.freeze({ name, graph: builder.finish() })
}

/** Whether a value, for instance the default export of a module, is a topology. */
export const isTopology = (value: unknown): value is Topology => {
  if (typeof value !== 'object' || value === null || !('name' in value) || !('graph' in value)) return false
  const graph: unknown = value.graph
  return (
    typeof value.name === 'string' && typeof graph === 'object' && graph !== null && 'subtopologies' in graph
  )
}

/**
 * Refuses topologies of one name: they would share group, state and internal topics.
 * @throws TOPOLOGY_INVALID
 */
export const refuseSameNames = (topologies: readonly Topology[]): void => {
  const names = topologies.map((one) => one.name)
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))]
  if (twice.length === 0) return
  throw new MillstreamError('TOPOLOGY_INVALID', {
    what: `two topologies are named ${twice.join(', ')}`,
    fix: 'A name is the application id: give each topology its own.',
  })
}
