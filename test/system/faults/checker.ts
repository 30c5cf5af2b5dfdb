// What has to hold whatever happened to the workers, as pure functions over what the Java consumer read, what lies on the
// disks and what the workers logged. The letters are those of docs/faults.md.
import type { JudgedRecord, PartitionOffsets, TransactionListing } from '../../support/judge.ts'
import {
  type Finding,
  fold,
  lastCopies,
  type StoredTask,
  storeFindings,
  textOf,
} from '../support/evidence.ts'
import type { WentBack } from '../support/offset-watch.ts'
import type { WorkerLogLine } from '../support/worker-process.ts'
import {
  abortedMark,
  type Effect,
  type Expected,
  expectedOf,
  type InputOp,
  nameOf,
  type Op,
  sourceHeader,
  writerHeader,
} from './ops.ts'
import type { TornTransaction } from './transactions.ts'

export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'I8' | 'I9' | 'I10' | 'I11'

export interface Violation extends Finding {
  readonly invariant: Invariant
  /** Id of the input record that it is about, where there is one. */
  readonly op?: string | undefined
}

/** One topic as two readers see it. */
export interface TopicDump {
  readonly topic: string
  /** read_committed */
  readonly committed: readonly JudgedRecord[]
  /** read_uncommitted */
  readonly all: readonly JudgedRecord[]
  readonly offsets: readonly PartitionOffsets[]
}

export interface Snapshot {
  /** When, and whose disk. */
  readonly when: string
  readonly stored: StoredTask<string>
}

export interface Evidence {
  readonly ops: TopicDump
  readonly effects: TopicDump
  readonly credits: TopicDump
  /** By name of the store. */
  readonly changelogs: ReadonlyMap<string, TopicDump>
  /** Of every worker, at the end. */
  readonly stores: readonly Snapshot[]
  /** Of dead workers, on the way. */
  readonly snapshots: readonly Snapshot[]
  /** Committed positions: `<topic>/<partition>`. */
  readonly committed: ReadonlyMap<string, number>
  /** Transactions of which only a part came through. */
  readonly torn: readonly TornTransaction[]
  /** What was seen on the way. */
  readonly wentBack: readonly WentBack[]
  /** Of this application alone. */
  readonly transactions: readonly TransactionListing[]
  readonly log: readonly WorkerLogLine[]
  readonly drain: { readonly tookMs: number; readonly boundMs: number }
  readonly predicted: Predicted
}

/** What a scenario knows beforehand. */
export interface Predicted {
  /** Stores that are rebuilt: at least, at most. */
  readonly rebuilt: readonly [number, number]
  /** Recoveries and re-joins that the workers log. */
  readonly recovered?: readonly [number, number]
  /**
   * cut: records were lost with a changelog, so stores are held against what it holds now and not against the inputs;
   * compacted: it no longer shows what an older copy of a store held.
   */
  readonly changelogs?: 'cut' | 'compacted'
  /** Transactions of one producer share an epoch (transaction version 1), so they cannot be told from the logs. */
  readonly epochs?: 'shared'
  /** Offsets of the group go back, because somebody took them away. */
  readonly offsets?: 'set back'
}

const violation = (
  invariant: Invariant,
  key: string,
  expected: unknown,
  found: unknown,
  op?: string,
): Violation => ({ invariant, key, expected, found, op })

const as = (invariant: Invariant, findings: readonly Finding[]): Violation[] =>
  findings.map((finding) => ({ invariant, ...finding }))

const headerOf = ({ headers }: JudgedRecord, name: string): string | undefined => {
  const found = headers.find(([key]) => key === name)?.[1]
  return found === undefined || found === null ? undefined : found.toString('utf8')
}

interface SeenEffect {
  readonly key: string
  readonly name: string
  readonly op: string
  readonly result: string | undefined
  /** Topic, partition and offset of the record behind it; undefined where a timer fired. */
  readonly source: readonly [topic: string, partition: number, offset: number] | undefined
  readonly writer: string
  readonly partition: number
  readonly offset: number
}

const seenOf = (record: JudgedRecord): SeenEffect => {
  const effect = JSON.parse(textOf(record.value)) as Effect
  const [topic, partition, offset] = headerOf(record, sourceHeader)?.split('/') ?? []
  return {
    key: textOf(record.key),
    name: nameOf(effect),
    op: effect.id,
    result: effect.result === undefined ? undefined : JSON.stringify(effect.result),
    source: topic === undefined ? undefined : [topic, Number(partition), Number(offset)],
    writer: headerOf(record, writerHeader) ?? '(nobody)',
    partition: record.partition,
    offset: record.offset,
  }
}

