// Shows a topology: as text, as JSON, or as a Mermaid flowchart. Internal topics appear under their names in Kafka.
import type {
  GlobalTableDefinition,
  ProcessorNode,
  StoreDefinition,
  TopologyGraph,
  TopologyNode,
} from './contracts.ts'
import { describeAsData, heldText } from './description.ts'
import {
  internalTopics,
  repartitionTopicName,
  restoreTopicName,
  sinkTopicNames,
  sourceTopicName,
} from './internal-topics.ts'

export type DescriptionFormat = 'text' | 'json' | 'mermaid'

export interface DescribeOptions {
  readonly applicationId: string
  readonly format: DescriptionFormat
}

/** The topology as text in the format. @throws TOPOLOGY_INVALID where the application id is not possible. */
export const describeTopology = (graph: TopologyGraph, options: DescribeOptions): string => {
  const { applicationId, format } = options
  if (format === 'json') return `${JSON.stringify(describeAsData(graph, applicationId), undefined, 2)}\n`
  return format === 'mermaid' ? describeAsMermaid(graph, applicationId) : describeAsText(graph, applicationId)
}

const outputOf = (node: TopologyNode, child: string): string[] =>
  node.kind === 'processor' && node.outputs
    ? Object.keys(node.outputs).filter((output) => node.outputs?.[output] === child)
    : []

const textOfNode = (node: TopologyNode, applicationId: string): string => {
  if (node.kind === 'source')
    return `source ${node.name}: ${node.topic.pattern === undefined ? 'topic' : 'topics that match'} ${sourceTopicName(applicationId, node)} (${node.topic.key.name}, ${node.topic.value.name})`
  if (node.kind === 'sink')
    return `sink ${node.name}: topic ${sinkTopicNames(applicationId, node).join(', ')}`
  const { stores, globals = [] } = node
  const read = [
    ...(stores.length > 0 ? [`store ${stores.join(', ')}`] : []),
    ...(globals.length > 0 ? [`global store ${globals.join(', ')}`] : []),
  ]
  return `${node.operator} ${node.name}${read.length > 0 ? `: ${read.join(', ')}` : ''}`
}

const textOfGlobal = ({ name, store, source, update }: GlobalTableDefinition): string =>
  `  global store ${name}: ${store.engine} (${store.key.name}, ${(store.plainValue ?? store.value).name}) with timestamps, topic ${source.topic.name}${update === undefined ? '' : ' through a function'}`

const shapeOf = (store: StoreDefinition): string => {
  const { windowShape: shape, versions, ttlMs, waiting, timers, holdsChanges } = store
  if (holdsChanges !== undefined) return heldText(holdsChanges)
  if (timers === true) return ' of timers'
  if (versions !== undefined) return ` in versions of ${versions.historyMs} ms`
  if (waiting) return ' of records that wait'
  if (ttlMs !== undefined) return ` for ${ttlMs} ms`
  if (shape === undefined) return ''
  if (shape.kind === 'join')
    return ` of a join within ${shape.beforeMs} ms before and ${shape.afterMs} ms after`
  if (shape.kind === 'calendar') return ` in windows of a ${shape.every} in ${shape.timeZone}`
  if (shape.kind === 'unlimited') return ` in windows without an end from ${shape.startMs} ms`
  return shape.kind === 'sessions' ? ' in sessions' : ` in windows of ${shape.sizeMs} ms`
}

