// Makes a plan that fails smaller, as long as it fails in the same way: first without faults, then without records.
import type { Plan } from './plan.ts'

/** Tries at most: each is a whole run. */
const triesMax = 150

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

export const shrink = async (
  plan: Plan,
  failsWith: (plan: Plan) => Promise<boolean>,
  onTry: (tries: number) => void = () => {},
): Promise<Plan> => {
  let tries = 0
  const fails = async (smaller: Plan): Promise<boolean> => {
    if (tries >= triesMax) return false
    onTry(++tries)
    return await failsWith(smaller)
  }
  const faults = await shrinkList(plan.faults, (left) => fails({ ...plan, faults: left }))
  const calmer = { ...plan, faults }
  const input = await shrinkList(plan.input, (left) => fails({ ...calmer, input: left }))
  return { ...calmer, input }
}
