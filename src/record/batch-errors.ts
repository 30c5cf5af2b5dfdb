// The errors of a batch: each names topic, partition and offset. A bad batch stops the worker and is never skipped,
// since whatever stood in it would be lost without a trace.
import type { TopicPartition } from '../base/topic-partition.ts'
import { MillstreamError } from '../errors.ts'

/** Where a batch stands; `offset` is its base offset, or the best that is known of it. */
export interface BatchPlace extends TopicPartition {
  readonly offset: number
}

const whereOf = (place: BatchPlace): Readonly<Record<string, unknown>> => ({
  topic: place.topic,
  partition: place.partition,
  offset: place.offset,
})

export const batchCorrupt = (place: BatchPlace, what: string, cause?: unknown): MillstreamError =>
  new MillstreamError('BATCH_CORRUPT', {
    what,
    where: whereOf(place),
    fix: [
      "Nothing past it was committed. Check the partition's log on its leader (kafka-dump-log --deep-iteration)",
      'and the network; a restart fetches the batch again.',
    ].join(' '),
    cause,
  })

export const formatUnsupported = (place: BatchPlace, what: string, fix: string): MillstreamError =>
  new MillstreamError('COMPRESSION_UNSUPPORTED', { what, where: whereOf(place), fix })

export const batchTooLarge = (place: BatchPlace, limitBytes: number, cause?: unknown): MillstreamError =>
  new MillstreamError('BATCH_TOO_LARGE', {
    what: `a record batch decompresses to more than ${limitBytes} bytes`,
    where: whereOf(place),
    fix: 'Nothing past it was committed. Find out who wrote it: no producer with ordinary limits makes such a batch.',
    cause,
  })
