// The parts of a worker, put together: the only place that wires the client to the tasks.
import path from 'node:path'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { Pulse } from '../base/pulse.ts'
import { announceWrongBuild } from '../base/wrong-builds.ts'
import { Cluster } from '../client/cluster.ts'
import { Fetcher } from '../client/fetcher.ts'
import { GroupMember } from '../client/group-member.ts'
import type { GroupProtocol } from '../client/group-protocol.ts'
import { openHeartbeats } from '../client/heartbeat-carrier.ts'
import type { TaskName } from '../client/heartbeat-messages.ts'
import type { Heartbeats } from '../client/heartbeats.ts'
import { IdempotentProducer } from '../client/idempotent-producer.ts'
import { LeftOpen } from '../client/left-open.ts'
import { Endings } from '../client/marker-guard.ts'
import type { CommittingProducer } from '../client/producer.ts'
import { TransactionalProducer } from '../client/transactional-producer.ts'
import { hasShortSession } from '../config/short-sessions.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { StateDirectory } from '../state/state-directory.ts'
import { StoreMemory } from '../state/store-memory.ts'
import type { Topology } from '../topology/contracts.ts'
import { type Assignment, createGroupProtocol, patternHash, topologyHash } from './assignor.ts'
import { Globals } from './globals.ts'
import { HandOver } from './hand-over.ts'
import { InputFlow } from './input-flow.ts'
import type { Claim } from './placement.ts'
import { RepartitionPurge } from './repartition-purge.ts'
import { SchemaUse } from './schema-use.ts'
import { Slicer } from './slice.ts'
import { Standbys } from './standbys.ts'
import { TakeOver } from './take-over.ts'
import { TaskManager } from './task-manager.ts'
import { type TaskPlan, updatePlans } from './task-plan.ts'
import { patternsOf, TopicCatalog } from './topic-catalog.ts'
import type { TopicPatterns } from './topic-patterns.ts'
import { Transaction } from './transaction.ts'
import { isWorkerOf, transactionalIdOf } from './transactional-id.ts'
import { WorkerMembership } from './worker-membership.ts'
import type { CommitPhases } from './worker-status.ts'
import { otherTopology } from './worker-errors.ts'
import type { WorkerWatch } from './worker-watch.ts'

export interface Engine {
  readonly cluster: Cluster
  readonly directory: StateDirectory
  readonly producer: CommittingProducer
  readonly member: GroupMember
  readonly membership: WorkerMembership
  /** Undefined where sessions are long enough to do without. */
  readonly takeOver: TakeOver | undefined
  readonly leftOpen: LeftOpen
  readonly heartbeats: Heartbeats
  readonly handOver: HandOver
  readonly pulse: Pulse
  readonly slicer: Slicer
  readonly transaction: Transaction
  readonly manager: TaskManager
  readonly standbys: Standbys
  readonly globals: Globals
  readonly fetcher: Fetcher
  readonly flow: InputFlow
  readonly purge: RepartitionPurge
  readonly patterns: TopicPatterns
  /** The group is to be told something: a standby is close to its task, or topics by pattern came or went. */
  hasNews(): boolean
  /** A join is on its way, which tells it. */
  told(): void
  /** Makes the plans by the topics that the group reads from now on. @throws TOPOLOGY_INVALID */
  plan(assignment: Pick<Assignment, 'topology' | 'matched'>): void
  readonly schemas: SchemaUse
  /** See `topologyHash`. */
  readonly topology: string
}

/** What the parts ask of the worker. */
export interface EngineOwner {
  /** Something happened that the loop is to look at. */
  notify(): void
  closing(): boolean
  connected(cluster: Cluster): void
  /** A restore is to end before it is complete. */
  interrupted(): boolean
  readonly watch: WorkerWatch
}

/** Requests get this large at most; a broker takes 100 MiB. */
const produceRequestBytesMax = 8 << 20
/** From the answer to EndTxn to the next produce, which would meet the unfinished markers (design section 6). */
const markerWaitMs = 2

/**
 * Connects, checks and creates topics, takes the state directory, and makes the parts. Nothing is joined yet.
 * @throws MillstreamError whatever stops the start; nothing stays open then
 */
