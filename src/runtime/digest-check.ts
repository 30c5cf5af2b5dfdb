// Holds stores that were restored against what was committed. A restore ends at the high watermark that was asked for
// after the offsets were stable, and from then on nobody but this worker can commit for the task: so the store has to be
// exactly the state that the newest witness of the task describes (docs/decisions/0012-state-digest.md).
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import type { CommittedPosition } from '../client/offsets.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { MillstreamError } from '../errors.ts'
import type { StoreIdentity } from '../state/contracts.ts'
import type { AnyStore, TaskStore } from '../task/contracts.ts'
import type { StoreState } from '../task/task-state.ts'
import { layoutHasHeaders, readStoreCode } from '../topology/store-code.ts'
import type { RestoreObserver } from './restore-progress.ts'
import { decodeWitness, type Witness, witnessedStores } from './witness.ts'
import { restoreInterrupted } from './worker-errors.ts'

/** A task whose stores are at the ends of their changelogs. */
export interface RestoredTask {
  readonly plan: {
    readonly id: string
    readonly partition: number
    readonly inputs: readonly TopicPartition[]
  }
  readonly stores: ReadonlyMap<string, TaskStore & { readonly identity: StoreIdentity }>
  /** Undefined where it is opened. */
  readonly task: unknown
}

export interface DigestCheckOptions<Task> {
  readonly ports: Ports
  readonly settings: WorkerSettings
  readonly log: Logger
  readonly observer: RestoreObserver
  readonly interrupted: () => boolean
  /** Restores the stores of these tasks, which are empty. */
  readonly rebuild: (tasks: readonly Task[]) => Promise<void>
}

interface RestoredStore {
  readonly task: string
  readonly store: AnyStore
  /** Its code, as it is declared. */
  readonly code: string
  /** The changelog. */
  readonly topic: string
  readonly partition: number
  /** Of the inputs of the task that have an offset. */
  readonly witnesses: readonly (Witness | undefined)[]
  /** Read it whole, also where its digest is known. */
  readonly whole: boolean
}

interface Divergence {
  readonly restored: RestoredStore
  /** The digest as it was committed, and as it is. */
  readonly committed: string
  readonly found: string
  /** End of the changelog as it was committed; undefined where the digest was that of the disk. */
  readonly changelogEnd: number | undefined
}

/** Entries read in one go: a few milliseconds, in which nothing else of the worker moves. */
export const scannedAtOnce = 5000

/** Without transactions a changelog may be ahead of the offsets, and then no digest of the last commit fits it. */
export const keepsDigests = ({ guarantee, stateDigest }: WorkerSettings): boolean =>
  guarantee === 'exactly_once' && stateDigest !== 'off'

/**
 * The state of a store as the newest witness has it; undefined where some witness has none, since that one may be newer.
 * A commit covers all inputs of a task, so witnesses differ only where an input left the topology and came back; then
 * the newest is the one that knows the longest changelog.
 */
export const committedState = (
  witnesses: readonly (Witness | undefined)[],
  store: string,
): StoreState | undefined => {
  let newest: StoreState | undefined
  for (const witness of witnesses) {
    const state = witness?.stores.find((one) => one.store === store)
    if (state === undefined) return undefined
    if (newest === undefined || state.changelogEnd > newest.changelogEnd) newest = state
  }
  return newest
}

const turnedHeaders = (committed: string, declared: string): boolean => {
  const [one, other] = [readStoreCode(committed), readStoreCode(declared)]
  return (
    one !== undefined &&
    other !== undefined &&
    layoutHasHeaders(one.layout) !== layoutHasHeaders(other.layout)
  )
}

/** Finds out the digest of a store where it is not known. @throws RESTORE_INTERRUPTED */
const scan = async (
  { task, store }: RestoredStore,
  { ports, log, observer, interrupted }: DigestCheckOptions<never>,
): Promise<void> => {
  const startedMs = ports.clock.monotonic()
  while (!store.scanDigest(scannedAtOnce)) {
    observer.turned()
    await ports.timers.yield()
    if (interrupted()) throw restoreInterrupted()
  }
  const durationMs = Math.round(ports.clock.monotonic() - startedMs)
  if (durationMs > 0) log.debug('a store was read for its digest', { task, store: store.name, durationMs })
}

/** How many entries a store of this digest has. */
export const entriesIn = (digest: string): string => digest.slice(0, digest.indexOf('.'))

