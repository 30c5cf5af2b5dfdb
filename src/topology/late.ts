// Where the records go that came too late: an output of the node that found them so, which is there when somebody asks.
import type { DraftNode, Upstream } from './graph-builder.ts'
import { lateOutput } from './operators.ts'

/** Whether a node sends late records to the output `late`. Known when the topology is complete. */
export interface LateEmission {
  late: boolean
}

/** The late records of a node, as they came. */
export const lateOf = (node: DraftNode, emission: LateEmission): Upstream => {
  emission.late = true
  if (!node.children.has(lateOutput)) node.children.set(lateOutput, [])
  return { node, output: lateOutput }
}
