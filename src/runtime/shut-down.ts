// The end of a worker: every part is closed, also when another one fails to.
import type { Logger } from '../base/log.ts'
import { ensureError, type MillstreamError } from '../errors.ts'
import type { Engine } from './engine.ts'

/**
 * @param leave whether the group is told, so that others take over at once
 * @param failure what ended the worker, if something did
 */
export const shutDown = async (
  {
    producer,
    member,
    handOver,
    takeOver,
    leftOpen,
    heartbeats,
    fetcher,
    manager,
    standbys,
    directory,
    cluster,
  }: Engine,
  leave: boolean,
  failure: MillstreamError | undefined,
  log: Logger,
): Promise<void> => {
  // Fenced: somebody else may write the same stores by now; what is not flushed is in the changelog.
  const flush = failure?.code !== 'INSTANCE_FENCED' && failure?.code !== 'STORE_LOCKED'
  const steps: (() => unknown)[] = [
    () => fetcher.close(),
    () => takeOver?.close(),
    () => leftOpen.close(),
    () => handOver.end(),
    // An open transaction would hold up readers and the next owner until it times out.
    () => (producer.inTransaction ? producer.abort() : undefined),
    () => manager.close({ flush }),
    () => standbys.close({ flush }),
    () =>
      leave
        ? member.leave(failure === undefined ? 'the worker is closed' : 'the worker failed')
        : member.close(),
    () => heartbeats.close(),
    () => cluster.close(),
    () => directory.close(),
  ]
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      log.warn('closing', { cause: ensureError(error).message })
    }
  }
}
