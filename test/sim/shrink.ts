// Makes a plan that fails smaller, as long as it fails in the same way: first without faults, then without records.
import { shrinkList } from '../../src/testing/simulation/shrink-list.ts'
import type { Plan } from './plan.ts'

/** Tries at most: each is a whole run. */
const triesMax = 150

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
