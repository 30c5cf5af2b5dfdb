// What may stand before an asynchronous processor, in the same sub-topology. The call of a record is made before its turn,
// while records before it still wait for theirs; a store would be read and written too early. Behind a repartition topic
// the call has an input of its own.
import type { DraftNode } from './graph-builder.ts'

const childrenOf = ({ children }: DraftNode): DraftNode[] => [...children.values()].flat()

/** Mistakes, one per asynchronous processor with a store before it. */
export const beforeCallProblems = (drafts: readonly DraftNode[]): string[] => {
  const stateful = drafts.filter(({ parts }) => (parts?.stores.length ?? 0) > 0)
  const problems = new Map<string, string>()
  for (const first of stateful) {
    const seen = new Set<DraftNode>()
    const next = childrenOf(first)
    for (let node = next.pop(); node !== undefined; node = next.pop()) {
      if (seen.has(node)) continue
      seen.add(node)
      next.push(...childrenOf(node))
      if (node.parts?.asynchronous !== true || problems.has(node.name)) continue
      problems.set(
        node.name,
        `${node.name} is asynchronous and comes after ${first.name}, which has a store: send the records through repartition between them`,
      )
    }
  }
  return [...problems.values()]
}
