// What a change of a topology does to the state and the records that an earlier version of it left behind. Both are
// compared as descriptions, so that no broker is asked; state hangs on the names of stores, repartition topics and inputs.
import { MillstreamError } from '../errors.ts'
import { comparedReadOnly } from './compare-read-only.ts'
import {
  descriptionFormat,
  heldText,
  type InternalTopicDescription,
  type StoreDescription,
  type TopologyDescription,
} from './description.ts'

/**
 * lost: state or records that nothing will read any more; broken: what is there cannot be read, or the start is refused;
 * kept: it changed, and nothing is lost.
 */
export type Effect = 'lost' | 'broken' | 'kept'

export interface Difference {
  readonly topology: string
  readonly effect: Effect
  /** What changed, and what follows from it. */
  readonly what: string
  /** The way out. */
  readonly fix: string
}

type Finding = Omit<Difference, 'topology'>

interface PlacedStore extends StoreDescription {
  readonly subtopology: number
  /** The topics that its sub-topology reads, by their names in Kafka. */
  readonly inputs: readonly string[]
}

interface RepartitionFacts extends InternalTopicDescription {
  readonly key: string | undefined
  readonly value: string | undefined
}

/** A description by the names that state hangs on. */
interface Facts {
  readonly inputs: ReadonlySet<string>
  readonly stores: ReadonlyMap<string, PlacedStore>
  readonly repartitions: ReadonlyMap<string, RepartitionFacts>
}

const factsOf = ({ subtopologies, internalTopics }: TopologyDescription): Facts => {
  const sources = subtopologies.flatMap(({ nodes }) => nodes.filter(({ kind }) => kind === 'source'))
  const repartitions = internalTopics.filter(({ kind }) => kind === 'repartition')
  const internal = new Set(repartitions.map(({ topic }) => topic))
  const topicsOf = (nodes: typeof sources): string[] => nodes.flatMap(({ topics }) => topics ?? [])
  return {
    inputs: new Set(topicsOf(sources).filter((topic) => !internal.has(topic))),
    stores: new Map(
      subtopologies.flatMap(({ id, nodes, stores }) => {
        const inputs = topicsOf(nodes.filter(({ kind }) => kind === 'source'))
        return stores.map((store): [string, PlacedStore] => [
          store.name,
          { ...store, subtopology: id, inputs },
        ])
      }),
    ),
    repartitions: new Map(
      repartitions.map((one): [string, RepartitionFacts] => {
        const source = sources.find(({ topics }) => topics?.includes(one.topic))
        return [one.name, { ...one, key: source?.key, value: source?.value }]
      }),
    ),
  }
}

/** What tells the bytes of one serde from those of another: a schema checks JSON and does not change it. */
const layoutOf = (serde: string): string => serde.replaceAll(/\bjson\([^()]*\)/g, 'json')

/** Windows of another length or kind are other entries; how long they are kept may change. */
const windowsOf = ({ windows }: StoreDescription): string =>
  windows === undefined
    ? ''
    : ` of windows ${JSON.stringify({ ...windows, retentionMs: undefined, graceMs: undefined })}`

/** Keys that are laid out in another way are other entries; how long they are kept may change. */
const keptAs = ({ versions, ttlMs, waiting, timers, holdsChanges }: StoreDescription): string => {
  if (holdsChanges) return heldText(holdsChanges)
  if (timers) return ' of timers'
  if (versions !== undefined) return ' in versions'
  if (waiting) return ' of records that wait'
  return ttlMs === undefined ? '' : ' that live for a time'
}

const textOf = (store: StoreDescription): string =>
  `(${store.key}, ${store.value})${store.timestamps ? ` with timestamps${store.headers ? ' and headers' : ''}` : ''}${windowsOf(store)}${keptAs(store)}`

/** But for the serde of the values, which is what a migration can change. */
const sameEntries = (one: StoreDescription, other: StoreDescription): boolean =>
  layoutOf(one.key) === layoutOf(other.key) &&
  one.timestamps === other.timestamps &&
  windowsOf(one) === windowsOf(other) &&
  keptAs(one) === keptAs(other)

const sameLayout = (one: StoreDescription, other: StoreDescription): boolean =>
  sameEntries(one, other) && layoutOf(one.value) === layoutOf(other.value)

const goneStore = (store: PlacedStore, before: Facts, after: Facts): Finding => {
  const heirs = [...after.stores.values()].filter(
    (one) => !one.readOnly && !before.stores.has(one.name) && sameLayout(one, store),
  )
  const renamed =
    heirs.length === 0
      ? ''
      : ` (renamed to ${heirs.map(({ name }) => name).join(' or ')}, which begins empty?)`
  return {
    effect: 'lost',
    what: `store ${store.name} is gone${renamed}: its changelog ${store.changelog} would not be read any more`,
    fix:
      heirs.length === 0
        ? `Keep the store; or, where its state is no longer wanted, delete ${store.changelog}.`
        : `Give it its old name, ${store.name}.`,
  }
}

