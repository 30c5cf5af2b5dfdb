// `importSavepoint`: a savepoint becomes the state of a new application.
//
// One transaction holds all of it: the changelog records, the records that wait in repartition topics, and last the
// offsets. So there is no half: a crash leaves an open transaction, which the next import aborts at once (it has the same
// transactional id) and the broker after importTimeoutMs, and until then a worker that starts waits at its restore.
//
// Nobody else is at work meanwhile: the import joins the group as its only member and commits the offsets with that
// membership. A worker that starts waits in JoinGroup; where it wins (the import took longer than the rebalance timeout),
// the commit is refused by its generation, and the import aborts.
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import { Cluster } from '../client/cluster.ts'
import { GroupMember } from '../client/group-member.ts'
import { committedTopics } from '../client/groups.ts'
import type { OffsetToCommit } from '../client/producer.ts'
import { describeTopics } from '../client/topic-admin.ts'
import { TransactionalProducer } from '../client/transactional-producer.ts'
import { isMillstreamError, MillstreamError } from '../errors.ts'
import { appendedSize, BatchBuilder } from '../record/batch-builder.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import { createGroupProtocol, patternHash } from '../runtime/assignor.ts'
import type { TaskPlan } from '../runtime/task-plan.ts'
import { patternsOf } from '../runtime/topic-catalog.ts'
import { importInstance, transactionalIdOf } from '../runtime/transactional-id.ts'
import { encodeWitness } from '../runtime/witness.ts'
import type { StoreState } from '../task/task-state.ts'
import type { Topology, TopologyGraph } from '../topology/contracts.ts'
import { changelogTopicName, internalTopics, repartitionTopicName } from '../topology/internal-topics.ts'
import {
  type Application,
  findApplication,
  plainTopic,
  readEnds,
  readOffsets,
  refuseMembers,
  soon,
} from './application.ts'
import { refuseOwnTopics, withoutGone } from './matched-topics.ts'
import { type ReaderContext, readCommitted, throwIfStopped } from './committed-reader.ts'
import type { SavepointOptions } from './export.ts'
import { type InputPosition, type Manifest, readManifest, type RecordFile, shapeOf } from './manifest.ts'
import { checkRecordFile, readRecordFile } from './record-file.ts'

interface Import extends SavepointOptions, ReaderContext {
  readonly topology: Topology
  readonly manifest: Manifest
}

/** Kafka's default of transaction.max.timeout.ms: how long an import may take. */
const importTimeoutMs = 900_000
const importBatchBytes = 256 << 10
const requestBytesMax = 8 << 20
const unacknowledgedBytesMax = 16 << 20

const mismatch = (what: string, where: Readonly<Record<string, unknown>>, fix: string): MillstreamError =>
  new MillstreamError('SAVEPOINT_MISMATCH', { what, where, fix })

const refuseOtherTopology = (manifest: Manifest, graph: TopologyGraph): void => {
  const shape = shapeOf(graph)
  const { topology } = manifest
  if (shape.hash === topology.hash) return
  const index = topology.parts.findIndex((part, at) => part !== shape.parts[at])
  const [theirs, ours] =
    index < 0 ? ['nothing more', shape.parts.at(-1)] : [topology.parts[index], shape.parts[index]]
  throw mismatch(
    `the savepoint is one of another topology: it has "${theirs}" where the module has "${ours ?? 'nothing'}"`,
    { savepoint: topology.name, module: graph.name },
    'Give the module that the savepoint was taken with; inputs, repartition topics, stores and their serdes must be the same.',
  )
}

const refuseOtherCluster = ({ manifest, cluster }: Import): void => {
  if (manifest.clusterId === cluster.clusterId) return
  throw mismatch(
    'the savepoint was taken on another cluster, where the input topics have other offsets',
    { savepoint: manifest.clusterId, cluster: cluster.clusterId },
    'Import it on the cluster that holds the input topics it was taken from.',
  )
}

const inputKey = (topic: string, repartition: boolean, partition: number): string =>
  `${repartition ? 'repartition topic' : 'topic'} ${topic}, partition ${partition}`

