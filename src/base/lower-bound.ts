/** How many of the first `count` indices are `below`, where those that are come before those that are not: a binary search. */
export const lowerBound = (count: number, below: (index: number) => boolean): number => {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (below(middle)) low = middle + 1
    else high = middle
  }
  return low
}
