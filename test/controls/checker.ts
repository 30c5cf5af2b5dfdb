// The checker of the negative controls: reads everything with the Java consumer, the stores from the disk, and says which
// invariant is violated and by what. It knows nothing of the trouble that a scenario made.
import { numberOf, readStores, storeFindings } from '../system/support/evidence.ts'
import type { Judge, JudgedRecord } from '../support/judge.ts'
import { type Application, keyOf } from './application.ts'
import type { Invariant } from './expected.ts'

export interface Violation {
  readonly invariant: Invariant
  readonly evidence: string
}

/** An output of the application: the number that its store gave, the value, and who made it. */
interface Effect {
  readonly number: number
  readonly value: string
  readonly by: string
}

const textOf = (bytes: Buffer | null): string => bytes?.toString('utf8') ?? ''

const effectOf = ({ value }: JudgedRecord): Effect => {
  const [number, text = '', by = ''] = textOf(value).split(':')
  return { number: Number(number), value: text, by }
}

const some = (values: readonly string[]): string =>
  values.length > 6 ? `${values.slice(0, 6).join(' ')} … (${values.length})` : values.join(' ')

/** Committed offset of each input partition; -1 where there is none. */
export const committedOffsets = async (judge: Judge, app: Application): Promise<number[]> => {
  const found = await judge.groupOffsets(app.applicationId)
  return Array.from(
    { length: app.partitions },
    (_, partition) =>
      found.find((one) => one.topic === app.input && one.partition === partition)?.offset ?? -1,
  )
}

const storedNumber = (changelog: readonly JudgedRecord[], key: string): number =>
  changelog
    .filter((record) => textOf(record.key) === key)
    .reduce((_, { value }) => Number(value?.readBigInt64BE() ?? 0), 0)

/** One partition of the input, in the order of its offsets, and what became of it. */
interface Partition {
  readonly inputs: readonly { readonly offset: number; readonly value: string }[]
  /** Values that were written, and not committed. */
  readonly aborted: ReadonlySet<string>
  readonly committed: number
  readonly effects: readonly Effect[]
  readonly stored: number
}

const effectViolations = ({ inputs, aborted, committed, effects, stored }: Partition): Violation[] => {
  const found: Violation[] = []
  const say = (invariant: Invariant, evidence: string): void => void found.push({ invariant, evidence })
  const due = inputs.filter(({ offset }) => offset < committed)
  const times = new Map<string, number>()
  for (const { value } of effects) times.set(value, (times.get(value) ?? 0) + 1)
  const lost = due.filter(({ value }) => !times.has(value))
  const doubled = [...times].filter(([, count]) => count > 1).map(([value, count]) => `${value}×${count}`)
  if (lost.length > 0) say('I1', `lost: ${some(lost.map(({ value }) => value))}`)
  if (doubled.length > 0) say('I1', `more than once: ${some(doubled)}`)
  const places = new Map(inputs.map(({ value }, index) => [value, index]))
  const uncommitted = [...times.keys()].filter((value) => aborted.has(value))
  if (uncommitted.length > 0) say('I5', `aborted in the input, seen in the output: ${some(uncommitted)}`)
  const ahead = [...times.keys()].filter(
    (value) => (inputs[places.get(value) ?? -1]?.offset ?? -1) >= committed,
  )
  if (ahead.length > 0) say('I2', `committed offset ${committed}, but effects of ${some(ahead)}`)
  if (lost.length > 0) say('I2', `committed offset ${committed}, but no effect of offset ${lost[0]?.offset}`)
  const firsts = [...times.keys()].flatMap((value) => places.get(value) ?? [])
  if (firsts.some((place, index) => index > 0 && place < (firsts[index - 1] as number)))
    say('I4', `outputs in the order ${some([...times.keys()])}`)
  const misnumbered = effects.find(({ value, number }) => number !== (places.get(value) ?? -1) + 1)
  if (misnumbered !== undefined)
    say(
      'I3',
      `${misnumbered.value} was numbered ${misnumbered.number}: that store was not the fold of the inputs`,
    )
  if (stored !== due.length) say('I3', `${due.length} inputs are committed, the changelog says ${stored}`)
  return [
    ...found,
    ...ownershipViolations(effects.map((effect) => ({ ...effect, at: places.get(effect.value) ?? -1 }))),
  ]
}

/** Each time another life of a worker goes on, it begins above all that was done before. */
const ownershipViolations = (
  effects: readonly { readonly by: string; readonly at: number; readonly value: string }[],
): Violation[] => {
  let highest = -1
  let owner = ''
  for (const { by, at, value } of effects) {
    if (owner !== '' && by !== owner && at <= highest)
      return [
        { invariant: 'I7', evidence: `${by} went on at ${value}, which ${owner} or another had passed` },
      ]
    owner = by
    highest = Math.max(highest, at)
  }
  return []
}

/** What is wrong with outputs, changelog and offsets of an application that numbers. */
export const violationsOf = async (judge: Judge, app: Application): Promise<Violation[]> => {
  const read = async (topic: string): Promise<readonly JudgedRecord[]> => (await judge.dump(topic)).records
  const committed = await committedOffsets(judge, app)
  const inputs = await read(app.input)
  const written = (await judge.dump(app.input, { isolation: 'read_uncommitted' })).records
  const [outputs, changelog] = [await read(app.output), await read(app.changelog)]
  const valuesOf = (records: readonly JudgedRecord[], partition: number) =>
    records
      .filter((one) => one.partition === partition)
      .map(({ offset, value }) => ({ offset, value: textOf(value) }))
  return committed.flatMap((offset, partition) => {
    const mine = valuesOf(inputs, partition)
    const seen = new Set(mine.map(({ value }) => value))
    return effectViolations({
      inputs: mine,
      aborted: new Set(
        valuesOf(written, partition)
          .map(({ value }) => value)
          .filter((value) => !seen.has(value)),
      ),
      committed: offset,
      effects: outputs.filter(({ key }) => textOf(key) === keyOf(partition)).map(effectOf),
      stored: storedNumber(changelog, keyOf(partition)),
    })
  })
}

/** What is wrong with the ticks of a timer: 1, 2, 3, …, whoever counted. */
export const tickViolations = async (judge: Judge, app: Application): Promise<Violation[]> => {
  const effects = (await judge.dump(app.output)).records.map(effectOf)
  const found = ownershipViolations(
    effects.map(({ by, number }) => ({ by, at: number, value: `tick ${number}` })),
  )
  const numbers = effects.map(({ number }) => number)
  if (numbers.some((number, index) => number !== index + 1))
    found.push({ invariant: 'I1', evidence: `the ticks are ${some(numbers.slice(-12).map(String))}` })
  const stored = storedNumber((await judge.dump(app.changelog)).records, keyOf(0))
  if (stored !== numbers.length)
    found.push({ invariant: 'I3', evidence: `${numbers.length} ticks, the changelog says ${stored}` })
  return found
}

/** The stores of closed workers, as they lie on the disk, against the changelog up to their checkpoint. */
export const storeViolations = async (
  judge: Judge,
  app: Application,
  stateDirs: readonly string[],
): Promise<Violation[]> => {
  const changelog = (await judge.dump(app.changelog)).records
  return stateDirs
    .flatMap((directory) => readStores(directory, app.applicationId, numberOf))
    .flatMap((stored) => storeFindings(stored, changelog, 'on the disk', numberOf))
    .map(({ key, expected, found }) => ({ invariant: 'I3', evidence: `${key}: ${found}, not ${expected}` }))
}
