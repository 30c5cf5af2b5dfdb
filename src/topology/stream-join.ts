// How a join of two streams is wired: a node for each side, one store for both, and the node where their results meet.
import type { AnyAsOfOptions } from './as-of-join.ts'
import { leftSide, rightSide, type Side } from '../state/join-entries.ts'
import type { StoreDefinition } from './contracts.ts'
import type { DraftNode, GraphBuilder, Upstream } from './graph-builder.ts'
import { joinProblems, joinShape, type JoinWindows } from './join-windows.ts'
import type { LateEmission } from './late.ts'
import { PassOperator } from './operators.ts'
import { StreamJoinOperator, type StreamJoiner } from './stream-join-operator.ts'

/** A join of two streams whose keys decide their partitions. */
export interface StreamJoin {
  readonly operator: 'join' | 'leftJoin' | 'outerJoin'
  readonly left: Upstream
  readonly right: Upstream
  readonly joiner: StreamJoiner
  readonly windows: JoinWindows | undefined
  readonly store: StoreDefinition | undefined
}

/** What the methods of a stream are given that join it with another stream, or with a table. */
export type AnyJoin = readonly [
  other: unknown,
  joiner: unknown,
  windowsOrOptions?: JoinWindows | AnyAsOfOptions,
  store?: StoreDefinition,
]

/** What is called `leftJoin` of streams and of tables alike is told apart in descriptions. */
const operatorNames = {
  join: 'streamJoin',
  leftJoin: 'streamLeftJoin',
  outerJoin: 'streamOuterJoin',
} as const

/** One side of a join: its node, and what that sends on. */
interface JoinSide {
  readonly node: DraftNode
  readonly emission: LateEmission
}

/** The nodes of a join. */
export interface StreamJoinNodes {
  /** Where the results come from. */
  readonly joined: Upstream
  readonly left: JoinSide
  readonly right: JoinSide
}

export const connectStreamJoin = (builder: GraphBuilder, join: StreamJoin): StreamJoinNodes => {
  const { store, windows, joiner } = join
  if (windows === undefined || store === undefined) {
    builder.problem(
      `the ${join.operator} of streams after ${join.left.node.name} needs within({ … }) and a joinStore`,
    )
    const { left, right } = join
    const side = ({ node }: Upstream): JoinSide => ({ node, emission: { late: false } })
    return { joined: left, left: side(left), right: side(right) }
  }
  const operator = operatorNames[join.operator]
  const name = `${operator}-${store.name}`
  for (const problem of joinProblems(windows))
    builder.problem(`the ${join.operator} into store ${store.name}: ${problem}`)
  const outer = [join.operator === 'outerJoin', join.operator !== 'join'] as const
  const side = (own: Side, part: string, upstream: Upstream): JoinSide => {
    const emission: LateEmission = { late: false }
    const node = builder.addProcessor([upstream], {
      name: `${name}-${part}`,
      operator,
      stores: [store],
      outputs: undefined,
      mustLead: true,
      create: () => new StreamJoinOperator(own, store, joiner, emission),
    })
    return { node, emission }
  }
  const left = side(leftSide, 'left', join.left)
  const right = side(rightSide, 'right', join.right)
  const upstream = [left, right].map((one): Upstream => ({ node: one.node, output: '' }))
  const node = builder.addProcessor(upstream, {
    name,
    operator,
    stores: [],
    outputs: undefined,
    mustLead: true,
    create: () => new PassOperator(),
  })
  builder.keepWindows(store.name, node.name, joinShape(windows, outer))
  return { joined: { node, output: '' }, left, right }
}