const changedStore = (given: PlacedStore, is: PlacedStore): Finding[] => {
  const found: Finding[] = []
  const isUntold = given.holdsChanges === true && is.holdsChanges !== undefined
  const was = isUntold ? { ...given, holdsChanges: is.holdsChanges } : given
  const [from, to] = [was.version ?? 1, is.version ?? 1]
  if (from > to) {
    found.push({
      effect: 'broken',
      what: `store ${was.name} was of version ${from} and is of version ${to}: the start is refused (STORE_LAYOUT)`,
      fix: 'A store is not migrated back: keep its version, or give the store another name.',
    })
  } else if (from < to && sameEntries(was, is)) {
    found.push({
      effect: 'kept',
      what: `store ${was.name} was of version ${from} and is of version ${to}: its migrate is called for each value at the start`,
      fix: 'Take a savepoint before: the way back is the old version and that.',
    })
  } else if (!sameLayout(was, is)) {
    found.push({
      effect: 'broken',
      what: `store ${was.name} was ${textOf(was)} and is ${textOf(is)}: what it holds could not be read, or would be read as something else`,
      fix: 'Keep its serdes; or give it another name and fill it anew from the inputs, under a new application id.',
    })
  } else if (was.key !== is.key || was.value !== is.value) {
    found.push({
      effect: 'kept',
      what: `store ${was.name} was ${textOf(was)} and is ${textOf(is)}: both are JSON`,
      fix: 'What it holds has to pass the new schema: where old values do not, reading them fails.',
    })
  }
  if (was.headers !== is.headers && was.timestamps === is.timestamps) {
    found.push({
      effect: 'kept',
      what: `store ${was.name} keeps ${is.headers ? '' : 'no '}headers from now on: it is restored from its changelog${is.headers ? ', and what was written before has none' : ''}`,
      fix: 'Nothing is to be done; the first start takes as long as the restore.',
    })
  }
  if (was.engine !== is.engine) {
    found.push({
      effect: 'kept',
      what: `store ${was.name} moves from ${was.engine} to ${is.engine}: it is restored from its changelog`,
      fix: 'Nothing is to be done; the first start takes as long as the restore.',
    })
  }
  if (!is.inputs.some((input) => was.inputs.includes(input))) {
    found.push({
      effect: 'broken',
      what: `store ${was.name} is fed by ${is.inputs.join(', ')} and no longer by ${was.inputs.join(', ')}: the start is refused (OFFSETS_MISSING), since its state belongs to no offset of these`,
      fix: 'Keep one of its inputs, give the store another name, or begin under a new application id.',
    })
  } else if (was.subtopology !== is.subtopology) {
    found.push({
      effect: 'kept',
      what: `store ${was.name} moves from sub-topology ${was.subtopology} to ${is.subtopology}: the directories of its tasks have other names, so that it is restored from its changelog and nothing is lost`,
      fix: `Nothing is to be done; the directories ${was.subtopology}_* that no task uses may be removed.`,
    })
  }
  return found
}

const drained = (topic: string): string =>
  `run the old version until the group has no lag on ${topic}, with its inputs silent, and change it then`

const goneRepartition = (one: RepartitionFacts, before: Facts, after: Facts): Finding => {
  const heirs = [...after.repartitions.values()].filter(({ name }) => !before.repartitions.has(name))
  const renamed = heirs.length === 0 ? '' : ` (renamed to ${heirs.map(({ name }) => name).join(' or ')}?)`
  return {
    effect: 'lost',
    what: `repartition topic ${one.name} is gone${renamed}: records that wait in ${one.topic} would never be read`,
    fix: `${heirs.length === 0 ? 'Keep it' : `Give it its old name, ${one.name}`}; or ${drained(one.topic)}.`,
  }
}

const changedRepartition = (was: RepartitionFacts, is: RepartitionFacts): Finding[] => {
  const found: Finding[] = []
  if (was.partitions !== is.partitions) {
    found.push({
      effect: 'broken',
      what: `repartition topic ${was.name} had its partitions ${partitionsText(was)} and has them ${partitionsText(is)}: the start is refused (TOPIC_MISMATCH) unless ${was.topic} has as many as that comes to, since keys would move away from their state`,
      fix: 'Make the numbers equal again, or begin under a new application id.',
    })
  }
  const layouts = (one: RepartitionFacts): string =>
    `${layoutOf(one.key ?? '')}, ${layoutOf(one.value ?? '')}`
  if (layouts(was) !== layouts(is)) {
    found.push({
      effect: 'broken',
      what: `repartition topic ${was.name} carried (${was.key}, ${was.value}) and carries (${is.key}, ${is.value}): records that wait in ${was.topic} could not be read`,
      fix: `Keep its serdes; or ${drained(was.topic)}.`,
    })
  }
  return found
}