export async function openEngine(
  topology: Topology,
  settings: WorkerSettings,
  ports: Ports,
  log: Logger,
  owner: EngineOwner,
): Promise<Engine> {
  announceWrongBuild(log)
  const cluster = await Cluster.connect(settings, ports, log)
  owner.connected(cluster)
  let directory: StateDirectory | undefined
  let globals: Globals | undefined
  let heartbeats: Heartbeats | undefined
  const memory = new StoreMemory(settings.storeMemoryBytesMax)
  const schemas = new SchemaUse(topology.graph, settings.applicationId, ports, log)
  owner.watch.schemas = schemas
  try {
    const catalog = await TopicCatalog.prepare(cluster, ports, topology.graph, settings, log)
    const plans = catalog.tasks()
    const hash = catalog.patterns.used ? patternHash(topology.graph) : topologyHash(plans)
    await schemas.prepare(owner.closing, () => owner.watch.turned())
    const { stateDir, applicationId } = settings
    directory = new StateDirectory({
      disk: ports.disk,
      stateDir,
      applicationId,
      clusterId: cluster.clusterId,
    })
    globals = await Globals.open({
      tables: topology.graph.globals,
      cluster,
      ports,
      settings,
      catalog,
      directory,
      memory,
      log,
      observer: owner.watch,
      interrupted: () => owner.closing(),
      notify: () => owner.notify(),
    })
    const pulse = new Pulse()
    heartbeats = openHeartbeats(settings, namesOf(plans), cluster, ports, log, pulse)
    return assemble({
      settings,
      ports,
      log,
      owner,
      cluster,
      catalog,
      plans,
      hash,
      directory,
      memory,
      globals,
      heartbeats,
      pulse,
      schemas,
    })
  } catch (error) {
    schemas.close()
    await heartbeats?.close()
    await globals?.close({ flush: true })
    directory?.close()
    await cluster.close()
    throw error
  }
}

const namesOf = (plans: ReadonlyMap<string, TaskPlan>): TaskName[] =>
  [...plans.values()].map(({ id, subtopology }) => ({
    id,
    processors: subtopology.nodes.filter(({ kind }) => kind === 'processor').map(({ name }) => name),
  }))

interface Ingredients {
  readonly settings: WorkerSettings
  readonly ports: Ports
  readonly log: Logger
  readonly owner: EngineOwner
  readonly cluster: Cluster
  readonly catalog: TopicCatalog
  readonly plans: Map<string, TaskPlan>
  /** Of the topology. */
  readonly hash: string
  readonly directory: StateDirectory
  readonly memory: StoreMemory
  readonly globals: Globals
  readonly heartbeats: Heartbeats
  readonly pulse: Pulse
  readonly schemas: SchemaUse
}

const assemble = (given: Ingredients): Engine => {
  const { settings, ports, log, owner, cluster, catalog, directory, globals, heartbeats, pulse } = given
  const { applicationId } = settings
  const notify = (): void => owner.notify()
  // Static in any case: a worker that was killed takes its place in the group back at once, instead of waiting for the
  // session of its former self to expire.
  const instanceId = settings.instanceId ?? keptInstanceName(ports, directory)
  const transactionalId = transactionalIdOf(applicationId, instanceId)
  const endings = new Endings()
  const producer = createProducer(given, transactionalId, endings)
  const leftOpen = createLeftOpen(given, endings)
  const protocol = createProtocol(given, transactionalId, () => membership.claim())
  const identity = { ...settings, instanceId, groupId: applicationId }
  const handOver = new HandOver({ ...given, producer })
  const changed = (): void => {
    if (member.state === 'rebalance-needed') handOver.called()
    notify()
  }
  const member: GroupMember = new GroupMember(cluster, ports, identity, protocol, log, changed, heartbeats)
  const takeOver = createTakeOver(given, member)
  const membership: WorkerMembership = new WorkerMembership({
    member,
    groupId: applicationId,
    stored: () => manager.positions(),
    host: settings.hostId ?? ports.net.hostName(),
    notify,
    led: (joined) => takeOver?.begin(joined),
    handOver,
  })
  const transaction = createTransaction(given, producer, membership, transactionalId)
  const fetcher = createFetcher(given)
  const interrupted = (): boolean => owner.closing() || owner.interrupted()
  const standbys = new Standbys({ ...given, notify })
  const manager: TaskManager = new TaskManager({
    ...given,
    globals: globals.stores,
    collector: transaction.collector,
    standbys,
    observer: owner.watch,
    leftOpen,
    interrupted,
    notify,
  })
  catalog.patterns.follow(cluster, ports, log, settings.topicRefreshMs, notify)
  return {
    cluster,
    directory,
    producer,
    member,
    membership,
    takeOver,
    leftOpen,
    heartbeats,
    handOver,
    pulse,
    slicer: new Slicer(ports.clock, pulse),
    transaction,
    manager,
    standbys,
    globals,
    fetcher,
    flow: new InputFlow({ ...settings, fetcher, manager, clock: ports.clock, leftOpen }),
    purge: new RepartitionPurge(cluster, ports, settings, log),
    ...agreementOf(given, standbys),
    schemas: given.schemas,
    topology: given.hash,
  }
}

