// What has to hold after a soak, as pure functions over what was seen while it ran and at its end. The letters are those
// of docs/faults.md.
import type { SteadyFeedState } from '../../support/judge-streams.ts'
import type { PartitionOffsets, TransactionListing } from '../../support/judge.ts'
import type { WentBack } from '../support/offset-watch.ts'
import type { ProcessSample } from '../support/process-sample.ts'
import type { WorkerLogLine } from '../support/worker-process.ts'
import { growthOf } from './growth.ts'
import type { PartitionSequence } from './sequence.ts'

export interface Kill {
  readonly worker: number
  /** Of its transaction, as the broker answered between the kill and the next start. */
  readonly transaction: string
}

export interface TopicEnds {
  readonly topic: string
  readonly offsets: readonly PartitionOffsets[]
}

export interface SoakEvidence {
  readonly rate: number
  readonly fedSeconds: number
  readonly fed: SteadyFeedState
  readonly sequences: readonly PartitionSequence[]
  readonly input: TopicEnds
  readonly others: readonly TopicEnds[]
  /** Committed positions of the input, by partition. */
  readonly committed: ReadonlyMap<number, number>
  readonly changelog: ReadonlyMap<string, number>
  readonly stores: ReadonlyMap<string, number>
  /** Of this application alone. */
  readonly transactions: readonly TransactionListing[]
  readonly workers: number
  readonly kills: readonly Kill[]
  /** Ends of processes that were not killed and not asked to close, or did not close in good order. */
  readonly ends: readonly string[]
  readonly log: readonly WorkerLogLine[]
  readonly looks: number
  readonly wentBack: readonly WentBack[]
  /** Of the worker that lives through the whole run. */
  readonly samples: readonly ProcessSample[]
  readonly drain: { readonly tookMs: number; readonly boundMs: number }
}

export interface Verdict {
  readonly what: string
  /** undefined: the run was too short, or this is no Linux. */
  readonly isGood: boolean | undefined
  /** What was found; lines behind the first one explain. */
  readonly text: string
}

/** Shorter runs say nothing about memory: Node takes what it is given before it collects. */
const memoryJudgedFromMs = 300_000
const memoryAllowanceBytes = 10e6
/** Connections that happen to be there or not. */
const handlesAllowance = 4
const openShareMin = 0.7
const killsJudgedFrom = 10
const rateShareMin = 0.95
const shownMax = 5
const shownSamples = 10

const sum = (numbers: Iterable<number>): number => {
  let total = 0
  for (const one of numbers) total += one
  return total
}

const verdict = (what: string, wrong: readonly string[], text: string): Verdict => ({
  what,
  isGood: wrong.length === 0,
  text: [text, ...wrong.slice(0, shownMax).map((line) => `  ${line}`)].join('\n'),
})

const inputRate = ({ rate, fed, fedSeconds }: SoakEvidence): Verdict => {
  const reached = fed.committed / fedSeconds
  const wrong = [
    ...(reached < rate * rateShareMin ? [`asked for ${rate}; try a smaller --rate on this machine`] : []),
    ...(fed.error === undefined ? [] : [fed.error]),
  ]
  const text = `${Math.round(reached)} committed records a second for ${Math.round(fedSeconds)} s, and ${fed.aborted} in aborted transactions`
  return verdict('input rate', wrong, text)
}

const sequence = ({ sequences, fed }: SoakEvidence): Verdict => {
  const inputs = sum(sequences.map((one) => one.inputs))
  const outputs = sum(sequences.map((one) => one.matched))
  const wrong = sequences.flatMap(({ violation }) => violation ?? [])
  if (inputs !== fed.committed) wrong.push(`${fed.committed} were committed by the producers`)
  return verdict(
    'I1 I4 I5 nothing lost, nothing twice, in order',
    wrong,
    `${inputs} inputs, ${outputs} outputs`,
  )
}

const positions = ({ input, committed }: SoakEvidence): Verdict => {
  const wrong = input.offsets
    .filter(({ partition, highWatermark }) => committed.get(partition) !== highWatermark)
    .map(
      ({ partition, highWatermark }) =>
        `partition ${partition}: ${committed.get(partition)} of ${highWatermark}`,
    )
  return verdict('I2 committed offset = end of the input', wrong, `${input.offsets.length} partitions`)
}

