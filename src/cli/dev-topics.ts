// The topics of a topology as `millstream dev` needs them: which there are, which to create, and whether all of their
// records are processed.
import { nodePorts } from '../base/node-ports.ts'
import type { TopicPartition } from '../base/topic-partition.ts'
import type { Cluster } from '../client/cluster.ts'
import { fetchCommitted, listOffsets } from '../client/offsets.ts'
import { createTopics, describeTopics } from '../client/topic-admin.ts'
import { MillstreamError } from '../errors.ts'
import type { SinkNode, SourceNode, TopologyGraph } from '../topology/contracts.ts'
import { sourceTopicName } from '../topology/internal-topics.ts'

const partitionsOfNewTopics = 3

const sourcesOf = (graph: TopologyGraph): SourceNode[] =>
  graph.subtopologies.flatMap(({ nodes }) =>
    // Topics by pattern are not created, and those that are there are nobody's to count.
    nodes.filter((node) => node.kind === 'source' && node.topic.pattern === undefined),
  ) as SourceNode[]

const sinksOf = (graph: TopologyGraph): SinkNode[] =>
  graph.subtopologies.flatMap(({ nodes }) => nodes.filter((node) => node.kind === 'sink'))

const inMs = (durationMs: number): number => nodePorts.clock.monotonic() + durationMs

/**
 * Creates the input and output topics of the user that do not exist. They keep their records for ever, so that a
 * recount on a broker that lives on sees all of them.
 * @returns the names of those created
 */
export const createUserTopics = async (cluster: Cluster, graph: TopologyGraph): Promise<string[]> => {
  const names = [...sourcesOf(graph), ...sinksOf(graph)]
    .filter((node) => !node.repartition)
    .flatMap((node) => (node.kind === 'source' ? [node.topic.name] : node.topics.map(({ name }) => name)))
  names.push(...graph.globals.map(({ source }) => source.topic.name))
  const described = await describeTopics(cluster, [...new Set(names)])
  const missing = described.filter(({ exists }) => !exists).map(({ topic }) => topic)
  const settings = { 'retention.ms': '-1' }
  const topics = missing.map((topic) => ({ topic, partitions: partitionsOfNewTopics, settings }))
  await createTopics(cluster, nodePorts, topics, inMs(30_000))
  return missing
}

/** Records of the inputs (internal ones too) that the group has not committed yet. */
const lagOf = async (cluster: Cluster, group: string, topics: readonly string[]): Promise<number> => {
  await cluster.refreshMetadata(topics)
  const partitions = topics.flatMap((topic): TopicPartition[] =>
    Array.from({ length: cluster.topic(topic)?.partitions ?? 0 }, (_, partition) => ({ topic, partition })),
  )
  const committed = await fetchCommitted(cluster, nodePorts, group, partitions, inMs(30_000))
  const starts = await listOffsets(
    cluster,
    nodePorts,
    partitions,
    'earliest',
    'read_uncommitted',
    inMs(30_000),
  )
  const ends = await listOffsets(cluster, nodePorts, partitions, 'latest', 'read_uncommitted', inMs(30_000))
  return partitions.reduce((lag, _, index) => {
    const from = Math.max(committed[index]?.offset ?? 0, starts[index]?.offset ?? 0)
    return lag + Math.max(0, (ends[index]?.offset ?? 0) - from)
  }, 0)
}

/**
 * Waits until everything in the inputs is processed and committed: twice in a row without a lag, since what is
 * processed may have made input for another sub-topology.
 * @throws MillstreamError REQUEST_TIMED_OUT
 */
export const waitUntilProcessed = async (
  cluster: Cluster,
  graph: TopologyGraph,
  applicationId: string,
  timeoutMs: number,
): Promise<void> => {
  const topics = [...new Set(sourcesOf(graph).map((node) => sourceTopicName(applicationId, node)))]
  const deadline = inMs(timeoutMs)
  let lag = -1
  for (let quiet = 0; quiet < 2; ) {
    lag = await lagOf(cluster, applicationId, topics)
    quiet = lag === 0 ? quiet + 1 : 0
    if (inMs(0) > deadline) {
      throw new MillstreamError('REQUEST_TIMED_OUT', {
        what: `${lag} records of the input were still not processed after ${timeoutMs} ms`,
        where: { topics: topics.join(', ') },
        fix: 'Let it run for longer with less input, or look at the lines above for what holds it up.',
      })
    }
    await nodePorts.timers.sleep(lag === 0 ? 20 : 100)
  }
}