const placeOf = ({ partition, offset }: { partition: number; offset: number }): string =>
  `${partition}@${offset}`

const inputsOf = (ops: TopicDump): InputOp[] =>
  ops.committed.map(({ key, value, partition, offset }) => ({
    key: textOf(key),
    op: JSON.parse(textOf(value)) as Op,
    partition,
    offset,
  }))

/**
 * I1: each committed input has exactly its outputs, and nothing else has one.
 * @param timersLost a timer that was lost with its changelog has no output
 */
const onceEach = (expected: Expected, seen: readonly SeenEffect[], timersLost: boolean): Violation[] => {
  const places = new Map<string, string[]>()
  for (const one of seen) {
    const list = places.get(one.name) ?? []
    list.push(`${placeOf(one)} by ${one.writer}`)
    places.set(one.name, list)
  }
  const found: Violation[] = []
  for (const { name, source } of expected.effects) {
    const list = places.get(name) ?? []
    places.delete(name)
    if (list.length === 1 || (timersLost && list.length === 0 && source.op.kind === 'timer')) continue
    const key = `output ${name} of the input at ${placeOf(source)}`
    found.push(violation('I1', key, 'once', list.length === 0 ? 'none' : list.join(', '), source.op.id))
  }
  for (const [name, list] of places)
    found.push(
      violation('I1', `output ${name}`, 'no such output', list.join(', '), name.slice(0, name.indexOf('/'))),
    )
  return found
}

/** I2: the committed position is the end of the input, behind the last marker. */
const positions = ({ ops, credits, committed }: Evidence): Violation[] =>
  [ops, credits].flatMap(({ topic, offsets }) =>
    offsets.flatMap(({ partition, highWatermark }) => {
      const position = committed.get(`${topic}/${partition}`)
      return position === highWatermark
        ? []
        : [violation('I2', `committed offset of ${topic}-${partition}`, highWatermark, position ?? 'none')]
    }),
  )

const compare = (
  what: string,
  expected: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): Violation[] =>
  [...new Set([...expected.keys(), ...found.keys()])]
    .filter((key) => expected.get(key) !== found.get(key))
    .map((key) =>
      violation('I3', `${what}, key ${key}`, expected.get(key) ?? 'absent', found.get(key) ?? 'absent'),
    )

/** I3: store == fold of the changelog == fold of the inputs; results of the outputs are those of the fold. */
const sameState = (evidence: Evidence, expected: Expected, seen: readonly SeenEffect[]): Violation[] => {
  const { changelogs, stores, snapshots, predicted } = evidence
  const found: Violation[] = []
  const last = lastCopies(stores.map(({ stored }) => stored))
  for (const [name, { committed }] of changelogs) {
    const folded = fold(committed, textOf)
    const wanted = expected.stores.get(name) ?? new Map<string, string>()
    if (predicted.changelogs !== 'cut') found.push(...compare(`changelog of ${name}`, wanted, folded))
    const stored = last.filter(({ store }) => store === name).flatMap(({ values }) => [...values])
    found.push(...compare(`store ${name} against its changelog`, folded, new Map(stored)))
  }
  if (predicted.changelogs === 'cut') return found
  for (const { when, stored } of predicted.changelogs === 'compacted' ? [] : [...snapshots, ...stores]) {
    const changelog = changelogs.get(stored.store)?.committed ?? []
    found.push(...as('I3', storeFindings(stored, changelog, when, textOf)))
  }
  const results = new Map(expected.effects.map(({ name, result }) => [name, result]))
  for (const one of seen) {
    const result = results.get(one.name)
    if (result === undefined || result === one.result) continue
    found.push(
      violation(
        'I3',
        `result of ${one.name} at ${placeOf(one)} by ${one.writer}`,
        result,
        one.result,
        one.op,
      ),
    )
  }
  return found
}

/** I4: the outputs of a key come in the order of their inputs. */
const inOrder = (seen: readonly SeenEffect[]): Violation[] => {
  const last = new Map<string, SeenEffect>()
  const found: Violation[] = []
  for (const one of seen) {
    if (one.source === undefined) continue
    const [topic, partition, offset] = one.source
    const id = `${one.key} ${topic}-${partition}`
    const before = last.get(id)
    last.set(id, one)
    if (before?.source === undefined || before.source[2] <= offset) continue
    const key = `output ${one.name} at ${placeOf(one)} of input ${offset}, key ${one.key}`
    found.push(violation('I4', key, `an input from ${before.source[2]} on`, `after ${before.name}`, one.op))
  }
  return found
}

