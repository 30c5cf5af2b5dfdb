// At which offset each leader of a partition began (KIP-101, KIP-320): a consumer asks for the end of the epoch in which
// it last read, and a batch says in which one it was written. Nothing is ever truncated here, since all nodes share one
// log; clients see the epochs grow as they do when leaders move on a real cluster.
interface EpochStart {
  readonly epoch: number
  readonly startOffset: number
}

export interface EpochEnd {
  /** -1 where the epoch is not known. */
  readonly epoch: number
  readonly endOffset: number
}

const unknown: EpochEnd = { epoch: -1, endOffset: -1 }

export class LeaderEpochs {
  #starts: EpochStart[] = []

  /** -1 before the first one. */
  get latest(): number {
    return this.#starts.at(-1)?.epoch ?? -1
  }

  /** An epoch is seen at this end of the log: if it is a new one, it begins here. */
  seen(epoch: number, endOffset: number): void {
    if (epoch > this.latest) this.#starts.push({ epoch, startOffset: endOffset })
  }

  /** The epoch of an offset, -1 where it is not known. */
  of(offset: number): number {
    return this.#starts.findLast(({ startOffset }) => startOffset <= offset)?.epoch ?? -1
  }

  /** Where the largest epoch up to the given one ends. */
  endOf(epoch: number, endOffset: number): EpochEnd {
    if (epoch < 0 || epoch > this.latest) return unknown
    if (epoch === this.latest) return { epoch, endOffset }
    const next = this.#starts.find((start) => start.epoch > epoch) as EpochStart
    const floor = this.#starts.findLast((start) => start.epoch <= epoch)
    return { epoch: floor?.epoch ?? epoch, endOffset: next.startOffset }
  }

  /** The log begins here from now on: epochs that end before are forgotten. */
  dropBelow(offset: number): void {
    const first = this.#starts.findLastIndex(({ startOffset }) => startOffset <= offset)
    if (first < 0) return
    const kept = this.#starts.slice(first)
    kept[0] = { epoch: (kept[0] as EpochStart).epoch, startOffset: offset }
    this.#starts = kept
  }
}
