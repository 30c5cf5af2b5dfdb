// `exportSavepoint`: a whole application at one consistent cut, to a directory.
//
// Why the cut is consistent: input offsets, outputs, changelog records and repartition records of an application change
// in one transaction only, and such a transaction commits with the offsets of every task that took part.
//   1. The group has no members. From here on nothing can be committed any more: TxnOffsetCommit of a worker that was
//      put out is refused (UNKNOWN_MEMBER_ID), and no worker ends a transaction without its offsets.
//   2. OffsetFetch(require_stable): a transaction that had got as far as its offsets is decided first.
//   3. The high watermarks are asked after that: every record of the transactions behind those offsets lies below them,
//      also where its marker is still on its way. Each partition is read up to there, committed records only.
//   4. The offsets are read again, and the group still has no members: had a worker run meanwhile, its commits would show
//      in the offsets or in what stands beside them (the witness numbers each transaction).
// What lies behind the committed offset in a repartition topic was made by that cut and is not processed: it is part of it.
// The manifest is written last; a directory without it is no savepoint.
import path from 'node:path'
import type { Ports } from '../base/ports.ts'
import { partitionId } from '../base/topic-partition.ts'
import { Cluster } from '../client/cluster.ts'
import type { CommittedPosition } from '../client/offsets.ts'
import { ensureError, MillstreamError } from '../errors.ts'
import type { RecordCursor } from '../record/record-cursor.ts'
import { committedCode } from '../runtime/store-layouts.ts'
import { decodeWitness } from '../runtime/witness.ts'
import type { Checkpoint, EngineWrite, StoreEngine } from '../state/contracts.ts'
import { joinHeaders, splitHeaders } from '../state/headed-values.ts'
import { openStoreEngine } from '../state/open-store-engine.ts'
import { storeFormatVersion } from '../state/restore-decision.ts'
import type { Topology } from '../topology/contracts.ts'
import { isSameLayout, layoutText, readStoreCode } from '../topology/store-code.ts'
import {
  type Application,
  findApplication,
  plainTopic,
  readEnds,
  readOffsets,
  refuseMembers,
  type StorePartition,
} from './application.ts'
import { type ReadJob, type ReaderContext, readCommitted, throwIfStopped } from './committed-reader.ts'
import {
  encodeManifest,
  type InputPosition,
  type Manifest,
  manifestFile,
  shapeOf,
  type StoreFile,
  type WaitingFile,
} from './manifest.ts'
import { RecordFileWriter } from './record-file.ts'

export type SavepointOptions = Omit<ReaderContext, 'cluster'> & {
  readonly directory: string
  /** What is being done, and how much of it. */
  readonly onProgress?: (step: string, done: number, total: number) => void
}

interface Export extends SavepointOptions, ReaderContext {
  readonly topology: Topology
}

/** Stores are put together here, so that of each key only the last value is exported. */
const workDirectory = 'in-progress'
const writesBytesMax = 8 << 20

const prepareDirectory = ({ disk }: Ports, directory: string): void => {
  if (disk.list(directory).length > 0) {
    throw new MillstreamError('SAVEPOINT_INVALID', {
      what: 'the directory to export to is not empty',
      where: { directory },
      fix: 'Give one that does not exist yet; remove what an export that broke off has left.',
    })
  }
  disk.makeDirectory(directory)
}

/** A store being put together: the changes of its changelog, the last one of a key wins. */
class Gathering {
  readonly store: StorePartition
  readonly engine: StoreEngine
  #changes = new Map<string, Buffer | null>()
  #bytes = 0

  constructor({ ports, cluster, settings, directory }: Export, store: StorePartition, topicId: string) {
    const { definition, topic, partition } = store
    this.store = store
    this.engine = openStoreEngine({
      disk: ports.disk,
      kind: definition.engine,
      directory: path.join(directory, workDirectory, `${definition.name}-${partition}`),
      identity: {
        formatVersion: storeFormatVersion,
        applicationId: settings.applicationId,
        clusterId: cluster.clusterId,
        store: definition.name,
        changelogTopic: topic,
        changelogTopicId: topicId,
        partition,
        guarantee: settings.guarantee,
      },
    }).engine
  }

  readonly change = (cursor: RecordCursor): void => {
    const { buffer, keyStart, keyLength, valueLength } = cursor
    if (keyLength < 0) throw this.#foreign(cursor.offset)
    const key = buffer.toString('latin1', keyStart, keyStart + keyLength)
    this.#changes.set(key, valueLength < 0 ? null : this.#entryOf(cursor))
    this.#bytes += keyLength + Math.max(0, valueLength)
  }

