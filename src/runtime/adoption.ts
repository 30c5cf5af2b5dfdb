// Tasks that are opened and restored while the others of the worker go on.
import { isMillstreamError } from '../errors.ts'
import type { StreamTask } from '../task/stream-task.ts'
import type { TaskManager } from './task-manager.ts'

export class Adoption {
  readonly #notify: () => void
  #running: Promise<void> | undefined
  #stopped = false
  #ended: { readonly fresh: ReadonlySet<StreamTask> } | { readonly error: unknown } | undefined

  /** @param notify called when tasks are ready, or could not be made ready */
  constructor(notify: () => void) {
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
    this.#running = manager
      .adopt(tasks, { reload: false })
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
   * @throws MillstreamError that stops a worker, where that came up meanwhile
   */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    const ended = this.#ended
    this.#ended = undefined
    if (ended === undefined || !('error' in ended)) return
    // Whatever may pass is met again by the next attempt.
    if (
      isMillstreamError(ended.error) &&
      (ended.error.reaction === 'retry' || ended.error.code === 'RESTORE_INTERRUPTED')
    )
      return
    throw ended.error
  }
}
