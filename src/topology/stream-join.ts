// How a join of two streams is wired: a node for each side, one store for both, and the node where their results meet.
import type { AnyAsOfOptions } from './as-of-join.ts'
import { leftSide, rightSide, type Side } from '../state/join-entries.ts'
import type { StoreDefinition } from './contracts.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import { joinProblems, joinShape, type JoinWindows } from './join-windows.ts'
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

export const connectStreamJoin = (builder: GraphBuilder, join: StreamJoin): Upstream => {
  const { store, windows, joiner } = join
  if (windows === undefined || store === undefined) {
    builder.problem(
      `the ${join.operator} of streams after ${join.left.node.name} needs within({ … }) and a joinStore`,
    )
    return join.left
  }
  const operator = operatorNames[join.operator]
  const name = `${operator}-${store.name}`
  for (const problem of joinProblems(windows))
    builder.problem(`the ${join.operator} into store ${store.name}: ${problem}`)
  const outer = [join.operator === 'outerJoin', join.operator !== 'join'] as const
  const side = (own: Side, part: string, upstream: Upstream): Upstream => ({
    node: builder.addProcessor([upstream], {
      name: `${name}-${part}`,
      operator,
      stores: [store],
      outputs: undefined,
      mustLead: true,
      create: () => new StreamJoinOperator(own, store, joiner),
    }),
    output: '',
  })
  const left = side(leftSide, 'left', join.left)
  const right = side(rightSide, 'right', join.right)
  const node = builder.addProcessor([left, right], {
    name,
    operator,
    stores: [],
    outputs: undefined,
    mustLead: true,
    create: () => new PassOperator(),
  })
  builder.keepWindows(store.name, node.name, joinShape(windows, outer))
  return { node, output: '' }
}
