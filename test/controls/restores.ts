// Scenarios of a restore: on an empty disk, and of a store that stayed open while somebody else wrote.
import { setTimeout as sleep } from 'node:timers/promises'
import { recoveryKeys } from '../support/lost-commit.ts'
import { eventually, type Life, type Stage, withoutGroupAndRecords, withoutRecords } from './stage.ts'

const emptyDiskWithinMs = 8000

export const emptyDisk = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  await stage.fedAndDrained()
  await one.close()
  const two = await stage.prepare('two')
  let ended = false
  two.test.worker.start().then(
    () => {
      ended = true
    },
    () => {},
  )
  if (!(await eventually(() => ended, emptyDiskWithinMs)))
    stage.hangs(`the restore of ${stage.app.fed} records did not end in ${emptyDiskWithinMs} ms`)
}

/** What was committed lies above the last stable offset of the changelog, which somebody holds back for a while. */
export const openTransactionInChangelog = async (stage: Stage): Promise<void> => {
  const { app, judge } = stage
  const one = await stage.start('one')
  await stage.fedAndDrained()
  const holding = await judge.openProducer({ transactionalId: `${app.applicationId}-holding` })
  await holding.begin()
  await holding.send(app.changelog, [{ partition: 0, key: 'aborted', value: Buffer.alloc(8) }])
  await stage.fedAndDrained()
  await one.close()
  const two = await stage.prepare('two')
  let listed = 0
  two.proxy.rules = {
    answer: ({ apiKey }) => {
      if (apiKey === recoveryKeys.ListOffsets) listed++
      return 'pass'
    },
  }
  const started = two.test.worker.start()
  // It knows where its restore is to end; only a wrong one gets there.
  await eventually(() => listed > 1)
  await Promise.race([started, sleep(2000)])
  await holding.abort()
  await holding.close()
  await started
}

/** A worker is out of the group while another one goes on with its task and leaves; its store stays open. */
export const outForAWhile = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  one.obey(withoutGroupAndRecords)
  await stage.putOut('one')
  const two = await stage.start('two')
  await stage.fedAndDrained()
  await two.close()
  const joined = one.said('joined the group')
  one.obey(withoutRecords)
  await eventually(() => one.said('joined the group') > joined)
  one.obey({})
}

/** A task moves to another worker and comes back; meanwhile its first owner keeps its store as a standby. */
export const backToStandby = async (stage: Stage): Promise<void> => {
  const settings = { standbyReplicas: 1 }
  const one = await stage.start('one', settings)
  await stage.fedAndDrained()
  const two = await stage.start('two', settings)
  const tasksOf = (life: Life): number => life.test.worker.status().tasks.length
  await eventually(() => tasksOf(two) === 1 && one.test.worker.status().standbys[0]?.lag === 0)
  await stage.fedAndDrained()
  await two.close()
  await eventually(() => tasksOf(one) === 2)
}