/** I5: nothing of an aborted transaction is seen by a reader of committed data, a store, or the worker itself. */
const nothingAborted = ({ ops, effects, credits, changelogs, stores, snapshots }: Evidence): Violation[] => {
  const found: Violation[] = []
  const look = (topic: string, how: string, records: readonly JudgedRecord[]): void => {
    for (const record of records) {
      if (!`${textOf(record.key)} ${textOf(record.value)}`.includes(abortedMark)) continue
      const key = `${topic} ${how} at ${placeOf(record)}`
      found.push(violation('I5', key, `nothing ${abortedMark}`, textOf(record.value)))
    }
  }
  look(ops.topic, 'read_committed', ops.committed)
  for (const { topic, committed, all } of [effects, credits, ...changelogs.values()]) {
    look(topic, 'read_committed', committed)
    // What the worker itself aborted must not come from a record that it may not see, either.
    look(topic, 'read_uncommitted', all)
  }
  for (const { when, stored } of [...snapshots, ...stores]) {
    for (const [key, value] of stored.values) {
      if (!`${key} ${value}`.includes(abortedMark)) continue
      found.push(violation('I5', `store ${stored.store} of ${stored.taskId} ${when}`, 'nothing', key))
    }
  }
  return found
}

/** I6: all parts of a transaction (outputs, changelogs, offsets) are committed, or none. */
const allOrNothing = ({ torn }: Evidence): Violation[] =>
  torn.map(({ transaction, what }) =>
    violation('I6', `transaction ${transaction}`, 'all of it or nothing', what),
  )

/**
 * I7: of each input partition the processes own ranges that follow each other. Outputs of one input partition in one
 * output partition, in the order of the log: whoever comes next begins behind where the last one ended.
 */
const ownersInTurn = (seen: readonly SeenEffect[]): Violation[] => {
  const last = new Map<string, { readonly writer: string; readonly offset: number }>()
  const found: Violation[] = []
  for (const one of seen) {
    if (one.source === undefined) continue
    const [topic, partition, offset] = one.source
    const id = `${topic}-${partition} to ${one.partition}`
    const before = last.get(id)
    if (before !== undefined && before.writer !== one.writer && offset <= before.offset) {
      const key = `${one.name} at ${placeOf(one)} of ${topic} ${partition}@${offset}, written by ${one.writer}`
      found.push(
        violation(
          'I7',
          key,
          `an input behind ${before.offset}`,
          `after ${before.writer} had done that`,
          one.op,
        ),
      )
    }
    const end = before?.writer === one.writer ? Math.max(before.offset, offset) : offset
    last.set(id, { writer: one.writer, offset: Math.max(end, before?.offset ?? -1) })
  }
  return found
}

const sum = (values: Iterable<string>): number =>
  [...values].reduce((total, value) => total + Number(value), 0)

/** I8: what was paid is received, in the stores and in their changelogs. */
const nothingLostOnTheWay = ({ stores, changelogs, predicted }: Evidence): Violation[] => {
  if (predicted.changelogs === 'cut') return []
  const last = lastCopies(stores.map(({ stored }) => stored))
  const inStores = (name: string): number =>
    sum(last.filter(({ store }) => store === name).flatMap(({ values }) => [...values.values()]))
  const inChangelog = (name: string): number =>
    sum(fold(changelogs.get(name)?.committed ?? [], textOf).values())
  return [
    ['stores', inStores('paid'), inStores('received')] as const,
    ['changelogs', inChangelog('paid'), inChangelog('received')] as const,
  ]
    .filter(([, paid, received]) => paid !== received)
    .map(([what, paid, received]) => violation('I8', `received in all ${what}`, paid, received))
}

/** I9: a committed position never goes back. */
const positionsOnlyGrow = ({ wentBack, predicted }: Evidence): Violation[] =>
  predicted.offsets === 'set back'
    ? []
    : wentBack.map(({ topic, partition, from, to }) =>
        violation('I9', `committed offset of ${topic}-${partition}`, `${from} or more`, to),
      )

