// "Did you mean": the known name that is nearest to one that is not known.

/** Edits (insert, delete, replace, swap of neighbours) that turn one text into the other. */
const distance = (from: string, to: string): number => {
  let before: number[] = []
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      let edits = Math.min(
        (previous[column] as number) + 1,
        (current[column - 1] as number) + 1,
        (previous[column - 1] as number) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1])
        edits = Math.min(edits, (before[column - 2] as number) + 1)
      current.push(edits)
    }
    before = previous
    previous = current
  }
  return previous[to.length] as number
}

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')

/** The nearest of the known names, or undefined where none is near; case and separators do not count. */
export const nearest = (given: string, known: readonly string[]): string | undefined => {
  const wanted = plain(given)
  const ranked = known
    .map((name) => ({ name, edits: distance(wanted, plain(name)) }))
    .sort((a, b) => a.edits - b.edits)
  const [best] = ranked
  if (best === undefined) return undefined
  if (best.edits <= Math.max(1, Math.floor(wanted.length / 4))) return best.name
  // A name without its unit or its qualifier: commitInterval, brokerList.
  const longer = known.filter((name) => plain(name).startsWith(wanted) || wanted.startsWith(plain(name)))
  return wanted.length >= 4 && longer.length === 1 ? longer[0] : undefined
}
