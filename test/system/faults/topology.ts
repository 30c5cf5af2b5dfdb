// The application that the faults are aimed at: every kind of work that can go wrong by itself, in two sub-topologies.
// Each output says which record it comes from and which process wrote it.
import process from 'node:process'
import {
  json,
  output,
  processor,
  store,
  StreamRecord,
  string,
  topic,
  type Topology,
  topology,
} from 'millstream'
import {
  type Credit,
  creditsTopic,
  type Effect,
  inputTopic,
  type List,
  type Op,
  outputTopic,
  sourceHeader,
  writerHeader,
} from './ops.ts'

/** Set by the process that runs us. */
export const writerVariable = 'MILLSTREAM_WRITER'
/** Settings of every changelog, as JSON. */
export const changelogVariable = 'MILLSTREAM_CHANGELOG'

interface Timer {
  readonly dueMs: number
  readonly key: string
}

const ops = topic(inputTopic, { key: string, value: json<Op>() })
const effects = topic(outputTopic, { key: string, value: json<Effect>() })

interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

interface RecordHeader {
  readonly key: string
  readonly value: Buffer
}

const timerIntervalMs = 250

/**
 * @param writer stands in every output
 * @param changelog settings of every changelog
 * @param wallClockTimers timers fire also while there is no input
 */
export const faultsTopology = (
  writer: string,
  changelog: Readonly<Record<string, string>> = {},
  wallClockTimers = false,
): Topology => {
  const counts = store('counts', { key: string, value: json<number>(), changelog })
  const paid = store('paid', { key: string, value: json<number>(), changelog })
  const lists = store('lists', { key: string, value: json<List>(), changelog })
  const timers = store('timers', { key: string, value: json<Timer>(), changelog })
  const received = store('received', { key: string, value: json<number>(), changelog })
  const by: RecordHeader = { key: writerHeader, value: Buffer.from(writer) }
  const evidence = (place: Place | undefined): RecordHeader[] =>
    place === undefined
      ? [by]
      : [{ key: sourceHeader, value: Buffer.from(`${place.topic}/${place.partition}/${place.offset}`) }, by]

  const apply = processor({
    name: 'apply',
    stores: { counts, paid, lists, timers },
    outputs: { effect: output<string, Effect>(), credit: output<string, Credit>() },
    init({ schedule, stores, forward }) {
      const fire = (timestamp: number): void => {
        const due = [...stores.timers.all()].filter(({ value }) => value.dueMs <= timestamp)
        for (const { key: id, value } of due) {
          stores.timers.delete(id)
          const effect = { id, part: 'fired' }
          forward(
            'effect',
            StreamRecord.of<string, Effect>({
              key: value.key,
              value: effect,
              timestamp,
              headers: evidence(undefined),
            }),
          )
        }
      }
      schedule(timerIntervalMs, 'stream-time', fire)
      if (wallClockTimers) schedule(timerIntervalMs, 'wall-clock', fire)
    },
    process(record: StreamRecord<string, Op>, { stores, forward, metadata }) {
      const { key, value: op } = record
      const source = record.withHeaders(evidence(metadata))
      const put = (part: string, result?: unknown): void =>
        forward('effect', source.withValue<Effect>({ id: op.id, part, result }))
      if (op.kind === 'copy') for (let copy = 0; copy < op.copies; copy++) put(`copy-${copy}`, copy)
      else if (op.kind === 'count') {
        const count = (stores.counts.get(key) ?? 0) + 1
        stores.counts.put(key, count)
        put('count', count)
      } else if (op.kind === 'delete') {
        put('delete', stores.counts.get(key) ?? 0)
        stores.counts.delete(key)
      } else if (op.kind === 'append') {
        const before = stores.lists.get(key)
        const length = (before?.length ?? 0) + 1
        stores.lists.put(key, { length, last: op.id })
        put('append', { length, before: before?.last ?? null })
      } else if (op.kind === 'transfer') {
        const total = (stores.paid.get(key) ?? 0) + op.amount
        stores.paid.put(key, total)
        put('paid', total)
        forward('credit', record.withKey(op.to).withValue<Credit>({ id: op.id, amount: op.amount }))
      } else if (op.kind === 'timer') {
        stores.timers.put(op.id, { dueMs: record.timestamp + op.delayMs, key })
      } else put('probe')
    },
  })

  const credit = processor({
    name: 'credit',
    stores: { received },
    outputs: output<string, Effect>(),
    process(record: StreamRecord<string, Credit>, { stores, forward, metadata }) {
      const total = (stores.received.get(record.key) ?? 0) + record.value.amount
      stores.received.put(record.key, total)
      const effect = { id: record.value.id, part: 'received', result: total }
      forward(record.withHeaders(evidence(metadata)).withValue<Effect>(effect))
    },
  })

  return topology('faults', (t) => {
    const applied = t.stream(ops).process(apply)
    applied.effect.to(effects)
    applied.credit
      .repartition({ name: creditsTopic, key: string, value: json<Credit>() })
      .process(credit)
      .to(effects)
  })
}

export default faultsTopology(
  process.env[writerVariable] ?? 'nobody',
  JSON.parse(process.env[changelogVariable] ?? '{}') as Readonly<Record<string, string>>,
)
