// The segments of a log, as Kafka cuts it: here they are only marks in one list of batches, but they decide what
// retention drops and what compaction may touch, since both leave the segment alone that is being written. A new one
// begins with the append that no longer fits by size or time; without appends the last one stays open.
export interface Segment {
  readonly baseOffset: number
  bytes: number
  /** -1 without batches, and where no record has one. */
  maxTimestamp: number
  /** When it was last written to: its age where it has no timestamps. */
  writtenMs: number
  /** Largest timestamp of the first batch, from which segment.ms counts. */
  firstTimestamp: number | undefined
}

export interface SegmentLimits {
  /** segment.bytes */
  readonly bytesMax: number
  /** segment.ms */
  readonly ageMsMax: number
}

export interface RetentionLimits {
  /** retention.ms; -1: none */
  readonly retentionMs: number
  /** retention.bytes; -1: none */
  readonly retentionBytes: number
}

/** What a segment has to know of a batch. */
interface PlacedBatch {
  readonly baseOffset: number
  readonly sizeInBytes: number
  readonly maxTimestamp: number
}

const begin = (baseOffset: number): Segment => ({
  baseOffset,
  bytes: 0,
  maxTimestamp: -1,
  writtenMs: 0,
  firstTimestamp: undefined,
})

export class LogSegments {
  #segments: Segment[] = [begin(0)]

  /** Where the segment begins that is being written. */
  get activeStart(): number {
    return this.#active.baseOffset
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
  }

  /** Bytes of the segments that begin at `from` or behind it, and before `end`. */
  bytesBetween(from: number, end: number): number {
    return this.#segments.reduce(
      (sum, { baseOffset, bytes }) => (baseOffset >= from && baseOffset < end ? sum + bytes : sum),
      0,
    )
  }

  /** A batch is put at the end of the log: into the segment at hand, or into a new one. */
  append(batch: PlacedBatch, limits: SegmentLimits, nowMs: number): void {
    const { baseOffset, sizeInBytes: bytes, maxTimestamp } = batch
    const active = this.#active
    const ageMs = maxTimestamp - (active.firstTimestamp ?? maxTimestamp)
    if (active.bytes > 0 && (active.bytes + bytes > limits.bytesMax || ageMs > limits.ageMsMax))
      this.#segments.push(begin(baseOffset))
    this.#add(this.#active, batch, nowMs)
  }

  /**
   * Where the log has to begin by age and size, undefined where it may stay.
   * @param endOffset of the log
   */
  expiredBelow(
    endOffset: number,
    { retentionMs, retentionBytes }: RetentionLimits,
    nowMs: number,
  ): number | undefined {
    let surplus = retentionBytes < 0 ? -1 : this.bytes - retentionBytes
    let expired: number | undefined
    for (const [at, segment] of this.#segments.entries()) {
      const newestMs = segment.maxTimestamp < 0 ? segment.writtenMs : segment.maxTimestamp
      const isOld = retentionMs >= 0 && nowMs - newestMs > retentionMs
      const isSurplus = surplus >= segment.bytes
      if (segment.bytes === 0 || !(isOld || isSurplus)) break
      surplus -= segment.bytes
      expired = this.#segments[at + 1]?.baseOffset ?? endOffset
    }
    return expired
  }

  /** Where the segment begins that holds an offset. */
  startOf(offset: number): number {
    return this.#segments.findLast(({ baseOffset }) => baseOffset <= offset)?.baseOffset ?? offset
  }

  /** Where the segment ends that holds an offset: where the next one begins, undefined in the last one. */
  endOf(offset: number): number | undefined {
    return this.#segments.find(({ baseOffset }) => baseOffset > offset)?.baseOffset
  }

  /** First segment that began to be young at `youngMs`, by its largest timestamp: where compaction has to stop. */
  firstYoungerThan(youngMs: number): number | undefined {
    return this.#segments.find(({ maxTimestamp }) => maxTimestamp > youngMs)?.baseOffset
  }

  /** Largest timestamp of the first segment at `offset` or behind it, undefined where the active one comes first. */
  firstTimestampFrom(offset: number): number | undefined {
    return this.#segments.find(({ baseOffset }) => baseOffset >= offset && baseOffset < this.activeStart)
      ?.firstTimestamp
  }

  /** Forgets the segments that end at `offset` or before it. */
  dropBelow(offset: number, endOffset: number): void {
    while (this.#segments.length > 1 && (this.#segments[1] as Segment).baseOffset <= offset)
      this.#segments.shift()
    if (this.#segments.length === 1 && offset === endOffset && this.#active.bytes > 0)
      this.#segments = [begin(endOffset)]
  }

  /** Counts anew what the segments below `end` hold, after compaction; small ones are joined. */
  recount(end: number, batches: Iterable<PlacedBatch>, { bytesMax }: SegmentLimits): void {
    const rest = this.#segments.filter(({ baseOffset }) => baseOffset >= end)
    const writtenMs = this.#segments.reduce((last, segment) => Math.max(last, segment.writtenMs), 0)
    const joined = [begin((this.#segments[0] as Segment).baseOffset)]
    for (const batch of batches) {
      const isFull = (joined.at(-1) as Segment).bytes + batch.sizeInBytes > bytesMax
      if (isFull) joined.push(begin(batch.baseOffset))
      this.#add(joined.at(-1) as Segment, batch, writtenMs)
    }
    this.#segments = [...joined.filter(({ bytes }) => bytes > 0), ...rest]
  }

  get #active(): Segment {
    return this.#segments.at(-1) as Segment
  }

  #add(segment: Segment, { sizeInBytes, maxTimestamp }: PlacedBatch, writtenMs: number): void {
    segment.bytes += sizeInBytes
    segment.firstTimestamp ??= maxTimestamp
    segment.maxTimestamp = Math.max(segment.maxTimestamp, maxTimestamp)
    segment.writtenMs = writtenMs
  }
}
