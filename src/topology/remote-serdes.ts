// The serdes of a topology that need schemas from elsewhere.
import type { RemoteSerde, RemoteSource } from '../serde/remote.ts'
import type { TopologyGraph } from './contracts.ts'

export interface RemoteSerdes {
  /** Of topics that are only read. */
  readonly readers: ReadonlySet<RemoteSerde>
  /** Of topics and stores that are written. */
  readonly writers: ReadonlySet<RemoteSerde>
  readonly sources: ReadonlySet<RemoteSource>
}

/** Makes all of them usable without asking anybody: in the test driver and in simulations. */
export const prepareAlone = (graph: TopologyGraph, applicationId: string): void => {
  const { readers, writers } = remoteSerdes(graph)
  for (const serde of [...readers, ...writers]) serde.prepareAlone(applicationId)
}

export const remoteSerdes = (graph: TopologyGraph): RemoteSerdes => {
  const readers = new Set<RemoteSerde>()
  const writers = new Set<RemoteSerde>()
  const add = (to: Set<RemoteSerde>, ...serdes: readonly { readonly remote?: RemoteSerde }[]): void => {
    for (const { remote } of serdes) if (remote !== undefined) to.add(remote)
  }
  for (const { nodes, stores } of graph.subtopologies) {
    for (const node of nodes) {
      if (node.kind === 'source') add(readers, node.topic.key, node.topic.value)
      if (node.kind === 'sink') for (const { key, value } of node.topics) add(writers, key, value)
    }
    for (const { key, plainKey, value, plainValue, sides, previous } of stores) {
      add(writers, plainKey ?? key, ...(sides ?? [plainValue ?? value]))
      if (previous !== undefined) add(readers, previous)
    }
  }
  for (const { source, store } of graph.globals) {
    add(readers, source.topic.key, source.topic.value)
    add(writers, store.key, store.plainValue ?? store.value)
  }
  const only = readers.difference(writers)
  return {
    readers: only,
    writers,
    sources: new Set([...only, ...writers].map(({ source }) => source)),
  }
}
