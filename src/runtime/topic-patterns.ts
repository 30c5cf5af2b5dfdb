// The topics that match the patterns of a topology, and how the group comes to read the same ones:
//
//   each worker looks for topics at its start and every topicRefreshMs ──> what it found is new: it joins again and tells
//   the leader takes what all members found together, plans the tasks, and says with each assignment what it took
//   every member plans by that, whatever it found itself
//
// So a topic that only some of them know yet is read by all, or by none.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { Cluster } from '../client/cluster.ts'
import { listTopics } from '../client/topic-admin.ts'
import { ensureError, MillstreamError } from '../errors.ts'
import type { SourceNode, TopologyGraph } from '../topology/contracts.ts'
import { internalTopics } from '../topology/internal-topics.ts'
import { patternSources, type TopicSizes, topicsMatching } from '../topology/topic-pattern.ts'
import { Wakeup } from './wakeup.ts'

/** As it travels: numbers of partitions by topic. */
export type MatchedTopics = Readonly<Record<string, number>>

/** What they found together. */
export const allMatched = (found: readonly (MatchedTopics | undefined)[]): MatchedTopics => {
  const all: Record<string, number> = {}
  for (const one of found)
    for (const [topic, partitions] of Object.entries(one ?? {}))
      all[topic] = Math.max(all[topic] ?? 0, partitions)
  return all
}

const sizesOf = (matched: MatchedTopics): TopicSizes => new Map(Object.entries(matched))

const sameTopics = (one: MatchedTopics, other: MatchedTopics): boolean => {
  const topics = Object.keys(one)
  return topics.length === Object.keys(other).length && topics.every((topic) => one[topic] === other[topic])
}

export class TopicPatterns {
  readonly #sources: readonly SourceNode[]
  /** Repartition topics and changelogs of the application are no input, whatever matches them. */
  readonly #own: ReadonlySet<string>
  #found: MatchedTopics = {}
  #agreed: MatchedTopics = {}
  /** What the group was told last. */
  #told: MatchedTopics = this.#found
  #wakeup: Wakeup | undefined

  constructor(graph: TopologyGraph, applicationId: string) {
    this.#sources = patternSources(graph)
    this.#own = new Set(internalTopics(graph, applicationId).map(({ topic }) => topic))
  }

  /** Whether the topology has any. */
  get used(): boolean {
    return this.#sources.length > 0
  }

  /** What this worker found last. */
  get found(): MatchedTopics {
    return this.#found
  }

  /** What the group reads. */
  get agreed(): TopicSizes {
    return sizesOf(this.#agreed)
  }

  /** Something came, grew or went since the group was told. */
  get hasNews(): boolean {
    if (this.#found === this.#told) return false
    return !sameTopics(this.#found, this.#agreed) && !sameTopics(this.#found, this.#told)
  }

  told(): void {
    this.#told = this.#found
  }

  agree(matched: MatchedTopics): void {
    this.#agreed = matched
  }

  /** Before the first join: what is there now. */
  async begin(cluster: Cluster): Promise<void> {
    if (!this.used) return
    await this.#look(cluster)
    this.#agreed = this.#found
    this.#told = this.#found
  }

  /** Looks for topics from time to time. */
  follow(cluster: Cluster, ports: Ports, log: Logger, refreshMs: number, notify: () => void): void {
    if (!this.used) return
    const wakeup = new Wakeup(ports)
    this.#wakeup = wakeup
    void (async () => {
      for (;;) {
        await wakeup.pause(refreshMs)
        if (this.#wakeup !== wakeup) return
        try {
          await this.#look(cluster)
        } catch (error) {
          log.debug('topics could not be looked for', { cause: ensureError(error).message })
        }
        if (this.hasNews) notify()
      }
    })()
  }

  close(): void {
    this.#wakeup?.stop()
    this.#wakeup = undefined
  }

  /** The topics of a source. @throws TOPOLOGY_INVALID where another one reads one of them, too */
  topicsOf(source: SourceNode, sizes: TopicSizes): string[] {
    const topics = topicsMatching(source, sizes.keys())
    for (const other of this.#sources) {
      const [twice] = other === source ? [] : topicsMatching(other, topics)
      if (twice === undefined) continue
      throw new MillstreamError('TOPOLOGY_INVALID', {
        what: `topic ${twice} matches ${source.topic.name} and ${other.topic.name}`,
        where: { topic: twice },
        fix: 'A topic is read once: make the patterns narrower.',
      })
    }
    return topics
  }

  /** Number of partitions of the largest topic of a source, by the text of its pattern. */
  largest(pattern: string, sizes: TopicSizes): number {
    const source = this.#sources.find(({ topic }) => topic.name === pattern)
    if (source === undefined) return 0
    return Math.max(0, ...this.topicsOf(source, sizes).map((topic) => sizes.get(topic) ?? 0))
  }

  async #look(cluster: Cluster): Promise<void> {
    const found: Record<string, number> = {}
    for (const [topic, partitions] of await listTopics(cluster)) {
      if (this.#own.has(topic)) continue
      if (this.#sources.some((source) => topicsMatching(source, [topic]).length > 0))
        found[topic] = partitions
    }
    if (!sameTopics(found, this.#found)) this.#found = found
  }
}

/**
 * Topics of one pattern that feed a store need equal numbers of partitions: a key would be in two partitions of it.
 * @throws TOPOLOGY_INVALID
 */
export const refuseUnequalTopics = (
  graph: TopologyGraph,
  patterns: TopicPatterns,
  sizes: TopicSizes,
): void => {
  for (const { id, nodes, stores } of graph.subtopologies) {
    for (const node of nodes) {
      if (node.kind !== 'source' || node.topic.pattern === undefined || stores.length === 0) continue
      const topics = patterns.topicsOf(node, sizes)
      if (new Set(topics.map((topic) => sizes.get(topic))).size <= 1) continue
      throw new MillstreamError('TOPOLOGY_INVALID', {
        what: `topics that match ${node.topic.name} feed store ${stores[0]?.name} with different numbers of partitions: ${topics.map((topic) => `${topic} has ${sizes.get(topic)}`).join(', ')}`,
        where: { subtopology: id },
        fix: 'Create them with equal numbers of partitions, or send the stream through repartition.',
      })
    }
  }
}