const describeAsText = (graph: TopologyGraph, applicationId: string): string => {
  const lines = [`topology ${graph.name}, application id ${applicationId}`]
  for (const { id, nodes, stores } of graph.subtopologies) {
    lines.push('', `sub-topology ${id}`)
    for (const node of nodes) {
      lines.push(`  ${textOfNode(node, applicationId)}`)
      for (const child of node.children) {
        const outputs = outputOf(node, child)
        lines.push(`    -> ${child}${outputs.length > 0 ? ` (${outputs.join(', ')})` : ''}`)
      }
    }
    for (const store of stores) {
      const changelog = restoreTopicName(applicationId, store)
      const kept =
        store.filling === undefined
          ? `changelog ${changelog}`
          : `read-only, topic ${changelog}${store.filling.update === undefined ? '' : ' through a function'}`
      lines.push(
        `  store ${store.name}: ${store.engine} (${(store.plainKey ?? store.key).name}, ${(store.plainValue ?? store.value).name})${store.plainValue === undefined || store.holdsChanges ? '' : ` with timestamps${store.headers ? ' and headers' : ''}`}${shapeOf(store)}${(store.version ?? 1) === 1 ? '' : `, version ${store.version}`}, ${kept}`,
      )
    }
  }
  if (graph.globals.length > 0) lines.push('', 'in every worker', ...graph.globals.map(textOfGlobal))
  const internal = internalTopics(graph, applicationId)
  if (internal.length > 0) lines.push('', 'internal topics')
  for (const { topic, subtopology, settings } of internal) {
    const text = Object.entries(settings)
      .map(([key, value]) => `${key}=${value}`)
      .join(' ')
    lines.push(`  ${topic}: sub-topology ${subtopology}, ${text}`)
  }
  return `${lines.join('\n')}\n`
}

// Mermaid wants identifiers without punctuation, so nodes and topics are numbered; their names are the labels.
class MermaidIds {
  readonly #ids = new Map<string, string>()

  of(kind: string, name: string): string {
    const key = `${kind} ${name}`
    const id = this.#ids.get(key) ?? `${kind}${this.#ids.size}`
    this.#ids.set(key, id)
    return id
  }
}

const label = (text: string): string => `"${text.replaceAll('"', '#quot;')}"`

const storeEdges = (node: ProcessorNode, ids: MermaidIds): string[] =>
  [...node.stores, ...(node.globals ?? [])].map(
    (store) => `    ${ids.of('node', node.name)} --- ${ids.of('store', store)}`,
  )

const describeAsMermaid = (graph: TopologyGraph, applicationId: string): string => {
  const ids = new MermaidIds()
  const repartitions = new Set(
    graph.repartitions.map((definition) => repartitionTopicName(applicationId, definition.name)),
  )
  const topics = new Set<string>()
  const parts: string[] = []
  const flows: string[] = []
  for (const { id, nodes, stores } of graph.subtopologies) {
    parts.push(`  subgraph sub${id} [${label(`sub-topology ${id}`)}]`)
    for (const store of stores) parts.push(`    ${ids.of('store', store.name)}[(${label(store.name)})]`)
    for (const node of nodes) {
      const nodeId = ids.of('node', node.name)
      parts.push(`    ${nodeId}[${label(node.name)}]`)
      for (const child of node.children) {
        const outputs = outputOf(node, child)
        parts.push(
          `    ${nodeId} -->${outputs.length > 0 ? `|${label(outputs.join(', '))}|` : ''} ${ids.of('node', child)}`,
        )
      }
      if (node.kind === 'processor') parts.push(...storeEdges(node, ids))
      const names =
        node.kind === 'source'
          ? [sourceTopicName(applicationId, node)]
          : node.kind === 'sink'
            ? sinkTopicNames(applicationId, node)
            : []
      for (const name of names) {
        topics.add(name)
        const topicId = ids.of('topic', name)
        flows.push(node.kind === 'source' ? `  ${topicId} --> ${nodeId}` : `  ${nodeId} --> ${topicId}`)
      }
    }
    parts.push('  end')
  }
  for (const { name, source } of graph.globals) {
    const topic = source.topic.name
    topics.add(topic)
    parts.push(`  ${ids.of('store', name)}[(${label(`${name}, in every worker`)})]`)
    flows.push(`  ${ids.of('topic', topic)} --> ${ids.of('store', name)}`)
  }
  const shapes = [...topics].map(
    (name) =>
      `  ${ids.of('topic', name)}${repartitions.has(name) ? `[[${label(name)}]]` : `([${label(name)}])`}`,
  )
  return `${['flowchart TB', ...shapes, ...parts, ...flows].join('\n')}\n`
}