  #entryOf(cursor: RecordCursor): Buffer {
    const { buffer, valueStart, valueLength } = cursor
    const value = buffer.subarray(valueStart, valueStart + valueLength)
    const { headers } = this.store.definition
    return headers === true ? joinHeaders(value, cursor.headers()) : Buffer.from(value)
  }

  readonly flush = (changelogOffset: number): void => {
    if (this.#bytes > writesBytesMax) this.settle(changelogOffset)
  }

  settle(changelogOffset: number): void {
    const writes = [...this.#changes.keys()]
      .sort()
      .map((key): EngineWrite => ({ key, value: this.#changes.get(key) ?? null }))
    const checkpoint: Checkpoint = { changelogOffset, leaderEpoch: -1, caughtUpAtMs: 0 }
    this.engine.write(writes, checkpoint)
    this.#changes = new Map()
    this.#bytes = 0
  }

  #foreign(offset: number): MillstreamError {
    const { topic, partition } = this.store
    return new MillstreamError('TOPIC_MISMATCH', {
      what: 'a record of the changelog has no key: somebody else writes to this topic',
      where: { topic, partition, offset },
      fix: 'Find who writes to the changelog; the store can only be trusted when the topic holds its changes alone.',
    })
  }
}

/** State without offsets, or beside offsets set by hand, is refused as a worker would refuse it. */
const checkOffsets = (
  { settings }: Export,
  { store, engine }: Gathering,
  offsets: ReadonlyMap<string, CommittedPosition>,
): void => {
  const found = store.task.inputs.map(({ topic, partition }) => offsets.get(partitionId(topic, partition)))
  if (engine.count() === 0 || found.length === 0) return
  const bare = found.find(
    (one) => one !== undefined && one.offset >= 0 && decodeWitness(one.metadata) === undefined,
  )
  const none = found.every((one) => one === undefined || one.offset < 0)
  if (!none && bare === undefined) return
  throw new MillstreamError('OFFSETS_MISSING', {
    what: none
      ? 'the store holds committed state, but the group has no offsets for the inputs'
      : 'an offset was not committed by millstream (a tool has reset it?), but the store holds state that belongs to other offsets',
    where: { task: store.task.id, store: store.definition.name, group: settings.applicationId },
    fix: 'Restore the offsets of the group first.',
  })
}

/** A module that is newer, or older, than what was committed would put its own version on bytes of another one. */
const checkCode = ({ store }: Gathering, offsets: ReadonlyMap<string, CommittedPosition>): void => {
  const { definition, task } = store
  const { name, version = 1, layout = '' } = definition
  const witnesses = task.inputs.map(({ topic, partition }) =>
    decodeWitness(offsets.get(partitionId(topic, partition))?.metadata ?? ''),
  )
  const committed = readStoreCode(committedCode(witnesses, name) ?? '')
  const declared = readStoreCode(layout)
  const isSame =
    (committed?.version ?? 1) === version &&
    (committed === undefined || declared === undefined || isSameLayout(committed.layout, declared.layout))
  if (isSame) return
  throw new MillstreamError('SAVEPOINT_MISMATCH', {
    what: `the store was last committed in version ${committed?.version ?? 1}${committed === undefined ? '' : ` with ${layoutText(committed.layout)}`}, and the module declares version ${version}`,
    where: { task: task.id, store: name },
    fix: 'Export with the module that ran last; or run the new one first, so that it migrates its stores.',
  })
}

const writeStore = (
  { ports, directory, settings, stop }: Export,
  { store, engine }: Gathering,
): StoreFile => {
  const { definition, partition } = store
  const file = `stores/${definition.name}-${partition}.records`
  const writer = new RecordFileWriter(ports.disk, directory, file, settings.compression)
  const now = ports.clock.now()
  for (const { key, value: entry } of engine.range(undefined, undefined, false)) {
    throwIfStopped(stop)
    const bytes = Buffer.from(key, 'latin1')
    const given = { source: bytes, start: 0, length: bytes.length }
    const { value, headers } =
      definition.headers === true ? splitHeaders(entry) : { value: entry, headers: undefined }
    writer.append(now, given, { source: value, start: 0, length: value.length }, headers)
  }
  return { store: definition.name, partition, ...writer.finish() }
}

/** Reads everything up to the ends. Nothing of it stays in memory. */
const readEverything = async (
  given: Export,
  { catalog, inputs, stores }: Application,
  offsets: ReadonlyMap<string, CommittedPosition>,
): Promise<{ stores: StoreFile[]; waiting: WaitingFile[] }> => {
  const { ports, directory, settings, onProgress } = given
  const repartitions = inputs.filter(({ source }) => source.repartition)
  const ends = await readEnds(given, [...stores, ...repartitions])
  const gatherings: Gathering[] = []
  try {
    const jobs: ReadJob[] = []
    for (const store of stores) {
      const gathering = new Gathering(given, store, catalog.topicId(store.topic))
      gatherings.push(gathering)
      const { first, end } = ends.get(partitionId(store.topic, store.partition)) ?? { first: 0, end: 0 }
      const { topic, partition } = store
      jobs.push({
        topic,
        partition,
        from: first,
        to: end,
        record: gathering.change,
        batchEnded: gathering.flush,
      })
    }
    const writers = repartitions.map(({ topic, partition, source }) => {
      const file = `waiting/${source.topic.name}-${partition}.records`
      const writer = new RecordFileWriter(ports.disk, directory, file, settings.compression)
      const { first, end } = ends.get(partitionId(topic, partition)) ?? { first: 0, end: 0 }
      // Records below the committed offset may have been deleted already; those behind it never are.
      const from = Math.max(first, offsets.get(partitionId(topic, partition))?.offset ?? 0)
      const record = (cursor: RecordCursor): void => {
        const { buffer, keyStart, keyLength, valueStart, valueLength } = cursor
        const key = { source: buffer, start: keyStart, length: keyLength }
        const value = { source: buffer, start: valueStart, length: valueLength }
        writer.append(cursor.timestamp, key, value, cursor.headerCount > 0 ? cursor.headers() : undefined)
      }
      jobs.push({ topic, partition, from, to: end, record })
      return { topic: source.topic.name, partition, writer }
    })
    await readCommitted(given, jobs, (done, total) => onProgress?.('reading', done, total))
    const waiting = writers.map(({ topic, partition, writer }) => ({ topic, partition, ...writer.finish() }))
    const files: StoreFile[] = []
    for (const gathering of gatherings) {
      const { topic, partition } = gathering.store
      gathering.settle(ends.get(partitionId(topic, partition))?.end ?? 0)
      checkOffsets(given, gathering, offsets)
      if (gathering.engine.count() > 0) checkCode(gathering, offsets)
      files.push(writeStore(given, gathering))
      onProgress?.('writing', files.length, gatherings.length)
      await ports.timers.yield()
    }
    return { stores: files, waiting }
  } finally {
    for (const { engine } of gatherings) engine.close()
    ports.disk.remove(path.join(directory, workDirectory))
  }
}

const positionsOf = (
  { inputs, topicIdOf }: Application,
  offsets: ReadonlyMap<string, CommittedPosition>,
): InputPosition[] =>
  inputs.map((input) => {
    const { topic, partition, source } = input
    const { offset = -1, metadata = '' } = offsets.get(partitionId(topic, partition)) ?? {}
    return {
      topic: plainTopic(input),
      repartition: source.repartition,
      partition,
      topicId: source.repartition ? null : topicIdOf(topic),
      offset: offset < 0 ? null : offset,
      streamTime: decodeWitness(metadata)?.streamTime ?? -1,
      committedBy: metadata,
    }
  })

const refuseNothing = ({ settings }: Export, offsets: ReadonlyMap<string, CommittedPosition>): void => {
  if ([...offsets.values()].some(({ offset }) => offset >= 0)) return
  throw new MillstreamError('OFFSETS_MISSING', {
    what: 'the group has committed no offsets for the inputs: there is nothing to export',
    where: { group: settings.applicationId },
    fix: 'Check --application-id. An application that never ran needs no savepoint.',
  })
}

const refuseMovement = (
  { settings }: Export,
  before: ReadonlyMap<string, CommittedPosition>,
  after: ReadonlyMap<string, CommittedPosition>,
): void => {
  const moved = [...before.values()].find(({ topic, partition, offset, metadata }) => {
    const now = after.get(partitionId(topic, partition))
    return now?.offset !== offset || now.metadata !== metadata
  })
  if (moved === undefined) return
  throw new MillstreamError('GROUP_ACTIVE', {
    what: 'a worker ran while the savepoint was taken: an offset was committed meanwhile',
    where: { group: settings.applicationId, topic: moved.topic, partition: moved.partition },
    fix: 'Stop all workers, keep them from being started, and take the savepoint again.',
  })
}

const takeSavepoint = async (given: Export): Promise<Manifest> => {
  const { cluster, ports, settings, topology, directory } = given
  const application = await findApplication(given, topology.graph, false)
  await refuseMembers(given)
  const offsets = await readOffsets(given, application.inputs)
  const takenAt = new Date(ports.clock.now()).toISOString()
  refuseNothing(given, offsets)
  const { stores, waiting } = await readEverything(given, application, offsets)
  refuseMovement(given, offsets, await readOffsets(given, application.inputs))
  await refuseMembers(given)
  const manifest: Manifest = {
    applicationId: settings.applicationId,
    takenAt,
    clusterId: cluster.clusterId,
    topology: shapeOf(topology.graph),
    inputs: positionsOf(application, offsets),
    stores,
    waiting,
  }
  ports.disk.writeText(path.join(directory, manifestFile), encodeManifest(manifest))
  return manifest
}

/**
 * Takes a savepoint of a stopped application into a directory that is empty or does not exist.
 * @throws MillstreamError GROUP_ACTIVE, OFFSETS_MISSING, SAVEPOINT_INVALID (the directory), REQUEST_TIMED_OUT (a transaction stays open),
 * TOPIC_MISSING, CLOSED (stopped); the directory is left empty then
 */
export const exportSavepoint = async (topology: Topology, options: SavepointOptions): Promise<Manifest> => {
  const { ports, settings, log, directory } = options
  prepareDirectory(ports, directory)
  const cluster = await Cluster.connect(settings, ports, log)
  try {
    return await takeSavepoint({ ...options, topology, cluster })
  } catch (error) {
    for (const name of ports.disk.list(directory)) ports.disk.remove(path.join(directory, name))
    throw ensureError(error)
  } finally {
    await cluster.close()
  }
}
