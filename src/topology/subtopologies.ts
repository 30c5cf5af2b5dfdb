// Splits the nodes of a topology into sub-topologies: the parts that are connected by forwards or by shared stores. A
// repartition topic connects nothing: its sink ends one part, its source begins another.
import type { StoreDefinition, Subtopology, TopologyNode } from './contracts.ts'

/** Names of nodes in sets that are joined step by step (union-find with path halving). */
class Components {
  readonly #parents = new Map<string, string>()

  root(name: string): string {
    let current = name
    for (;;) {
      const parent = this.#parents.get(current) ?? current
      if (parent === current) return current
      const grandparent = this.#parents.get(parent) ?? parent
      this.#parents.set(current, grandparent)
      current = grandparent
    }
  }

  join(left: string, right: string): void {
    this.#parents.set(this.root(right), this.root(left))
  }
}

/**
 * The sub-topologies, numbered by the first source of each in the order of definition. `stores` holds every store by name.
 */
export const splitIntoSubtopologies = (
  nodes: readonly TopologyNode[],
  stores: ReadonlyMap<string, StoreDefinition>,
): readonly Subtopology[] => {
  const components = new Components()
  const userOfStore = new Map<string, string>()
  for (const node of nodes) {
    for (const child of node.children) components.join(node.name, child)
    if (node.kind !== 'processor') continue
    for (const store of node.stores) {
      const user = userOfStore.get(store)
      if (user === undefined) userOfStore.set(store, node.name)
      else components.join(user, node.name)
    }
  }
  const members = new Map<string, TopologyNode[]>()
  // Every component has a source, since a stream begins with one; sources decide the numbers.
  for (const node of nodes) if (node.kind === 'source') members.set(components.root(node.name), [])
  for (const node of nodes) members.get(components.root(node.name))?.push(node)
  return Object.freeze(
    [...members.values()].map((part, id): Subtopology => {
      const names = new Set(part.flatMap((node) => (node.kind === 'processor' ? node.stores : [])))
      return Object.freeze({
        id,
        nodes: Object.freeze(part),
        stores: Object.freeze([...names].map((name) => stores.get(name) as StoreDefinition)),
      })
    }),
  )
}
