// The transactional ids of an application: `<application.id>.<instance>.<worker>`. The separator cannot stand inside the
// parts (settings-table.ts), so that the prefix of `orders` catches nothing of `orders-eu`.

/** The instance under which a savepoint is imported. */
export const importInstance = 'savepoint-import'

/** Of the worker of this instance. It is the same after a restart, which so ends what its own past left open. */
export const transactionalIdOf = (applicationId: string, instanceId: string): string =>
  `${applicationId}.${instanceId}.0`

/** Whether this can be the id of a worker of the application. That of an import is none: the next import ends it. */
export const isWorkerOf = (applicationId: string, transactionalId: string): boolean => {
  const [application, instance, worker, ...more] = transactionalId.split('.')
  return (
    application === applicationId &&
    instance !== importInstance &&
    /^[A-Za-z0-9_-]+$/.test(instance ?? '') &&
    /^\d+$/.test(worker ?? '') &&
    more.length === 0
  )
}