const divergences = async (
  stores: readonly RestoredStore[],
  options: DigestCheckOptions<never>,
): Promise<Divergence[]> => {
  const list: Divergence[] = []
  for (const restored of stores) {
    const { store, witnesses, whole } = restored
    const kept = store.digest
    if (whole) store.forgetDigest()
    if (store.digest === undefined) await scan(restored, options)
    const found = store.digest
    const state = committedState(witnesses, store.name)
    store.doubted = state === undefined && found !== undefined && entriesIn(found) !== '0'
    // A digest goes by the bytes, which are others where headers were turned on or off since.
    const isComparable = state === undefined || !turnedHeaders(state.layout, restored.code)
    const committed = (isComparable && state?.digest) || kept
    if (found === undefined || committed === undefined || committed === found) continue
    list.push({ restored, committed, found, changelogEnd: state?.changelogEnd })
  }
  return list
}

const placeOf = ({ restored, committed, found, changelogEnd }: Divergence) => ({
  task: restored.task,
  store: restored.store.name,
  topic: restored.topic,
  partition: restored.partition,
  committedDigest: committed,
  digest: found,
  committedChangelogEnd: changelogEnd,
  changelogOffset: restored.store.checkpoint()?.changelogOffset,
})

const divergedError = (divergence: Divergence): MillstreamError => {
  const { committed, found } = divergence
  const [before, now] = [entriesIn(committed), entriesIn(found)]
  return new MillstreamError('STORE_DIVERGED', {
    what: `the store, rebuilt from its changelog, is not what was committed: it holds ${now} entries, ${
      before === now ? 'as many as were committed, but not the same' : `and ${before} were committed`
    }`,
    where: placeOf(divergence),
    fix: 'Changes are missing in the changelog, somebody else wrote into it, or an earlier fault of a disk is part of the state by now. Find out which (retention, DeleteRecords, a topic made anew, other writers); to go on with the state as the changelog has it, start the worker with stateDigest off until its tasks run, and then with it on again.',
  })
}

/** The witnesses of the inputs of a task that have an offset. */
export const witnessesOf = (
  { inputs }: Pick<RestoredTask['plan'], 'inputs'>,
  committed: ReadonlyMap<string, CommittedPosition>,
): (Witness | undefined)[] =>
  inputs
    .map(({ topic, partition }) => committed.get(partitionId(topic, partition)))
    .filter((one) => one !== undefined && one.offset >= 0)
    .map((one) => decodeWitness(one?.metadata ?? ''))

const storesOf = (
  { plan, stores, task }: RestoredTask,
  committed: ReadonlyMap<string, CommittedPosition>,
  { settings, log }: DigestCheckOptions<never>,
): RestoredStore[] => {
  const witnesses = witnessesOf(plan, committed)
  const whole = settings.stateDigest === 'verify' && task === undefined
  // A read-only store has none: what its topic holds by now is the truth.
  const kept = [...stores.values()].filter(({ definition }) => definition.filling === undefined)
  const names = kept.map(({ store }) => store.name)
  const without = names.slice(witnessedStores(names))
  if (task === undefined && without.length > 0)
    log.warn('the metadata of an offset has no room for the digests of all stores', {
      task: plan.id,
      without: without.join(' '),
    })
  const common = { task: plan.id, partition: plan.partition, witnesses, whole }
  return kept.map(({ definition: { layout: code = '' }, store, changelog }) => ({
    ...common,
    store,
    code,
    topic: changelog.name,
  }))
}

const report = (divergence: Divergence, { log, observer }: DigestCheckOptions<never>): void => {
  const { restored, committed, found } = divergence
  observer.storeDiverged()
  log.error('a store is not what was committed', placeOf(divergence))
  log.warn('a store is rebuilt from its changelog', {
    task: restored.task,
    store: restored.store.name,
    reason: `its digest is ${found}, and ${committed} was committed`,
  })
}

/**
 * Each store has to be what the last commit of its task says. One that is not is rebuilt from its changelog, once: as a
 * rule its disk was at fault.
 * @param committed the offsets of the tasks by `partitionId`, stable, as they were before the restore
 * @throws STORE_DIVERGED where a rebuilt store is not what was committed either; RESTORE_INTERRUPTED
 */
export const checkDigests = async <Task extends RestoredTask>(
  tasks: readonly Task[],
  committed: ReadonlyMap<string, CommittedPosition>,
  options: DigestCheckOptions<Task>,
): Promise<void> => {
  if (!keepsDigests(options.settings)) return
  const stores = tasks.flatMap((task) => storesOf(task, committed, options))
  const diverged = await divergences(stores, options)
  if (diverged.length === 0) return
  for (const divergence of diverged) report(divergence, options)
  const lost = new Set(diverged.map(({ restored }) => restored.store))
  const rebuilt = tasks.map((task) => ({
    ...task,
    stores: new Map([...task.stores].filter(([, { store }]) => lost.has(store))),
  }))
  for (const task of rebuilt) for (const { store, identity } of task.stores.values()) store.reset(identity)
  await options.rebuild(rebuilt)
  const again = diverged.map(({ restored }) => ({ ...restored, whole: false }))
  const [still] = await divergences(again, options)
  if (still !== undefined) throw divergedError(still)
}
