// Tasks that are opened and restored while the others of the worker go on.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { isMillstreamError, isSchemaPending } from '../errors.ts'
import type { StreamTask } from '../task/stream-task.ts'
import type { TaskManager } from './task-manager.ts'

/** What passes by itself (a broker that does not answer) is no reason to disturb the tasks that run. */
const retryAfterMs = 1000

export class Adoption {
  readonly #ports: Ports
  readonly #log: Logger
  readonly #notify: () => void
  #running: Promise<void> | undefined
  #stopped = false
  #ended: { readonly fresh: ReadonlySet<StreamTask> } | { readonly error: unknown } | undefined

  /** @param notify called when tasks are ready, or could not be made ready */
  constructor(ports: Ports, log: Logger, notify: () => void) {
    this.#ports = ports
    this.#log = log
    this.#notify = notify
  }

  /** Whether tasks are being restored. */
  get active(): boolean {
    return this.#running !== undefined
  }

  /** Asked by the restore between two fetches. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** Makes the manager run these tasks. Nothing may be under way. */
  begin(manager: TaskManager, tasks: readonly string[]): void {
    this.#stopped = false
    this.#running = this.#adopt(manager, tasks)
      .then(
        (fresh) => {
          this.#ended = { fresh }
        },
        (error: unknown) => {
          this.#ended = { error }
        },
      )
      .then(() => {
        this.#running = undefined
        this.#notify()
      })
  }

  async #adopt(manager: TaskManager, tasks: readonly string[]): Promise<ReadonlySet<StreamTask>> {
    for (;;) {
      try {
        return await manager.adopt(tasks, { reload: false })
      } catch (error) {
        if (this.#stopped || !isMillstreamError(error)) throw error
        // A schema that comes is waited for as a broker is.
        if (error.reaction !== 'retry' && !isSchemaPending(error)) throw error
        const { code, message: cause } = error
        this.#log.warn('tasks could not be restored, and are tried again', { code, cause })
      }
      await this.#ports.timers.sleep(retryAfterMs)
      if (this.#stopped) return new Set()
    }
  }

  /**
   * Once, when all tasks run: those whose start positions are to be committed.
   * @throws MillstreamError what kept them from running
   */
  ended(): ReadonlySet<StreamTask> | undefined {
    const ended = this.#ended
    this.#ended = undefined
    if (ended === undefined) return undefined
    if ('error' in ended) throw ended.error
    return ended.fresh
  }

  /**
   * Ends what is under way; what was restored so far stays on the disk.
   * @returns tasks that were ready all the same, and whose start positions are to be committed
   * @throws MillstreamError that stops a worker, where that came up meanwhile
   */
  async stop(): Promise<ReadonlySet<StreamTask>> {
    this.#stopped = true
    await this.#running
    const ended = this.#ended
    this.#ended = undefined
    if (ended === undefined) return new Set()
    if (!('error' in ended)) return ended.fresh
    // Whatever may pass is met again by the next attempt.
    if (
      isMillstreamError(ended.error) &&
      (ended.error.reaction === 'retry' || ended.error.code === 'RESTORE_INTERRUPTED')
    )
      return new Set()
    throw ended.error
  }
}