const createProtocol = (
  { settings, catalog, plans, hash }: Ingredients,
  transactionalId: string,
  claim: () => Claim,
): GroupProtocol =>
  createGroupProtocol({
    ...settings,
    tasks: plans,
    topology: hash,
    get topics() {
      return catalog.inputs
    },
    patterns: patternsOf(catalog),
    transactionalId: settings.guarantee === 'exactly_once' ? transactionalId : undefined,
    claim,
  })

/** What the group is told beside its joins, and what it says of the topology. */
const agreementOf = (
  { settings, catalog, plans, hash }: Ingredients,
  standbys: Standbys,
): Pick<Engine, 'patterns' | 'hasNews' | 'told' | 'plan'> => ({
  patterns: catalog.patterns,
  hasNews: () => standbys.isReady || catalog.patterns.hasNews,
  told: () => {
    standbys.asked()
    catalog.patterns.told()
  },
  plan: ({ topology, matched }) => {
    if (topology !== undefined && topology !== hash) throw otherTopology(settings.applicationId)
    if (matched === undefined) return
    catalog.patterns.agree(matched)
    updatePlans(plans, catalog.tasks())
  },
})

const createLeftOpen = ({ settings, cluster, ports, log }: Ingredients, endings: Endings): LeftOpen => {
  const { applicationId, requestTimeoutMs } = settings
  const isOurs = (id: string): boolean => isWorkerOf(applicationId, id)
  return new LeftOpen(cluster, ports, { requestTimeoutMs, isOurs }, endings, log)
}

const createTakeOver = (given: Ingredients, member: GroupMember): TakeOver | undefined =>
  hasShortSession(given.settings)
    ? new TakeOver({ ...given, member, aborted: () => given.owner.watch.tookOver() })
    : undefined

const createTransaction = (
  { settings, ports, owner }: Ingredients,
  producer: CommittingProducer,
  membership: WorkerMembership,
  transactionalId: string,
): Transaction => {
  const { batchBytes } = settings
  const onCommitted = (phases: CommitPhases): void => owner.watch.committed(phases)
  return new Transaction({ ports, producer, membership, transactionalId, batchBytes, onCommitted })
}

const createFetcher = ({ settings, cluster, ports, log, owner }: Ingredients): Fetcher =>
  new Fetcher(cluster, ports, {
    role: 'fetch',
    isolation: 'read_committed',
    maxBytes: settings.fetchBytesMax,
    partitionMaxBytes: settings.partitionFetchBytesMax,
    maxWaitMs: settings.fetchWaitMs,
    bufferedBytesMax: settings.fetchBytesMax,
    log,
    onData: () => owner.notify(),
  })

const createProducer = (
  { settings, cluster, ports, log }: Ingredients,
  transactionalId: string,
  endings: Endings,
): CommittingProducer => {
  const outbox = { ...settings, requestBytesMax: produceRequestBytesMax }
  return settings.guarantee === 'exactly_once'
    ? new TransactionalProducer(cluster, ports, { ...outbox, transactionalId, markerWaitMs }, log, endings)
    : new IdempotentProducer(
        cluster,
        ports,
        { ...outbox, deliveryTimeoutMs: 4 * settings.requestTimeoutMs },
        log,
      )
}

/** The name of a worker without a configured one: random, and kept beside its state, so that a restart is its next life. */
const keptInstanceName = ({ disk, random }: Ports, directory: StateDirectory): string => {
  const file = path.join(directory.root, 'instance')
  const known = disk.readText(file)?.trim()
  if (known !== undefined && known !== '') return known
  const name = random.uuid()
  disk.writeText(file, `${name}\n`)
  return name
}
