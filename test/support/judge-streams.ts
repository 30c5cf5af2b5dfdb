// What goes on for minutes or hours at the judge: feeding a topic, and following one.

export interface SteadyFeedOptions {
  /** Prefix of the transactional ids. */
  readonly name: string
  readonly topic: string
  /** Committed records a second; an eighth more is aborted. */
  readonly rate: number
  /** Keys are `key-0` to `key-<keys - 1>`, those of aborted records begin with ABORTED; values are numbers, int64. */
  readonly keys: number
  readonly seed: number
  /** Producers whose transactions overlap, and how long each transaction of one is after the one before. */
  readonly producers: number
  readonly chunkMs: number
}

export interface SteadyFeedState {
  readonly committed: number
  readonly aborted: number
  /** How late the last transaction began. */
  readonly behindMs: number
  readonly error?: string
}

/** Feeds in the background until it is stopped. */
export interface SteadyFeed {
  state(): Promise<SteadyFeedState>
  stop(): Promise<SteadyFeedState>
}

/** Records of one partition as they were packed (see packed-records.ts), and the position behind them. */
export type PackedPart = (partition: number, position: number, packed: Buffer) => void
