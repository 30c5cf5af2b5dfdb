// A stream that joins two others, which can be asked for what came too late on either side.
import type { Upstream } from './graph-builder.ts'
import { lateOf } from './late.ts'
import type { StreamJoinNodes } from './stream-join.ts'
import type { RecordStream } from './stream.ts'

/**
 * The results of a join of streams. `Left`, `Right`: streams of the records that can be joined. A record is late where its
 * window and the grace were over when it came. It was joined with what was still there, and is counted, in any case.
 */
export interface JoinedStream<K, V, Left, Right> extends RecordStream<K, V> {
  /** The late records of the left side, as they came. */
  lateLeft(): Left
  /** The late records of the right side, as they came. */
  lateRight(): Right
}

type AnyStream = RecordStream<unknown, unknown>

/** @param streamOf makes a stream whose key decides its partitions */
export const joinedStream = (
  { joined, left, right }: StreamJoinNodes,
  streamOf: (upstream: Upstream) => AnyStream,
): JoinedStream<unknown, unknown, AnyStream, AnyStream> =>
  Object.assign(streamOf(joined), {
    lateLeft: () => streamOf(lateOf(left.node, left.emission)),
    lateRight: () => streamOf(lateOf(right.node, right.emission)),
  })
