// The wall-clock budget of a hand-over: from the moment the group wants something of this worker, a rebalance or tasks for
// others, until its JoinGroup is on its way. The commit before that may wait for a broker that does not answer for much
// longer than anybody should have to wait for the tasks: then the transaction is given up, and aborted as a whole.
//
//   called ──> the commit that is under way, or the one of what is given up ──> JoinGroup: in time
//                 └── the budget is over: abort (for as long again at most) ──> JoinGroup
//
// Both parts together end before the group goes on without this worker (rebalanceTimeoutMs), and before the coordinator
// aborts the transaction by itself.
import type { Logger } from '../base/log.ts'
import type { Ports, TimerHandle } from '../base/ports.ts'
import type { CommittingProducer } from '../client/producer.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'

export interface HandOverOptions {
  readonly settings: Pick<WorkerSettings, 'rebalanceTimeoutMs' | 'transactionTimeoutMs'>
  readonly ports: Ports
  readonly log: Logger
  readonly producer: Pick<CommittingProducer, 'giveUp'>
}

export class HandOver {
  readonly #options: HandOverOptions
  readonly #budgetMs: number
  #timer: TimerHandle | undefined
  #isLate = false

  constructor(options: HandOverOptions) {
    this.#options = options
    const { rebalanceTimeoutMs, transactionTimeoutMs } = options.settings
    this.#budgetMs = Math.min(rebalanceTimeoutMs, transactionTimeoutMs) / 2
  }

  /** The budget is over: nothing more is committed before the join. */
  get isLate(): boolean {
    return this.#isLate
  }

  /** The group waits. From the first call on, until `joins`. */
  called(): void {
    this.#timer ??= this.#options.ports.timers.set(() => this.#end(), this.#budgetMs)
  }

  /** JoinGroup is on its way, or nobody waits for it any more. */
  joins(): void {
    if (this.#timer !== undefined) this.#options.ports.timers.clear(this.#timer)
    this.#timer = undefined
    this.#isLate = false
  }

  #end(): void {
    const budgetMs = this.#budgetMs
    this.#isLate = true
    this.#options.log.warn('the group waits for too long: the open transaction is given up', { budgetMs })
    this.#options.producer.giveUp(`the group waited for a commit for ${budgetMs} ms`, budgetMs)
  }
}