const partitionsText = ({ partitions }: RepartitionFacts): string =>
  typeof partitions === 'number' ? `set to ${partitions}` : `taken ${partitions.replaceAll('-', ' ')}`

const goneInput = (topic: string): Finding => ({
  effect: 'lost',
  what: `input ${topic} is gone: records of it that were not processed yet would not be`,
  fix: `Run the old version until the group has no lag on ${topic}, and change it then.`,
})

const compareFacts = (before: Facts, after: Facts): Finding[] => {
  const found: Finding[] = []
  for (const was of before.stores.values()) {
    const is = after.stores.get(was.name)
    // What a read-only store held is in its topic.
    if (is === undefined) found.push(...(was.readOnly ? [] : [goneStore(was, before, after)]))
    else found.push(...(comparedReadOnly(was, is, sameLayout(was, is)) ?? changedStore(was, is)))
  }
  for (const was of before.repartitions.values()) {
    const is = after.repartitions.get(was.name)
    if (is === undefined) found.push(goneRepartition(was, before, after))
    else found.push(...changedRepartition(was, is))
  }
  for (const input of before.inputs) if (!after.inputs.has(input)) found.push(goneInput(input))
  return found
}

const goneApplication = (before: TopologyDescription, after: readonly TopologyDescription[]): Difference => {
  const { topology, applicationId } = before
  const heir = after.find((one) => one.topology === topology)
  return heir === undefined
    ? {
        topology,
        effect: 'lost',
        what: `the topology is gone: the offsets of its group ${applicationId} and all of its stores would be left behind`,
        fix: 'Keep it, or describe the module that has it now, too.',
      }
    : {
        topology,
        effect: 'lost',
        what: `its application id was ${applicationId} and is ${heir.applicationId}: it would begin anew, with empty stores, at the start of its inputs`,
        fix: `Set --application-id ${applicationId}; or take the state along: millstream store export, then store import.`,
      }
}

const severity: readonly Effect[] = ['lost', 'broken', 'kept']

/** What would become of state and waiting records, the worst first. What is new is no difference. */
export const compareDescriptions = (
  before: readonly TopologyDescription[],
  after: readonly TopologyDescription[],
): readonly Difference[] =>
  before
    .flatMap((was): Difference[] => {
      const is = after.find(({ applicationId }) => applicationId === was.applicationId)
      if (is === undefined) return [goneApplication(was, after)]
      const { topology } = is
      return compareFacts(factsOf(was), factsOf(is)).map((finding) => ({ topology, ...finding }))
    })
    .sort((one, other) => severity.indexOf(one.effect) - severity.indexOf(other.effect))

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** Whether every element of a list has these fields, of these types. */
const isList = (value: unknown, fields: Readonly<Record<string, string>>): value is readonly object[] =>
  Array.isArray(value) &&
  value.every(
    (one: unknown) =>
      isObject(one) &&
      Object.entries(fields).every(([field, type]) =>
        type === 'list' ? Array.isArray(one[field]) : typeof one[field] === type,
      ),
  )

const isPart = (part: object): boolean => {
  const { nodes, stores } = part as { readonly nodes?: unknown; readonly stores?: unknown }
  return (
    isList(nodes, { name: 'string', kind: 'string', children: 'list' }) &&
    isList(stores, { name: 'string', engine: 'string', key: 'string', value: 'string', changelog: 'string' })
  )
}

const isDescription = (value: unknown): value is TopologyDescription =>
  isObject(value) &&
  value['format'] === descriptionFormat &&
  typeof value['topology'] === 'string' &&
  typeof value['applicationId'] === 'string' &&
  isList(value['subtopologies'], { id: 'number' }) &&
  value['subtopologies'].every(isPart) &&
  isList(value['internalTopics'], { topic: 'string', kind: 'string', name: 'string' })

const refused = (what: string, place: string, cause?: unknown): MillstreamError =>
  new MillstreamError('DESCRIPTION_INVALID', {
    what,
    where: { file: place },
    fix: 'Write it with the earlier version: millstream describe MODULE --format json > previous.json',
    cause,
  })

/**
 * Reads what `describe --format json` printed: of one topology, or of several.
 * @param place names it in an error
 * @throws DESCRIPTION_INVALID
 */
export const readDescriptions = (text: string, place: string): readonly TopologyDescription[] => {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (error) {
    throw refused('it is no JSON', place, error)
  }
  const list: readonly unknown[] = Array.isArray(data) ? data : [data]
  const format = list
    .map((one) => (isObject(one) ? one['format'] : undefined))
    .find((one) => one !== undefined)
  if (typeof format === 'number' && format !== descriptionFormat)
    throw refused(`it has the format ${format}, and this version reads ${descriptionFormat}`, place)
  if (list.length === 0 || !list.every(isDescription)) throw refused('it describes no topology', place)
  return list
}
