// What the fetcher knows of one partition.
import { partitionId } from '../base/topic-partition.ts'
import type { MillstreamError } from '../errors.ts'

export interface Source {
  readonly topic: string
  readonly partition: number
  readonly id: string
  /** Offset of the next request. */
  position: number
  /** Raised whenever what is in flight no longer counts. */
  epoch: number
  paused: boolean
  /** The consumer has had an answer from this place on: until then it cannot know that there is nothing to read. */
  told: boolean
  /** Its leader has to be looked up again before it is asked for. */
  stale: boolean
  /** Monotonic time from which on it may be looked up again. */
  retryAt: number
  /** Times that it became stale since its last good answer. */
  attempts: number
  /** Monotonic time since which the metadata do not know it. */
  missingSince: number | undefined
  /** Of the topic that was first met under this name. */
  topicId: string
  failure: MillstreamError | undefined
  highWatermark: number
  lastStableOffset: number
  logStartOffset: number
  answeredAtMs: number
}

const FIRST_WAIT_MS = 20
const WAIT_MS_MAX = 1000

export const sourceAt = (topic: string, partition: number, position: number): Source => ({
  topic,
  partition,
  id: partitionId(topic, partition),
  position,
  epoch: 0,
  paused: false,
  told: false,
  stale: false,
  retryAt: 0,
  attempts: 0,
  missingSince: undefined,
  topicId: '',
  failure: undefined,
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  answeredAtMs: -1,
})

/** Takes it out of the requests until its leader was looked up, later each time it happens again. */
export const markStale = (source: Source, now: number): void => {
  if (source.stale) return
  source.stale = true
  // The first time at once: leaders are simply not known yet, or moved, and the new one is.
  const waitMs =
    source.attempts === 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** Math.min(source.attempts - 1, 10), WAIT_MS_MAX)
  source.retryAt = now + waitMs
  source.attempts++
}
