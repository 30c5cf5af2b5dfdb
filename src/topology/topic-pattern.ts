// Topics by pattern: every topic whose whole name matches, those that are there and those that come later.
import type { ReadOf, SerdeOrSchema, WriteOf } from '../serde/serde-or-schema.ts'
import type { Serde } from '../serde/serde.ts'
import type { SourceNode, TimestampExtractor, TopicDefinition, TopologyGraph } from './contracts.ts'
import { topic, type TopicOptions } from './handles.ts'

/** Topics by pattern, all with the same serdes. `K`, `V`: what is read. */
export interface TopicPatternHandle<K, V> extends TopicDefinition {
  readonly key: Serde<K, never>
  readonly value: Serde<V, never>
  readonly pattern: RegExp
  /** @internal */ readonly timestampExtractor: TimestampExtractor | undefined
}

/** Numbers of partitions by topic. */
export type TopicSizes = ReadonlyMap<string, number>

/**
 * Declares the topics whose whole name matches, as in Kafka Streams: `/orders-.+/` takes `orders-eu` and not `my-orders-eu`.
 * Topics of the application itself and internal ones of Kafka are none of them.
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const topicPattern = <KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
  pattern: RegExp,
  options: TopicOptions<KS, VS>,
): TopicPatternHandle<ReadOf<KS>, ReadOf<VS>> => {
  const { key, value, timestampExtractor, onInvalidTimestamp } = topic(String(pattern), options)
  // Without g and y: these would remember where the last match ended.
  const whole = new RegExp(`^(?:${pattern.source})$`, pattern.flags.replaceAll(/[gy]/g, ''))
  type Read<S extends SerdeOrSchema> = Serde<ReadOf<S>, WriteOf<S>>
  const serdes = { key: key as Read<KS>, value: value as Read<VS> }
  return Object.freeze({
    name: String(pattern),
    ...serdes,
    pattern: whole,
    timestampExtractor,
    onInvalidTimestamp,
  })
}

/** The sources that read topics by pattern. */
export const patternSources = ({ subtopologies }: TopologyGraph): readonly SourceNode[] =>
  subtopologies.flatMap(({ nodes }) =>
    nodes.filter((node): node is SourceNode => node.kind === 'source' && node.topic.pattern !== undefined),
  )

/** Of these topics, those that a source by pattern reads, in order. */
export const topicsMatching = ({ topic: { pattern } }: SourceNode, topics: Iterable<string>): string[] =>
  [...topics].filter((name) => pattern?.test(name)).sort()