/** The savepoint has exactly the partitions of the application. Topics that match a pattern since then begin anew. */
const refuseOtherPartitions = ({ manifest }: Import, { inputs, stores }: Application): void => {
  const held = new Set(manifest.inputs.map(({ topic }) => topic))
  const ours = new Set([
    ...inputs
      .filter((input) => input.source.topic.pattern === undefined || held.has(plainTopic(input)))
      .map((input) => inputKey(plainTopic(input), input.source.repartition, input.partition)),
    ...stores.map(({ definition, partition }) => `store ${definition.name}, partition ${partition}`),
  ])
  const theirs = new Set([
    ...manifest.inputs.map(({ topic, repartition, partition }) => inputKey(topic, repartition, partition)),
    ...manifest.stores.map(({ store, partition }) => `store ${store}, partition ${partition}`),
  ])
  const [missing] = ours.difference(theirs)
  const [surplus] = theirs.difference(ours)
  if (missing === undefined && surplus === undefined) return
  throw mismatch(
    missing === undefined
      ? `the savepoint holds ${surplus}, which the application does not have`
      : `the savepoint does not hold ${missing}`,
    {},
    'The input topics must have as many partitions as when the savepoint was taken: keys would be elsewhere.',
  )
}

/** The offsets mean the same records as when the savepoint was taken. Asked before any topic is created. */
const refuseOtherInputs = async (given: Import): Promise<void> => {
  const positions = given.manifest.inputs.filter(({ repartition }) => !repartition)
  const names = [...new Set(positions.map(({ topic }) => topic))]
  for (const { topic, topicId, partitions } of await describeTopics(given.cluster, names)) {
    const mine = positions.filter((one) => one.topic === topic)
    if (mine.some((one) => one.topicId !== topicId)) {
      throw mismatch(
        'the input topic was made anew since the savepoint was taken: its offsets are those of other records',
        { topic },
        'There is nothing that the savepoint could go on with. Begin anew, without it.',
      )
    }
    if (mine.length === partitions) continue
    throw mismatch(
      `the topic has ${partitions} partitions, and had ${mine.length} when the savepoint was taken`,
      { topic },
      'With more partitions keys are elsewhere: state and records would no longer meet. Begin anew, without it.',
    )
  }
  const ends = await readEnds(given, positions)
  for (const { topic, partition, offset } of positions) {
    const { first, end } = ends.get(partitionId(topic, partition)) ?? { first: 0, end: 0 }
    if (offset === null || (offset >= first && offset <= end)) continue
    throw mismatch(
      `the savepoint continues at offset ${offset}, and the topic holds ${first} to ${end}`,
      { topic, partition },
      'The records in between are gone (retention, DeleteRecords); a savepoint has to be younger than that.',
    )
  }
}

const notEmpty = (what: string, where: Readonly<Record<string, unknown>>, fix: string): MillstreamError =>
  new MillstreamError('APPLICATION_NOT_EMPTY', { what, where, fix })

const refuseOffsets = async (given: Import): Promise<void> => {
  const { cluster, ports, settings } = given
  const group = settings.applicationId
  const [topic] = await committedTopics(cluster, ports, group, soon(given))
  if (topic === undefined) return
  throw notEmpty(
    'the group has committed offsets: the application has run, or was imported already',
    { group, topic },
    'Use another application id, or start the workers if this is the import you want.',
  )
}

/** What only aborted transactions left behind does not count. */
const refuseRecords = async (given: Import, { catalog }: Application): Promise<void> => {
  const { settings, topology } = given
  const topics = internalTopics(topology.graph, settings.applicationId)
  const partitions = topics.flatMap(({ topic }) =>
    Array.from({ length: catalog.partitionsOf(topic) }, (_, partition) => ({ topic, partition })),
  )
  const ends = await readEnds(given, partitions)
  const jobs = partitions.map(({ topic, partition }) => {
    const { first, end } = ends.get(partitionId(topic, partition)) ?? { first: 0, end: 0 }
    const record = (): void => {
      throw notEmpty(
        'an internal topic of the application holds records already',
        { topic, partition },
        `Use another application id, or delete the internal topics first: ${topics.map((one) => one.topic).join(', ')}.`,
      )
    }
    return { topic, partition, from: first, to: end, record }
  })
  await readCommitted(given, jobs)
}

