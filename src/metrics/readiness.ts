// What the probes say of a worker. Pure.
import type { RestoreProgress } from '../runtime/restore-progress.ts'
import type { WorkerState } from '../runtime/worker-state.ts'
import type { WorkerStatus } from '../runtime/worker-status.ts'

export interface WorkerReadiness {
  readonly application: string
  readonly state: WorkerState
  readonly ready: boolean
  /** Why it is not. */
  readonly reason: string | undefined
  readonly restore: RestoreProgress | undefined
}

export interface Readiness {
  readonly ready: boolean
  /** Why it is not; with several workers, each with its application in front. */
  readonly reason: string | undefined
  readonly workers: readonly WorkerReadiness[]
}

const restoring = ({ stores, offsetsLeft, offsetsTotal, secondsLeft }: RestoreProgress): string => {
  const time = secondsLeft === undefined ? '' : `, about ${secondsLeft} s left`
  return `restoring ${stores} ${stores === 1 ? 'store' : 'stores'}: ${offsetsLeft} of ${offsetsTotal} offsets left${time}`
}

const isoTime = (timeMs: number): string => new Date(timeMs).toISOString()

/** @returns why the worker is not ready; undefined when it runs with all of its tasks restored */
export const readinessOf = (status: WorkerStatus): string | undefined => {
  const { state, stateSinceMs, restore, tasks, assignedTasks, failure } = status
  switch (state) {
    case 'created':
    case 'starting':
      return restore === undefined ? 'starting' : restoring(restore)
    case 'closing':
      return 'stopping'
    case 'closed':
      return 'stopped'
    case 'failed':
      return `stopped: ${failure ?? 'an error'}`
    case 'recovering': {
      const since = `recovering since ${isoTime(stateSinceMs)}`
      return restore === undefined ? since : `${since}: ${restoring(restore)}`
    }
    case 'rebalancing':
      return restore === undefined ? 'rebalancing' : restoring(restore)
    case 'running':
      if (restore !== undefined) return restoring(restore)
      return tasks.length < assignedTasks
        ? `opening tasks: ${tasks.length} of ${assignedTasks} run`
        : undefined
  }
}

export const readiness = (statuses: readonly WorkerStatus[]): Readiness => {
  const workers = statuses.map((status) => {
    const reason = readinessOf(status)
    const { applicationId: application, state, restore } = status
    return { application, state, ready: reason === undefined, reason, restore }
  })
  const reasons = workers.flatMap(({ application, reason }) => {
    if (reason === undefined) return []
    return [workers.length > 1 ? `${application}: ${reason}` : reason]
  })
  const ready = reasons.length === 0
  return { ready, reason: ready ? undefined : reasons.join('; '), workers }
}

/** @returns why a worker counts as dead: its loop has not turned for longer than a turn may take */
export const deathOf = (statuses: readonly WorkerStatus[]): string | undefined => {
  for (const { applicationId, state, loop } of statuses) {
    if (loop === undefined || loop.idleMs <= loop.idleMaxMs) continue
    const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`
    return `the loop of ${applicationId} (${state}) has not turned for ${seconds(loop.idleMs)}; the limit is ${seconds(loop.idleMaxMs)}`
  }
  return undefined
}
