// The faults of a simulation as plain data: a run is its seed and this list, so that it can be shrunk by leaving some out.
import type { FaultPoint } from '../../base/fault-point.ts'
import type { RequestEffect } from './request-faults.ts'
import type { Direction } from './simulated-net.ts'

/** Instead of at its time: when this host next passes this point, for the `nth` time after that. */
export interface Trigger {
  readonly host: string
  readonly point: FaultPoint
  readonly nth: number
}

/** What remains of a disk after a kill: all but unsynced local writes, the same after a restart of the machine, nothing. */
export type CrashKind = 'process' | 'machine' | 'disk lost'

export type FaultAction =
  | {
      readonly kind: 'request'
      readonly effect: RequestEffect
      readonly apiKey: number
      readonly host: string
      readonly holdMs: number
    }
  | {
      readonly kind: 'block'
      readonly host: string
      /** 0: all of them. */
      readonly nodeId: number
      readonly forMs: number
      readonly direction: Direction
    }
  | { readonly kind: 'cut'; readonly host: string }
  /** The group hears nothing of this host, which goes on with all else. */
  | { readonly kind: 'silence'; readonly host: string; readonly forMs: number }
  /** The group removes it as a member, and tells it nothing. */
  | { readonly kind: 'put out'; readonly host: string }
  /** Somebody else has a transaction open in one of the topics, and aborts it. */
  | { readonly kind: 'foreign transaction'; readonly pick: number; readonly forMs: number }
  | { readonly kind: 'kill'; readonly host: string; readonly crash: CrashKind; readonly downMs: number }
  | { readonly kind: 'pause'; readonly host: string; readonly forMs: number }
  /** A clean close; another start later. */
  | { readonly kind: 'restart'; readonly host: string; readonly leave: boolean; readonly downMs: number }
  | {
      readonly kind: 'move coordinator'
      /** Of the group, or of the transactional id of this host. */
      readonly of: 'group' | 'transaction'
      readonly host: string
      readonly nodeId: number
      readonly loadMs: number
    }
  | { readonly kind: 'move leader'; readonly pick: number; readonly nodeId: number }
  | { readonly kind: 'stop node'; readonly nodeId: number; readonly forMs: number }
  /** Markers of transactions take up to this long, each partition a time of its own. */
  | { readonly kind: 'slow markers'; readonly delayMs: number; readonly forMs: number }
  | { readonly kind: 'clock'; readonly host: string; readonly skewMs: number }

export type Fault = FaultAction & {
  /** After the start of the simulation. */
  readonly atMs: number
  readonly when?: Trigger | undefined
}

export type FaultKind = Fault['kind']

export const describeFault = ({ atMs, when, kind, ...details }: Fault): string => {
  const place = when === undefined ? '' : ` when ${when.host} passes ${when.point} (${when.nth})`
  const fields = Object.entries(details).map(([name, value]) => `${name}=${value}`)
  return `from ${(atMs / 1000).toFixed(3)} s${place}: ${kind} ${fields.join(' ')}`
}
