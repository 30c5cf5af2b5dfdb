// Whether what stores hold is what the topology says of them. Each commit says beside the offsets in which version and
// layout it leaves each store; a restored store is the one of that commit, whatever its changelog or its disk went through.
import type { CommittedPosition } from '../client/offsets.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { MillstreamError } from '../errors.ts'
import type { StoreDefinition } from '../topology/contracts.ts'
import { isSameLayout, layoutText, readStoreCode, withoutHeaders } from '../topology/store-code.ts'
import { committedState, keepsDigests, type RestoredTask, witnessesOf } from './digest-check.ts'
import { type Witness, witnessedStores } from './witness.ts'

const refused = (task: string, store: string, what: string, fix: string): MillstreamError =>
  new MillstreamError('STORE_LAYOUT', { what, where: { store, task }, fix })

/** A version is told by the witness alone, so there must be one. */
const checkWitnessed = (
  task: string,
  { name, version = 1 }: StoreDefinition,
  names: readonly string[],
  settings: WorkerSettings,
): void => {
  if (version === 1) return
  if (!keepsDigests(settings))
    throw refused(
      task,
      name,
      `the store has version ${version}, which is kept with its digest`,
      'Take the guarantee exactly_once and stateDigest on or verify; or give the store another name, without a version.',
    )
  if (names.indexOf(name) < witnessedStores(names)) return
  throw refused(
    task,
    name,
    `the store has version ${version}, and the metadata of an offset has no room for it among ${names.length} stores`,
    'Use fewer stores in this part of the topology, or shorter names.',
  )
}

/**
 * The code that the commits say of a store; undefined where none says one: an earlier build wrote it, in version 1. A witness
 * without the store is older than it: that of an input that another part of the topology had, or that left and came back.
 */
export const committedCode = (
  witnesses: readonly (Witness | undefined)[],
  name: string,
): string | undefined => {
  const knowing = witnesses.filter((one) => one?.stores.some(({ store }) => store === name))
  return committedState(knowing, name)?.layout || undefined
}

/** The version from which a store has to be migrated; undefined: it is as the topology says. */
const fromVersion = (
  task: string,
  { name, layout = '', version = 1, migrate }: StoreDefinition,
  code: string | undefined,
): number | undefined => {
  const known = code === undefined ? undefined : readStoreCode(code)
  const declared = readStoreCode(layout)
  const written = known?.version ?? 1
  if (written > version)
    throw refused(
      task,
      name,
      `the store was written in version ${written}, and is declared in version ${version}`,
      'Run the newer topology; or give the store another name, and fill it anew from the inputs under a new application id.',
    )
  if (known === undefined || declared === undefined) return written < version ? needed() : undefined
  // The serde of the value is what a migration changes: the kind of the entries and the keys stay as they are.
  // Where headers were turned on or off it was restored from its changelog, which reads alike.
  if (isSameLayout(withoutHeaders(known.layout), withoutHeaders(declared.layout)))
    return written < version ? needed() : undefined
  if (written < version && withoutHeaders(known.layout)[0] === withoutHeaders(declared.layout)[0])
    return needed()
  throw refused(
    task,
    name,
    `the store was written with ${layoutText(known.layout)}, and is declared with ${layoutText(declared.layout)}`,
    'Keep its serdes; or raise its version and give it a migrate (for other serdes of the value); or give it another name.',
  )

  function needed(): number {
    if (migrate !== undefined) return written
    throw refused(
      task,
      name,
      `the store was written in version ${written}, is declared in version ${version}, and has no migrate`,
      'Give the store a migrate, or another name.',
    )
  }
}

/**
 * The stores of a restored task that have to be migrated, and from which version. An empty store is what the topology says.
 * @param committed the offsets of the task by `partitionId`
 * @throws STORE_LAYOUT
 */
export const migrationsOf = (
  { plan, stores }: RestoredTask,
  committed: ReadonlyMap<string, CommittedPosition>,
  settings: WorkerSettings,
): ReadonlyMap<string, number> => {
  const { id: task } = plan
  const witnesses = witnessesOf(plan, committed)
  const kept = [...stores.values()].filter(({ definition }) => definition.filling === undefined)
  const names = kept.map(({ store }) => store.name)
  const found = new Map<string, number>()
  for (const { definition, store } of kept) {
    checkWitnessed(task, definition, names, settings)
    if (store.isEmpty()) continue
    const from = fromVersion(task, definition, committedCode(witnesses, definition.name))
    if (from !== undefined) found.set(definition.name, from)
  }
  return found
}
