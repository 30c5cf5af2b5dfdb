// What `describe --format json` prints, as data. The format is a contract: `describe --against` reads what an earlier
// version of the topology printed, so that a change of it needs another number and a line in the changelog.
import type {
  EngineKind,
  HeldUntil,
  GlobalTableDefinition,
  StoreDefinition,
  TopologyGraph,
  TopologyNode,
  VersionSettings,
} from './contracts.ts'
import { internalTopics, restoreTopicName, sinkTopicNames, sourceTopicName } from './internal-topics.ts'

/** Of the format below. */
export const descriptionFormat = 1

export interface NodeDescription {
  readonly name: string
  readonly kind: TopologyNode['kind']
  readonly operator?: string
  readonly topics?: readonly string[]
  /** Names of the serdes, of a source. */
  readonly key?: string
  readonly value?: string
  readonly stores?: readonly string[]
  /** Global stores that it reads. */
  readonly globals?: readonly string[]
  readonly outputs?: Readonly<Record<string, string>>
  readonly children: readonly string[]
}

export interface StoreDescription {
  readonly name: string
  readonly engine: EngineKind
  /** Names of the serdes. */
  readonly key: string
  readonly value: string
  /** A timestamp is stored with each value. */
  readonly timestamps?: true
  /** The headers of the record that wrote it are stored with each value. */
  readonly headers?: true
  /** It holds windows of this shape. */
  readonly windows?: StoreDefinition['windowShape']
  /** It holds changes of a table back: until when (true: an earlier version did not say). */
  readonly holdsChanges?: HeldUntil | true
  /** Of what its values mean, where it is not 1. */
  readonly version?: number
  /** It keeps what each key was before. */
  readonly versions?: VersionSettings
  /** How long after its timestamp an entry lives. */
  readonly ttlMs?: number
  /** It holds records that wait in a join. */
  readonly waiting?: true
  /** It holds timers. */
  readonly timers?: true
  /** It is read-only: `changelog` is the topic of the user that fills it. */
  readonly readOnly?: true
  /** A function of the user writes it, from the records of that topic. */
  readonly processed?: true
  /** Name of the topic in Kafka. */
  readonly changelog: string
}

/** A table that every worker holds whole. */
export interface GlobalTableDescription {
  readonly name: string
  readonly engine: EngineKind
  /** Names of the serdes of the store. */
  readonly key: string
  readonly value: string
  /** Name of the topic in Kafka. */
  readonly topic: string
  /** A function of the user writes it. */
  readonly processed?: true
}

export interface InternalTopicDescription {
  /** Name in Kafka. */
  readonly topic: string
  readonly kind: 'repartition' | 'changelog'
  readonly name: string
  readonly subtopology: number
  readonly partitions: number | string
  readonly settings: Readonly<Record<string, string>>
}

export interface TopologyDescription {
  readonly format: typeof descriptionFormat
  readonly topology: string
  readonly applicationId: string
  readonly subtopologies: readonly {
    readonly id: number
    readonly nodes: readonly NodeDescription[]
    readonly stores: readonly StoreDescription[]
  }[]
  /** Absent where there is none. */
  readonly globals?: readonly GlobalTableDescription[]
  readonly internalTopics: readonly InternalTopicDescription[]
}

const describeNode = (node: TopologyNode, applicationId: string): NodeDescription => {
  const { name, kind, children } = node
  if (node.kind === 'source') {
    const { key, value } = node.topic
    const topics = [sourceTopicName(applicationId, node)]
    return { name, kind, topics, key: key.name, value: value.name, children }
  }
  if (node.kind === 'sink') return { name, kind, topics: sinkTopicNames(applicationId, node), children }
  const outputs = node.outputs === undefined ? {} : { outputs: node.outputs }
  return {
    name,
    kind,
    operator: node.operator,
    ...(node.stores.length > 0 ? { stores: node.stores } : {}),
    ...(node.globals === undefined ? {} : { globals: node.globals }),
    ...outputs,
    children,
  }
}

const describeGlobal = ({ name, store, source, update }: GlobalTableDefinition): GlobalTableDescription => ({
  name,
  engine: store.engine,
  key: store.key.name,
  value: (store.plainValue ?? store.value).name,
  topic: source.topic.name,
  ...(update === undefined ? {} : { processed: true }),
})

/** Of a store that holds changes of a table back. */
export const heldText = (until: HeldUntil | true): string => {
  if (until === true) return ' of changes held back'
  return until === 'window-closes' ? ' of changes held until windows close' : ' of changes held for a time'
}

/** @throws TOPOLOGY_INVALID where the application id is not possible */
export const describeAsData = (graph: TopologyGraph, applicationId: string): TopologyDescription => ({
  format: descriptionFormat,
  topology: graph.name,
  applicationId,
  subtopologies: graph.subtopologies.map(({ id, nodes, stores }) => ({
    id,
    nodes: nodes.map((node) => describeNode(node, applicationId)),
    stores: stores.map((store) => ({
      name: store.name,
      engine: store.engine,
      key: (store.plainKey ?? store.key).name,
      value: (store.plainValue ?? store.value).name,
      ...(store.plainValue === undefined || store.holdsChanges ? {} : { timestamps: true }),
      ...(store.headers === undefined ? {} : { headers: true }),
      ...(store.windowShape === undefined ? {} : { windows: store.windowShape }),
      ...(store.holdsChanges === undefined ? {} : { holdsChanges: store.holdsChanges }),
      ...(store.version === undefined || store.version === 1 ? {} : { version: store.version }),
      ...(store.versions === undefined ? {} : { versions: store.versions }),
      ...(store.ttlMs === undefined ? {} : { ttlMs: store.ttlMs }),
      ...(store.waiting === undefined ? {} : { waiting: store.waiting }),
      ...(store.timers === undefined ? {} : { timers: true }),
      ...(store.filling === undefined ? {} : { readOnly: true }),
      ...(store.filling?.update === undefined ? {} : { processed: true }),
      changelog: restoreTopicName(applicationId, store),
    })),
  })),
  ...(graph.globals.length > 0 ? { globals: graph.globals.map(describeGlobal) } : {}),
  internalTopics: internalTopics(graph, applicationId).map(
    ({ topic, kind, name, subtopology, settings }) => ({
      topic,
      kind,
      name,
      subtopology,
      partitions:
        graph.repartitions.find((definition) => kind === 'repartition' && definition.name === name)
          ?.partitions ?? 'as its inputs',
      settings,
    }),
  ),
})
