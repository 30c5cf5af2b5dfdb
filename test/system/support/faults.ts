// The faults that a test plans for a worker process, handed over in its environment (MILLSTREAM_FAULT).
import { type FaultPoint, faultPoints } from '../../../src/base/fault-point.ts'

export interface Fault {
  readonly point: FaultPoint
  /** At which hit of the point; `abort` comes back at every multiple. */
  readonly hit: number
  /**
   * kill, stop, term: SIGKILL, SIGSTOP or SIGTERM of the process by itself; abort: the transaction fails and has to be
   * aborted.
   */
  readonly action: 'kill' | 'stop' | 'term' | 'abort'
  /** A signal comes so long after the hit, in which this process does nothing and the broker goes on. */
  readonly delayMs?: number
  /** Hits count from so long after the worker runs. */
  readonly afterMs?: number
}

export const faultVariable = 'MILLSTREAM_FAULT'

export const writeFault = (fault: Fault): string => JSON.stringify(fault)

export const readFault = (text: string | undefined): Fault | undefined => {
  if (text === undefined || text === '') return undefined
  const fault = JSON.parse(text) as Fault
  if (!faultPoints.includes(fault.point)) throw new Error(`${faultVariable} names no fault point: ${text}`)
  return fault
}

/** Where a processor throws while it handles a record: before it began, after its first output, or when it had ended. */
export type ThrowPlace = 'before' | 'between' | 'after'

export interface Throwing {
  readonly seed: number
  /**
   * records: always at the same records, so that a recount knows which ones are skipped; chance: by chance at each try,
   * so that a repeated one gets through.
   */
  readonly at: 'records' | 'chance'
  readonly oneIn: number
}

const mix = (value: number): number => {
  let mixed = Math.imul(value ^ (value >>> 16), 0x21f0aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
  return (mixed ^ (mixed >>> 15)) >>> 0
}

const hashOf = (seed: number, topic: string, partition: number, offset: number): number => {
  let hash = mix(seed >>> 0)
  for (let index = 0; index < topic.length; index++) hash = mix(hash + topic.charCodeAt(index))
  return mix(mix(hash + partition) + offset)
}

/** Where the processors of this record throw (`at: 'records'`), or undefined. */
export const throwsAt = (
  { seed, oneIn }: Throwing,
  topic: string,
  partition: number,
  offset: number,
): ThrowPlace | undefined => {
  const hash = hashOf(seed, topic, partition, offset)
  if (hash % oneIn !== 0) return undefined
  return (['before', 'between', 'after'] as const)[Math.floor(hash / oneIn) % 3]
}
