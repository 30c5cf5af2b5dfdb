// The subject of a schema, by Confluent's three strategies (TopicNameStrategy, RecordNameStrategy,
// TopicRecordNameStrategy) or by name.
import { MillstreamError } from '../../errors.ts'
import type { SerdePlace } from '../remote.ts'

/**
 * How a subject is named: `topic-name` `<topic>-key` or `<topic>-value`; `record-name` by the full name of the record;
 * `topic-record-name` `<topic>-<full name>`.
 */
export type SubjectStrategy = 'topic-name' | 'record-name' | 'topic-record-name'

export interface SubjectOptions {
  readonly strategy: SubjectStrategy
  /** Given by hand: the strategy does not matter. */
  readonly subject: string | undefined
  /** The full name of the record, where the schema has one. */
  readonly recordName: string | undefined
}

/** Whether it is another one in another topic. */
export const dependsOnPlace = ({ strategy, subject }: SubjectOptions): boolean =>
  subject === undefined && strategy !== 'record-name'

/** @throws TOPOLOGY_INVALID where it cannot be named */
export const subjectOf = (
  { strategy, subject, recordName }: SubjectOptions,
  place: SerdePlace | undefined,
  applicationId: string,
): string => {
  if (subject !== undefined) return subject
  if (strategy === 'record-name') return recordName as string
  if (place === undefined)
    throw new MillstreamError('TOPOLOGY_INVALID', {
      what: `a serde of the schema registry stands where no topic gives its subject a name (strategy ${strategy})`,
      fix: 'Give it a subject.',
    })
  const topic = place.internal ? `${applicationId}-${place.topic}` : place.topic
  return strategy === 'topic-name' ? `${topic}-${place.role}` : `${topic}-${recordName as string}`
}
