// Finds what matters of a list: what can be left out is left out.

/**
 * The smallest part of a list that it finds that still fails: halves are left out first, then smaller and smaller parts.
 * @param fails whether what is left still fails
 */
export const shrinkList = async <T>(
  list: readonly T[],
  fails: (left: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> => {
  let left = list
  for (let size = Math.ceil(left.length / 2); size >= 1; ) {
    let removed = false
    for (let at = 0; at < left.length; ) {
      const without = [...left.slice(0, at), ...left.slice(at + size)]
      if (await fails(without)) {
        left = without
        removed = true
      } else at += size
    }
    if (size === 1 && !removed) break
    size = size === 1 ? 1 : Math.ceil(size / 2)
  }
  return left
}