const state = ({ sequences, changelog, stores }: SoakEvidence): Verdict => {
  const expected = new Map(sequences.flatMap(({ counts }) => [...counts]))
  const wrong: string[] = []
  for (const [what, found] of [
    ['changelog', changelog],
    ['stores', stores],
  ] as const) {
    for (const key of new Set([...expected.keys(), ...found.keys()])) {
      if (expected.get(key) === found.get(key)) continue
      wrong.push(`${what}, key ${key}: expected ${expected.get(key)}, found ${found.get(key)}`)
    }
  }
  return verdict('I3 stores = changelog = inputs', wrong, `${expected.size} keys`)
}

const offsetsOnlyGrow = ({ looks, wentBack }: SoakEvidence): Verdict =>
  verdict(
    'I9 no position went back',
    wentBack.map(({ partition, from, to }) => `partition ${partition}: from ${from} to ${to}`),
    `${looks} looks`,
  )

const nothingOpen = ({ input, others, transactions, drain, workers }: SoakEvidence): Verdict => {
  const wrong = [input, ...others].flatMap(({ topic, offsets }) =>
    offsets
      .filter(({ highWatermark, lastStable }) => highWatermark !== lastStable)
      .map(
        ({ partition, highWatermark, lastStable }) =>
          `${topic}-${partition}: stable to ${lastStable} of ${highWatermark}`,
      ),
  )
  for (const { transactionalId, state: found } of transactions)
    if (!/^(Empty|Complete|Dead)/.test(found)) wrong.push(`${transactionalId}: ${found}`)
  if (transactions.length > workers)
    wrong.push(`${transactions.length} transactional ids of ${workers} workers`)
  if (drain.tookMs > drain.boundMs) wrong.push(`that took longer than ${drain.boundMs} ms`)
  const text = `all is processed ${drain.tookMs} ms after the end of the input`
  return verdict('I10 no transaction is left open', wrong, text)
}

const asPlanned = ({ log, ends, kills }: SoakEvidence): Verdict => {
  const wrong = [...ends]
  for (const line of log) {
    const { text } = line
    if (text.includes('is rebuilt') || text === 'the worker failed') wrong.push(JSON.stringify(line))
    else if (JSON.stringify(line).includes('INVARIANT_BROKEN')) wrong.push(JSON.stringify(line))
  }
  return verdict('I11 nothing rebuilt, nobody failed', wrong, `${kills.length} kills`)
}

const killsInside = ({ kills }: SoakEvidence): Verdict => {
  const states = new Map<string, number>()
  for (const { transaction } of kills) states.set(transaction, (states.get(transaction) ?? 0) + 1)
  const open = states.get('Ongoing') ?? 0
  const share = open / kills.length
  return {
    what: `kills inside an open transaction, at least ${openShareMin * 100}%`,
    isGood: kills.length < killsJudgedFrom ? undefined : share >= openShareMin,
    text: `${open} of ${kills.length} (${[...states].map(([name, count]) => `${name} ${count}`).join(', ')})`,
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`

const flat = ({ samples }: SoakEvidence): Verdict[] => {
  const ranMs = (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0)
  const one = (
    what: string,
    of: (sample: ProcessSample) => number,
    allowance: number,
    shown: (value: number) => string,
    isJudged: boolean,
  ): Verdict => {
    const growth = growthOf(samples, of, allowance)
    const every = Math.ceil(samples.length / shownSamples)
    const way = samples.filter((_, index) => index % every === 0).map((sample) => shown(of(sample)))
    const text =
      growth === undefined
        ? 'too few samples'
        : `${way.join(', ')}; medians of the third and the last quarter ${shown(growth.before)} and ${shown(growth.after)}, flat up to ${shown(allowance)} more`
    return { what, isGood: isJudged ? growth?.isFlat : undefined, text }
  }
  const memory = one(
    'I12 memory of the survivor is flat',
    ({ memoryBytes }) => memoryBytes,
    memoryAllowanceBytes,
    megabytes,
    ranMs >= memoryJudgedFromMs,
  )
  const handles = one(
    'I12 file handles of the survivor are flat',
    (sample) => sample.handles,
    handlesAllowance,
    String,
    true,
  )
  return [memory, handles]
}

export const verdictsOf = (evidence: SoakEvidence): Verdict[] => [
  inputRate(evidence),
  sequence(evidence),
  positions(evidence),
  state(evidence),
  offsetsOnlyGrow(evidence),
  nothingOpen(evidence),
  asPlanned(evidence),
  killsInside(evidence),
  ...flat(evidence),
]
