// Scenarios of a zombie: a worker that was put out of its group while it is in the middle of something, and a successor.
import { apiKeys, type ProxyRules, readEndTxn } from '../support/proxy.ts'
import { recoveryKeys } from '../support/lost-commit.ts'
import { eventually, type Life, patient, type Stage, withoutGroup, withoutGroupAndRecords } from './stage.ts'

/** Put out with a transaction open; nobody else is there, so it gets its task back. */
export const putOutInTransaction = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  one.obey(withoutGroup)
  await stage.putOut('one')
  await stage.feed()
  await eventually(() => one.said('the membership is over') > 0)
  one.obey({})
  await stage.drained()
}

/** It does not know that it is out, and reads what its successor has processed. */
export const unknowingZombie = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  one.obey(withoutGroupAndRecords)
  await stage.putOut('one')
  await stage.start('two')
  await stage.fedAndDrained()
  const { committed } = one.test.worker.counts
  one.obey(withoutGroup)
  await one.decided(committed)
  one.obey({})
}

/** The same with a timer alone. */
export const unknowingTimer = async (stage: Stage): Promise<void> => {
  const ticks = async (by: string): Promise<number> =>
    (await stage.judge.dump(stage.app.output)).records.filter(({ value }) => value?.includes(`:${by}`)).length
  const one = await stage.start('one')
  await eventually(async () => (await ticks('one')) > 3)
  one.obey(withoutGroup)
  await stage.putOut('one')
  await stage.start('two')
  await eventually(async () => (await ticks('two')) > 3)
  one.obey({})
}

/** Holds the first request of a kind that comes, and all behind it, until the gate opens. */
class Gate {
  asked = false
  readonly #opened = Promise.withResolvers<void>()
  readonly rules: ProxyRules

  constructor(life: Life, isHeld: (request: Parameters<NonNullable<ProxyRules['request']>>[0]) => boolean) {
    this.rules = {
      request: (request) => {
        if (!isHeld(request)) return 'pass'
        this.asked = true
        return { until: this.#opened.promise }
      },
    }
    life.proxy.rules = this.rules
  }

  open(): void {
    this.#opened.resolve()
  }
}

/** How often the worker was told the offsets of its group. */
const countOffsetFetches = (life: Life): (() => number) => {
  let count = 0
  life.proxy.rules = {
    answer: ({ apiKey }) => {
      if (apiKey === recoveryKeys.OffsetFetch) count++
      return 'pass'
    },
  }
  return () => count
}

/** A successor takes over while the commit of its predecessor is on its way. */
export const pendingCommit = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one', patient)
  await stage.fedAndDrained()
  const gate = new Gate(one, (request) => request.apiKey === apiKeys.EndTxn && readEndTxn(request).committed)
  await stage.feed()
  await eventually(() => gate.asked)
  await stage.putOut('one')
  const two = await stage.prepare('two', patient)
  const told = countOffsetFetches(two)
  const started = two.test.worker.start()
  // Told twice means that it asks again, since the offsets are not stable; once that it goes on with what it was told.
  await eventually(() => told() > 0)
  await eventually(() => told() > 1, 1000)
  gate.open()
  await started
  one.proxy.rules = {}
}

/** A produce is held up; meanwhile another worker goes on and leaves, and the member learns that it is out. */
export const lateProduce = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one', patient)
  await stage.fedAndDrained()
  const gate = new Gate(one, ({ apiKey }) => apiKey === apiKeys.Produce)
  await stage.feed()
  await eventually(() => gate.asked)
  await stage.putOut('one')
  const two = await stage.start('two')
  await stage.drained()
  await stage.fedAndDrained()
  await two.close()
  const { committed } = one.test.worker.counts
  gate.open()
  await one.decided(committed)
  one.proxy.rules = {}
}

/** A produce is held up while a successor, whose disk is up to date, takes over. */
export const lateProduceAndSuccessor = async (stage: Stage): Promise<void> => {
  const first = await stage.start('one')
  await stage.fedAndDrained()
  await first.close()
  // Its disk follows the changelog to the end.
  await (await stage.start('two')).close()
  const one = await stage.start('one', patient)
  const gate = new Gate(one, ({ apiKey }) => apiKey === apiKeys.Produce)
  let offsetsAnswered = false
  // A zombie that joins again would make the successor begin its restore anew.
  const taken = Promise.withResolvers<void>()
  one.proxy.rules = {
    request: (request) =>
      request.apiKey === recoveryKeys.JoinGroup
        ? { until: taken.promise }
        : (gate.rules.request?.(request) ?? 'pass'),
    answer: ({ apiKey }) => {
      offsetsAnswered ||= apiKey === apiKeys.TxnOffsetCommit
      return 'pass'
    },
  }
  await stage.feed()
  await eventually(() => gate.asked)
  // Only in the wrong build the offsets are committed before the produce is acknowledged.
  await eventually(() => offsetsAnswered, 1500)
  await stage.putOut('one')
  const two = await stage.prepare('two', patient)
  const told = countOffsetFetches(two)
  const started = two.test.worker.start()
  // Unchanged it runs, and does the work itself; in the wrong build it waits for stable offsets.
  let runs = false
  started.then(
    () => {
      runs = true
    },
    () => {},
  )
  await eventually(() => runs || told() > 1)
  if (runs) await stage.drained()
  gate.open()
  await started
  taken.resolve()
  one.proxy.rules = {}
}
