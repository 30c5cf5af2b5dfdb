// When a session is short: it may end before the broker has aborted what a dead worker left open.
import type { WorkerSettings } from './worker-settings.ts'

/** The broker looks for transactions to abort every 10 s (transaction.abort.timed.out.transaction.cleanup.interval.ms). */
export const transactionCleanupIntervalMs = 10_000

type Limits = Pick<WorkerSettings, 'guarantee' | 'transactionTimeoutMs' | 'sessionTimeoutMs'>

/**
 * Whether the transaction of a dead worker may be open when another one gets its tasks. The leader of the group then
 * aborts it; with a longer session it has timed out before.
 */
export const hasShortSession = ({ guarantee, transactionTimeoutMs, sessionTimeoutMs }: Limits): boolean =>
  guarantee === 'exactly_once' && sessionTimeoutMs <= transactionTimeoutMs + transactionCleanupIntervalMs
