// What is in windows that are told on close while they are open: an output of the node that keeps them, which is there when
// somebody asks.
import type { DraftNode, Upstream } from './graph-builder.ts'
import { earlyOutput } from './operators.ts'
import { wholeFrom } from './windows.ts'

export interface EarlyOptions {
  /** How often at most, in stream time, ms. */
  readonly everyMs: number
}

/** What a node sends to the output `early`. Known when the topology is complete. */
export interface EarlyEmission {
  /** How often what has changed is told while its window is open, ms; 0: never. */
  earlyEveryMs: number
}

/** What is in the windows of a node. @param problem notes a mistake @param why it has no final results; undefined: it has */
export const earlyOf = (
  node: DraftNode,
  emission: EarlyEmission,
  { everyMs }: EarlyOptions,
  why: string | undefined,
  problem: (text: string) => void,
): Upstream => {
  const mistake = (text: string): void => problem(`early of ${node.name}: ${text}`)
  if (!wholeFrom(1, everyMs)) mistake(`everyMs is ${everyMs}, but takes a whole number from 1`)
  if (why !== undefined) mistake(why)
  const { earlyEveryMs } = emission
  if (earlyEveryMs !== 0 && earlyEveryMs !== everyMs)
    mistake(`everyMs is ${everyMs}, and ${earlyEveryMs} in another place`)
  emission.earlyEveryMs = everyMs
  if (!node.children.has(earlyOutput)) node.children.set(earlyOutput, [])
  return { node, output: earlyOutput }
}
