// Whether what a store holds may be continued or must be rebuilt from the start of its changelog. Pure.
import type { Checkpoint, StoreIdentity } from './contracts.ts'

/** Format of the data that this version writes. A store of another format is rebuilt. */
export const storeFormatVersion = 1

/**
 * The same where entries end with headers (headed-values.ts): the changelog reads alike with and without, so that a store
 * whose declaration turned is rebuilt from it.
 */
export const headedFormatVersion: number = storeFormatVersion + 1000

export type RestoreDecision =
  /** Keep the data and read the changelog from this offset. */
  | { readonly action: 'resume'; readonly from: number }
  /** Remove the data and read the changelog from its start. */
  | { readonly action: 'rebuild'; readonly reason: string }

export interface RestoreFacts {
  readonly expected: StoreIdentity
  /** Undefined: the store is new. */
  readonly stored: StoreIdentity | undefined
  /** Undefined: nothing was ever written to the store. */
  readonly checkpoint: Checkpoint | undefined
  /** First offset that the changelog still holds. */
  readonly logStartOffset: number
  /** End of the changelog, asked read_uncommitted, after a stable OffsetFetch of the task. */
  readonly highWatermark: number
  readonly nowMs: number
  /** delete.retention.ms of the changelog: how long compaction keeps a tombstone. */
  readonly deleteRetentionMs: number
  /** The machine was started anew since the store was used, and the store had not been synced. */
  readonly bootChanged?: boolean
}

// Somebody else's data. Wiping them could destroy the only copy in reach of a mistaken setting, so the start is refused.
const foreignFields = ['applicationId', 'clusterId', 'store', 'partition'] as const

// Our own store, of an earlier life: the topic was deleted and made again or renamed, the format or the guarantee
// changed. Its changelog is the truth, so the store is rebuilt.
const staleFields = ['formatVersion', 'changelogTopic', 'changelogTopicId', 'guarantee'] as const

const difference = (
  fields: readonly (keyof StoreIdentity)[],
  expected: StoreIdentity,
  stored: StoreIdentity,
): string | undefined => {
  const field = fields.find((name) => expected[name] !== stored[name])
  return field && `${field} is ${stored[field]} in the store, not ${expected[field]}`
}

/** What makes a stored identity somebody else's (refuse with STORE_FOREIGN), or undefined. */
export const foreignDifference = (expected: StoreIdentity, stored: StoreIdentity): string | undefined =>
  difference(foreignFields, expected, stored)

/** What makes a stored identity one of an earlier life of this store (rebuild), or undefined. */
export const staleDifference = (expected: StoreIdentity, stored: StoreIdentity): string | undefined =>
  difference(staleFields, expected, stored)

const rebuild = (reason: string): RestoreDecision => ({ action: 'rebuild', reason })

/**
 * Decides how a restore begins. A crash of the process alone never rebuilds: data and checkpoint are written in one
 * local transaction. A store without a checkpoint is empty and is read from the log start, which is no rebuild.
 * Foreign identities are refused before (`openStoreEngine`); here they count as a difference like any other.
 */
export const decideRestore = (facts: RestoreFacts): RestoreDecision => {
  const { expected, stored, checkpoint, logStartOffset, highWatermark } = facts
  if (stored !== undefined) {
    const differs = foreignDifference(expected, stored) ?? staleDifference(expected, stored)
    if (differs !== undefined) return rebuild(differs)
  }
  if (checkpoint === undefined) return { action: 'resume', from: logStartOffset }
  if (facts.bootChanged === true) return rebuild('the machine was restarted before the store had been synced')
  const from = checkpoint.changelogOffset
  // Compaction does not move the log start; DeleteRecords and retention do, and then records between the two are gone.
  if (from < logStartOffset) return rebuild(`its offset ${from} lies before the log start ${logStartOffset}`)
  // The log lost its end (unclean election, restored from an older copy): what the store holds may not be in it.
  if (from > highWatermark)
    return rebuild(`its offset ${from} lies beyond the high watermark ${highWatermark}`)
  // Nothing was written since: whatever compaction removed, it is no news to this store, however old it is.
  if (from === highWatermark) return { action: 'resume', from }
  // A tombstone written after the checkpoint may have been compacted away unseen: its key would live on here. Half the
  // retention leaves time for the replay. The distance counts both ways, since the wall clock may have been set back.
  const ageMs = Math.abs(facts.nowMs - checkpoint.caughtUpAtMs)
  const limitMs = facts.deleteRetentionMs / 2
  if (ageMs > limitMs)
    return rebuild(
      `it was last caught up ${ageMs} ms ago, more than half of delete.retention.ms (${limitMs} ms)`,
    )
  return { action: 'resume', from }
}
