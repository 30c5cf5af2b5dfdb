// How streams end in topics: which topic takes a record, and which of its partitions.
import { MillstreamError } from '../errors.ts'
import type { SinkNode, TopicDefinition } from './contracts.ts'
import type { TopicHandle } from './handles.ts'
import type { AnyRecord } from './operators.ts'
import type { StreamRecord } from './stream-record.ts'

/** A topic that takes keys of type `K` and values of type `V`. */
export type SinkTopic<K, V> = TopicHandle<unknown, unknown, K, V>

/** How `to` writes. */
export interface SinkOptions<K, V> {
  /**
   * The partition of each record out of so many, or a list of partitions that each get it (none: it is left out). Default:
   * that of the key, as a producer chooses it. What reads the topic by key finds it only where it is in that partition.
   */
  readonly partition?: (record: StreamRecord<K, V>, partitions: number) => number | readonly number[]
}

/** Refuses topics that the sink does not declare. */
export const checkedChooser =
  (
    choose: (record: AnyRecord) => TopicDefinition,
    topics: readonly TopicDefinition[],
  ): NonNullable<SinkNode['choose']> =>
  (record) => {
    const chosen = choose(record)
    if (topics.includes(chosen)) return chosen
    throw new MillstreamError('OUTPUT_NOT_DECLARED', {
      what: 'a chooser picked a topic that is not among its topics',
      where: { topic: (chosen as TopicDefinition | undefined)?.name },
      fix: `Add it to the topics of to(choose, { topics }), which are ${topics.map((topic) => topic.name).join(', ')}.`,
    })
  }
