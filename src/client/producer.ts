// What the runtime asks of a producer, whichever the guarantee: the transactional one, or the idempotent one of
// at-least-once.
import type { MillstreamError } from '../errors.ts'
import type { BatchBuilder } from '../record/batch-builder.ts'

export interface OffsetToCommit {
  readonly topic: string
  readonly partition: number
  /** The next position to read, past markers. */
  readonly offset: number
  readonly metadata: string
}

/** The membership under which offsets are committed: the coordinator refuses those of a zombie (KIP-447). */
export interface Membership {
  readonly groupId: string
  readonly memberId: string
  readonly generationId: number
  readonly instanceId: string | undefined
}

/** Where a producer learns under which membership it commits: a join may be under way meanwhile. */
export interface MembershipSource {
  /**
   * The membership of now. Between JoinGroup and SyncGroup that is one in the new generation, which takes the offsets of
   * a transaction already; offsets outside of one it takes only when it is `synced`, which is waited for.
   * @throws MillstreamError when what was processed must not be committed any more
   */
  current(options?: { readonly synced?: boolean }): Promise<Membership>
  /**
   * The coordinator refused this generation. Waits for the answer to a JoinGroup that is under way.
   * @returns whether there is a later generation, under which the same may be committed
   */
  outlives(refused: Membership): Promise<boolean>
}

export interface CommittingProducer {
  /** Bytes sealed and not acknowledged yet: the back-pressure of the worker looks at it. */
  readonly unacknowledgedBytes: number
  /** Whether a transaction is open, a failed one included. */
  readonly inTransaction: boolean
  /** Whether only init can make the producer usable. */
  readonly lost: boolean
  /** The error that made the open transaction fail, if one did. */
  readonly failure: MillstreamError | undefined
  readonly identity: string
  init(fresh: boolean): Promise<void>
  begin(): void
  /** Seals what the builder holds and sends it in order; `acknowledged` gets the offset of its first record, or -1. */
  send(
    topic: string,
    partition: number,
    builder: BatchBuilder,
    acknowledged?: (baseOffset: number) => void,
  ): void
  /** Resolves when every batch is acknowledged. @throws the failure of the transaction. */
  flush(): Promise<void>
  /** Resolves when a request was answered, or at once where nothing is under way. */
  progress(): Promise<void>
  commitOffsets(membership: MembershipSource, offsets: readonly OffsetToCommit[]): Promise<void>
  commit(): Promise<void>
  /** Whatever the open transaction waits for fails now; its abort may take `graceMs`. */
  giveUp(why: string, graceMs: number): void
  abort(): Promise<void>
}