/** Sends the records of a file to a partition, batch by batch, not faster than the broker takes them. */
const sendFile = async (
  { ports, directory, stop }: Import,
  producer: TransactionalProducer,
  entry: RecordFile & { readonly partition: number },
  topic: string,
  moved: (records: number) => void,
): Promise<void> => {
  const builder = new BatchBuilder(importBatchBytes)
  const cursor = new RecordCursor()
  let records = 0
  const send = (): void => {
    moved(builder.count)
    producer.send(topic, entry.partition, builder)
  }
  for (const batch of readRecordFile(ports.disk, directory, entry)) {
    throwIfStopped(stop)
    cursor.reset(batch)
    while (cursor.next()) {
      const { buffer, timestamp, keyStart, keyLength, valueStart, valueLength } = cursor
      const headers = cursor.headerCount > 0 ? cursor.headers() : undefined
      const size = appendedSize(keyLength, valueLength, headers)
      if (builder.count > 0 && builder.bytes + size > importBatchBytes) send()
      builder.append(timestamp, buffer, keyStart, keyLength, buffer, valueStart, valueLength, headers)
      records++
    }
    if (producer.failure !== undefined) throw producer.failure
    while (producer.unacknowledgedBytes > unacknowledgedBytesMax) await producer.progress()
  }
  if (builder.count > 0) send()
  if (records === entry.records) return
  throw new MillstreamError('SAVEPOINT_INVALID', {
    what: `a file of the savepoint holds ${records} records, and the manifest says ${entry.records}`,
    where: { file: entry.file },
    fix: 'Take the savepoint again.',
  })
}

const sendEverything = async (given: Import, producer: TransactionalProducer): Promise<void> => {
  const { manifest, settings, onProgress } = given
  const { applicationId } = settings
  const total = [...manifest.stores, ...manifest.waiting].reduce((sum, { records }) => sum + records, 0)
  let done = 0
  const moved = (records: number): void => {
    done += records
    onProgress?.('importing', done, total)
  }
  for (const entry of manifest.stores)
    await sendFile(given, producer, entry, changelogTopicName(applicationId, entry.store), moved)
  for (const entry of manifest.waiting)
    await sendFile(given, producer, entry, repartitionTopicName(applicationId, entry.topic), moved)
  await producer.flush()
}

/** The offsets of the new application: those of the user's topics as they were, those of repartition topics at their first record. */
const offsetsOf = (
  { manifest, settings }: Import,
  ends: ReadonlyMap<string, { readonly first: number }>,
  witness: (input: TopicPartition, streamTime: number) => string,
): OffsetToCommit[] =>
  manifest.inputs.flatMap(({ topic, repartition, partition, offset, streamTime }: InputPosition) => {
    if (offset === null) return []
    if (!repartition)
      return [{ topic, partition, offset, metadata: witness({ topic, partition }, streamTime) }]
    const internal = { topic: repartitionTopicName(settings.applicationId, topic), partition }
    const { first } = ends.get(partitionId(internal.topic, partition)) ?? { first: 0 }
    return [{ ...internal, offset: first, metadata: witness(internal, streamTime) }]
  })

/** After a commit whose answer never came: whether the offsets are ours. */
const wasCommitted = async (
  given: Import,
  producer: TransactionalProducer,
  offsets: readonly OffsetToCommit[],
): Promise<boolean> => {
  await producer.init(true)
  const found = await readOffsets(given, offsets)
  return offsets.every(({ topic, partition, metadata }) => {
    return found.get(partitionId(topic, partition))?.metadata === metadata
  })
}

/**
 * By `partitionId` of the inputs: the versions of the stores of their tasks, which only the witness tells. They are those of
 * the topology, to which the savepoint belongs. Of these tasks alone: a witness has no room for all stores of a topology.
 */
export const importedStores = (tasks: Iterable<TaskPlan>): ReadonlyMap<string, readonly StoreState[]> =>
  new Map(
    [...tasks].flatMap(({ inputs, subtopology }) => {
      const stores = subtopology.stores
        .filter(({ version = 1 }) => version > 1)
        .map(({ name, layout = '' }) => ({ store: name, changelogEnd: 0, digest: '', layout }))
      return inputs.map(({ topic, partition }) => [partitionId(topic, partition), stores] as const)
    }),
  )

