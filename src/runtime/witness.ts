// The witness: what a commit writes beside each offset, into its metadata (KIP-211 keeps it with the offset). It says
// who committed, in which incarnation and which transaction, carries the stream time of the task over restarts, and the
// digest of each store as this transaction leaves it: whoever restores the store has to come to the same
// (docs/decisions/0012-state-digest.md). A tool that resets offsets erases it, which is how a reset behind our back is
// noticed.
//
// Format 1: `ms1;<transactional.id>;<incarnation>;<transaction number>;<stream time>`. The parts hold no semicolon.
// Format 2: `ms2;` and the same, then `;time=<partition time>` where that is not the stream time (so never where a task has
// one input), and `;<store>@<changelog end>=<digest>~<version and layout>` for each store. It is written only where there is
// something to say, so that versions which know format 1 alone can be mixed with this one as long as digests are off. The
// digest may be empty (after an import), and what follows it may be missing (of an earlier build).
import type { StoreState } from '../task/task-state.ts'
import { storeCodeMax } from '../topology/store-code.ts'

export interface Witness {
  readonly transactionalId: string
  /** Random, one per start of a worker. */
  readonly incarnation: string
  /** Counted from 1 within the incarnation. */
  readonly transaction: number
  /** Of the task that owns the partition, ms; -1 for none. */
  readonly streamTime: number
  /** Highest timestamp processed of this partition, ms; -1 for none. */
  readonly partitionTime: number
  /** Of the task that owns the partition; a store without a digest, or without room for it, is left out. */
  readonly stores: readonly StoreState[]
}

const format1 = 'ms1'
const format2 = 'ms2'

/** offset.metadata.max.bytes: what a broker takes unless it was set otherwise. */
const metadataBytesMax = 4096
/** Of all that stands before the stores; application id and instance id have 200 characters at most each. */
const headBytesMax = 512
/** `;@=~`, an offset, a number of entries, a dot, two lanes in hexadecimal and the layout, each as long as it can be. */
const stateBytesMax = 4 + 16 + 16 + 1 + 16 + storeCodeMax

/**
 * How many of these stores have their digests in the witness: as many from the first on as fit in any case. What is left
 * out does not depend on how long the numbers happen to be, so it is always the same.
 */
export const witnessedStores = (names: readonly string[]): number => {
  let room = metadataBytesMax - headBytesMax
  let count = 0
  for (const name of names) {
    room -= name.length + stateBytesMax
    if (room < 0) break
    count++
  }
  return count
}

export const encodeWitness = (witness: Witness): string => {
  const { transactionalId, incarnation, transaction, streamTime, partitionTime, stores } = witness
  const head = [transactionalId, incarnation, transaction, streamTime].join(';')
  const states = stores
    .slice(0, witnessedStores(stores.map(({ store }) => store)))
    .map(
      ({ store, changelogEnd, digest, layout }) =>
        `;${store}@${changelogEnd}=${digest}${layout === '' ? '' : `~${layout}`}`,
    )
  const time = partitionTime === streamTime ? '' : `${timePart}${partitionTime}`
  const more = time + states.join('')
  return more === '' ? `${format1};${head}` : `${format2};${head}${more}`
}

const timePart = ';time='
const timePattern = /^time=(-1|\d{1,16})$/
const statePattern = /^([A-Za-z0-9_-]+)@(\d{1,16})=(|-?\d{1,16}\.[0-9a-f]{16})(?:~([A-Za-z0-9]+))?$/

/** A part that a later version may have added is passed over. */
const decodeState = (text: string): StoreState[] => {
  const [, store, changelogEnd, digest, layout = ''] = statePattern.exec(text) ?? []
  return store === undefined || digest === undefined
    ? []
    : [{ store, changelogEnd: Number(changelogEnd), digest, layout }]
}

/** The witness in an offset's metadata, or undefined where there is none of ours. */
export const decodeWitness = (metadata: string): Witness | undefined => {
  const [format, transactionalId, incarnation, transaction, streamTime, ...more] = metadata.split(';')
  if (transactionalId === undefined || incarnation === undefined) return undefined
  if (format !== format2 && (format !== format1 || more.length > 0)) return undefined
  const numbers = [Number(transaction), Number(streamTime)] as const
  if (!numbers.every(Number.isSafeInteger)) return undefined
  const stores = more.flatMap(decodeState)
  const time = more.map((part) => timePattern.exec(part)?.[1]).find((found) => found !== undefined)
  const partitionTime = time === undefined ? numbers[1] : Number(time)
  return {
    transactionalId,
    incarnation,
    transaction: numbers[0],
    streamTime: numbers[1],
    partitionTime,
    stores,
  }
}
