// A thread that runs seeds as they are given to it: several of them use several cores.
import { parentPort } from 'node:worker_threads'
import { setWrongBuild, type WrongBuild } from '../../src/base/wrong-builds.ts'
import { ensureError } from '../../src/errors.ts'
import { planOf } from './plan.ts'
import { type Outcome, runPlan } from './run-seed.ts'

export interface SeedOrder {
  readonly seed: number
  readonly wrongBuild?: WrongBuild | undefined
}

/** Without the trace, which is made anew where somebody wants it. */
export type SeedResult = Omit<Outcome, 'trace' | 'violations'> & {
  /** Those that were violated; empty where all is well. */
  readonly violated: readonly string[]
}

const run = async ({ seed, wrongBuild }: SeedOrder): Promise<SeedResult> => {
  setWrongBuild(wrongBuild)
  try {
    const { trace: _trace, violations, ...rest } = await runPlan(planOf(seed))
    return { ...rest, violated: [...new Set(violations.map(({ invariant }) => invariant))] }
  } catch (error) {
    const report = [ensureError(error).stack ?? String(error)]
    const nothing = { marks: [], failovers: 0, faults: 0, records: 0, events: 0, virtualMs: 0, digest: '' }
    return { ...nothing, seed, report, violated: ['error'] }
  } finally {
    setWrongBuild(undefined)
  }
}

parentPort?.on('message', (order: SeedOrder) => {
  void run(order).then((result) => parentPort?.postMessage(result))
})