/** I10: after the faults everything goes on in bounded time, and no transaction is open. */
const alive = ({ ops, effects, credits, changelogs, transactions, drain }: Evidence): Violation[] => {
  const found: Violation[] = []
  if (drain.tookMs > drain.boundMs)
    found.push(
      violation('I10', 'time until all inputs were processed', `${drain.boundMs} ms`, `${drain.tookMs} ms`),
    )
  for (const { topic, offsets } of [ops, effects, credits, ...changelogs.values()]) {
    for (const { partition, lastStable, highWatermark } of offsets) {
      if (lastStable !== highWatermark)
        found.push(violation('I10', `last stable offset of ${topic}-${partition}`, highWatermark, lastStable))
    }
  }
  const isOpen = ({ state }: TransactionListing): boolean => !/^(Empty|Complete|Dead)/.test(state)
  for (const { transactionalId, state } of transactions.filter(isOpen))
    found.push(violation('I10', `transaction of ${transactionalId}`, 'none open', state))
  return found
}

const rebuildText = 'a store is rebuilt from its changelog'
const recoveryTexts = ['the worker recovers', 'the membership is over']

const within = (what: string, count: number, [least, most]: readonly [number, number]): Violation[] =>
  count >= least && count <= most
    ? []
    : [violation('I11', what, least === most ? least : `${least} to ${most}`, count)]

/** I11: stores are rebuilt, and workers recover, as often as the scenario predicts; no assertion failed. */
const asPredicted = ({ log, predicted }: Evidence): Violation[] => {
  const count = (texts: readonly string[]): number => log.filter(({ text }) => texts.includes(text)).length
  const broken = log.filter((line) => JSON.stringify(line).includes('INVARIANT_BROKEN'))
  return [
    ...within('stores rebuilt', count([rebuildText]), predicted.rebuilt),
    ...(predicted.recovered === undefined
      ? []
      : within('recoveries', count(recoveryTexts), predicted.recovered)),
    ...broken.map((line) =>
      violation('I11', 'assertions of the worker', 'none failed', JSON.stringify(line)),
    ),
  ]
}

/** Everything that is not as it has to be; empty where all is well. */
export const check = (evidence: Evidence): Violation[] => {
  const expected = expectedOf(inputsOf(evidence.ops))
  const seen = evidence.effects.committed.map(seenOf)
  return [
    ...onceEach(expected, seen, evidence.predicted.changelogs === 'cut'),
    ...positions(evidence),
    ...sameState(evidence, expected, seen),
    ...inOrder(seen),
    ...nothingAborted(evidence),
    ...allOrNothing(evidence),
    ...ownersInTurn(seen),
    ...nothingLostOnTheWay(evidence),
    ...positionsOnlyGrow(evidence),
    ...alive(evidence),
    ...asPredicted(evidence),
  ]
}

/** Where an input and all that came of it stand, in all topics, also what was aborted. */
const traceOf = (id: string, { ops, effects, credits, changelogs }: Evidence): string[] =>
  [ops, credits, effects, ...changelogs.values()].flatMap(({ topic, committed, all }) => {
    const kept = new Set(committed.map(placeOf))
    return all
      .filter(({ key, value }) => `${textOf(key)} ${textOf(value)}`.includes(`${id}"`) || textOf(key) === id)
      .map((record) => {
        const outcome = kept.has(placeOf(record)) ? 'committed' : 'aborted'
        const writer = headerOf(record, writerHeader)
        const by =
          writer === undefined ? '' : ` by ${writer} from ${headerOf(record, sourceHeader) ?? 'a timer'}`
        return `    ${topic} ${placeOf(record)} ${outcome}${by}: ${textOf(record.value)}`
      })
  })

const shownMax = 12
const tracedMax = 3

/** One report for a person: what is violated, by which record, and where that record can be found. */
export const explain = (violations: readonly Violation[], evidence: Evidence): string[] => {
  const perInvariant = new Map<Invariant, number>()
  for (const { invariant } of violations) perInvariant.set(invariant, (perInvariant.get(invariant) ?? 0) + 1)
  const lines = [`violated: ${[...perInvariant].map(([name, count]) => `${name} ${count} times`).join(', ')}`]
  const shown: Violation[] = []
  for (const one of violations) {
    const same = shown.filter(({ invariant }) => invariant === one.invariant).length
    if (same < Math.ceil(shownMax / perInvariant.size)) shown.push(one)
  }
  for (const { invariant, key, expected, found } of shown)
    lines.push(`  ${invariant} ${key}: expected ${String(expected)}, found ${String(found)}`)
  const ids = new Set(shown.flatMap(({ op }) => (op === undefined ? [] : [op])))
  for (const id of [...ids].slice(0, tracedMax)) lines.push(`  all of ${id}:`, ...traceOf(id, evidence))
  return lines
}
