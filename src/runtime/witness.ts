// The witness: what a commit writes beside each offset, into its metadata (KIP-211 keeps it with the offset). It says
// who committed, in which incarnation and which transaction, and carries the stream time of the task over restarts. A
// tool that resets offsets erases it, which is how a reset behind our back is noticed.
//
// Format 1: `ms1;<transactional.id>;<incarnation>;<transaction number>;<stream time>`. The parts hold no semicolon.

export interface Witness {
  readonly transactionalId: string
  /** Random, one per start of a worker. */
  readonly incarnation: string
  /** Counted from 1 within the incarnation. */
  readonly transaction: number
  /** Of the task that owns the partition, ms; -1 for none. */
  readonly streamTime: number
}

const formatName = 'ms1'

export const encodeWitness = ({ transactionalId, incarnation, transaction, streamTime }: Witness): string =>
  [formatName, transactionalId, incarnation, transaction, streamTime].join(';')

/** The witness in an offset's metadata, or undefined where there is none of ours. */
export const decodeWitness = (metadata: string): Witness | undefined => {
  const [format, transactionalId, incarnation, transaction, streamTime, ...more] = metadata.split(';')
  if (format !== formatName || transactionalId === undefined || incarnation === undefined || more.length > 0)
    return undefined
  const numbers = [Number(transaction), Number(streamTime)] as const
  if (!numbers.every(Number.isSafeInteger)) return undefined
  return { transactionalId, incarnation, transaction: numbers[0], streamTime: numbers[1] }
}
