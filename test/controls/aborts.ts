// Scenarios of one worker whose transaction does not end as it should: refused, unanswered, or answered with an error.
import { setTimeout as sleep } from 'node:timers/promises'
import { LostCommit, refuseOffsets } from '../support/lost-commit.ts'
import { apiKeys, limitVersion, type ProxyRules } from '../support/proxy.ts'
import { eventually, type Life, type Stage } from './stage.ts'

/** The next TxnOffsetCommit is answered with an error, so that its transaction is aborted. */
const refuseNext = (life: Life, times = 1): void => {
  let left = times
  life.proxy.rules = {
    answer: ({ apiKey }, answer) =>
      apiKey === apiKeys.TxnOffsetCommit && left-- > 0 ? { replaceBy: refuseOffsets(answer) } : 'pass',
  }
}

export const abortOnce = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  refuseNext(one)
  await stage.fedAndDrained()
}

/** No transaction commits any more, and the worker closes: what its disk holds then must be what is committed. */
export const abortAndClose = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  refuseNext(one, Number.POSITIVE_INFINITY)
  await stage.feed()
  await eventually(() => one.said('the transaction is aborted') > 0)
  await one.close()
  await stage.checkStores()
  await stage.start('one')
}

/** One transaction over every partition is aborted. */
export const abortOfSeveralTasks = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  one.test.worker.pause()
  let fetched = 0
  one.proxy.rules = {
    answer: ({ apiKey }) => {
      if (apiKey === apiKeys.Fetch) fetched++
      return 'pass'
    },
  }
  await stage.feed()
  // A paused worker goes on fetching: whatever was asked for after the feed has the records of every partition.
  const before = fetched
  await eventually(() => fetched > before + 2)
  refuseNext(one)
  one.test.worker.resume()
  await stage.drained()
}

export const abortWithPrefetch = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  const gate = Promise.withResolvers<void>()
  let asked = false
  let refused = false
  let last = '-'
  let fetched = false
  one.proxy.rules = {
    request: ({ apiKey }) => {
      if (apiKey !== apiKeys.TxnOffsetCommit || asked) return 'pass'
      asked = true
      return { until: gate.promise }
    },
    answer: ({ apiKey }, answer) => {
      if (apiKey === apiKeys.Fetch && answer.includes(last)) fetched = true
      if (apiKey !== apiKeys.TxnOffsetCommit || refused) return 'pass'
      refused = true
      return { replaceBy: refuseOffsets(answer) }
    },
  }
  await stage.feed()
  await eventually(() => asked)
  last = `v${stage.app.fed + 1}`
  await stage.feed()
  await eventually(() => fetched)
  // The answer has passed the proxy; the worker takes a moment to read it.
  await sleep(200)
  gate.resolve()
  await stage.drained()
}

export const unknownOutcome = async (stage: Stage): Promise<void> => {
  const one = await stage.start('one')
  await stage.fedAndDrained()
  const trouble = new LostCommit('applied')
  one.proxy.rules = {
    request: (request) => trouble.request(request),
    answer: (request, answer) => trouble.answer(request, answer),
  }
  trouble.state = 'armed'
  await stage.fedAndDrained()
}

/**
 * The answer to Produce v9+, with UNKNOWN_SERVER_ERROR for its first partition: correlation id int32 · tags
 * · topics [ name string · partitions [ index int32 · error_code int16 · …
 */
const nameAt = 6
const failProduce = (answer: Buffer): Buffer => {
  const failed = Buffer.from(answer)
  failed.writeInt16BE(-1, nameAt + answer.readUInt8(nameAt) + 5)
  return failed
}

/** Of the topic that an answer to Produce names first. */
const firstTopic = (answer: Buffer): string =>
  answer.toString('utf8', nameAt + 1, nameAt + answer.readUInt8(nameAt))

export const failedProduce = async (stage: Stage): Promise<void> => {
  const one = await stage.prepare('one')
  let armed = false
  const rules: ProxyRules = {
    answer: ({ apiKey }, answer) => {
      // Without TxnOffsetCommit v5 there is no transaction version 2, where each transaction has an epoch of its own.
      if (apiKey === apiKeys.ApiVersions)
        return { replaceBy: limitVersion(answer, apiKeys.TxnOffsetCommit, 4) }
      if (!armed || apiKey !== apiKeys.Produce || firstTopic(answer) !== stage.app.output) return 'pass'
      armed = false
      return { replaceBy: failProduce(answer) }
    },
  }
  one.proxy.rules = rules
  await one.test.worker.start()
  await stage.fedAndDrained()
  armed = true
  await stage.fedAndDrained()
  if (armed) throw new Error('no produce was answered with an error')
}

/** One producer, three transactions, the first and the last of them aborted; all of it lies in one fetch. */
export const abortedInput = async (stage: Stage): Promise<void> => {
  const { app, judge } = stage
  const transactionalId = `${app.applicationId}-source`
  const producer = await judge.openProducer({ transactionalId })
  const rounds = [
    { values: ['a1', 'a2'], commit: false },
    { values: ['c1', 'c2', 'c3'], commit: true },
    { values: ['a3', 'a4'], commit: false },
  ]
  for (const { values, commit } of rounds) {
    await producer.begin()
    await producer.send(
      app.input,
      values.map((value) => ({ partition: 0, key: 'k0', value })),
    )
    await (commit ? producer.commit() : producer.abort())
  }
  await producer.close()
  await stage.start('one')
  await stage.drained()
}