/** The one transaction. @throws after it was aborted */
const importInTransaction = async (
  given: Import,
  application: Application,
  producer: TransactionalProducer,
  member: GroupMember,
): Promise<void> => {
  const { settings, ports } = given
  const repartitions = application.inputs.filter(({ source }) => source.repartition)
  const ends = await readEnds(given, repartitions)
  const transactionalId = transactionalIdOf(settings.applicationId, importInstance)
  const incarnation = ports.random.uuid().slice(0, 8)
  const stores = importedStores(application.tasks.values())
  const offsets = offsetsOf(given, ends, ({ topic, partition }, streamTime) =>
    encodeWitness({
      transactionalId,
      incarnation,
      transaction: 1,
      streamTime,
      partitionTime: streamTime,
      stores: stores.get(partitionId(topic, partition)) ?? [],
    }),
  )
  producer.begin()
  try {
    await sendEverything(given, producer)
    throwIfStopped(given.stop)
    const { memberId, generationId, instanceId } = member
    const membership = { groupId: settings.applicationId, memberId, generationId, instanceId }
    // Another member has come, where the generation is refused: nothing of ours may be committed beside it.
    const alone = { current: () => Promise.resolve(membership), outlives: () => Promise.resolve(false) }
    await producer.commitOffsets(alone, offsets)
    await producer.commit()
  } catch (error) {
    if (isMillstreamError(error) && error.code === 'OUTCOME_UNKNOWN') {
      if (await wasCommitted(given, producer, offsets)) return
    } else await producer.abort()
    throw error
  }
}

/** Takes the group for the time of `work`. */
const asOnlyMember = async (
  given: Import,
  { tasks, catalog }: Application,
  work: (member: GroupMember) => Promise<void>,
): Promise<void> => {
  const { cluster, ports, settings, log } = given
  const protocol = createGroupProtocol({
    tasks,
    topics: catalog.inputs,
    ...(catalog.patterns.used && { topology: patternHash(given.topology.graph) }),
    patterns: patternsOf(catalog),
    ...settings,
    transactionalId: transactionalIdOf(settings.applicationId, importInstance),
    claim: () => ({ running: [], generation: -1, stored: {}, host: '' }),
  })
  // Static, so that an import that follows a crashed one takes its place in the group at once.
  const membership = { ...settings, instanceId: importInstance, groupId: settings.applicationId }
  const member = new GroupMember(cluster, ports, membership, protocol, log, () => {})
  try {
    await member.join()
    await refuseMembers(given, importInstance)
    await work(member)
  } finally {
    await member.leave('the import of a savepoint ended')
    member.close()
  }
}

const runImport = async (whole: Import): Promise<void> => {
  const { cluster, ports, settings, log, topology } = whole
  refuseOtherCluster(whole)
  await refuseOwnTopics(whole)
  const given = { ...whole, manifest: await withoutGone(whole) }
  await refuseMembers(given, importInstance)
  await refuseOffsets(given)
  await refuseOtherInputs(given)
  const application = await findApplication(given, topology.graph, true)
  refuseOtherPartitions(given, application)
  await asOnlyMember(given, application, async (member) => {
    const options = {
      ...settings,
      requestBytesMax,
      transactionalId: transactionalIdOf(settings.applicationId, importInstance),
      transactionTimeoutMs: importTimeoutMs,
      markerWaitMs: 0,
    }
    const producer = new TransactionalProducer(cluster, ports, options, log)
    // Ends what a crashed import has left open; only then can be seen what is committed.
    await producer.init(true)
    await refuseOffsets(given)
    await refuseRecords(given, application)
    await importInTransaction(given, application, producer, member)
  })
}

/**
 * Makes a savepoint the state of the application `settings.applicationId`, which must not have run yet.
 * @throws MillstreamError SAVEPOINT_INVALID, SAVEPOINT_MISMATCH, APPLICATION_NOT_EMPTY, GROUP_ACTIVE, MEMBERSHIP_LOST (a
 * worker was started meanwhile), CLOSED (stopped); nothing is imported then
 */
export const importSavepoint = async (topology: Topology, options: SavepointOptions): Promise<Manifest> => {
  const { ports, settings, log, directory, onProgress } = options
  const manifest = readManifest(ports.disk, directory)
  refuseOtherTopology(manifest, topology.graph)
  const files = [...manifest.stores, ...manifest.waiting]
  for (const [index, entry] of files.entries()) {
    checkRecordFile(ports.disk, directory, entry)
    onProgress?.('checking', index + 1, files.length)
  }
  const cluster = await Cluster.connect(settings, ports, log)
  try {
    await runImport({ ...options, topology, manifest, cluster })
    return manifest
  } finally {
    await cluster.close()
  }
}
