// The state that all nodes of an embedded broker share, put together from its parts, and what concerns several of them.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { BrokerDirectory } from './broker-directory.ts'
import type { BrokerSettings, BrokerState, Topic } from './broker-state.ts'
import { GroupTable } from './group-table.ts'
import type { Journal } from './journal.ts'
import { LogFile } from './log-file.ts'
import { Nodes } from './nodes.ts'
import { PartitionLog } from './partition-log.ts'
import { TopicTable } from './topic-table.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'

interface BrokerOptions {
  readonly ports: Ports
  readonly log: Logger
  readonly settings: BrokerSettings
  readonly journal: Journal
  readonly directory: BrokerDirectory | undefined
}

export class Broker implements BrokerState {
  readonly clusterId: string
  readonly ports: Ports
  readonly log: Logger
  readonly settings: BrokerSettings
  readonly journal: Journal
  readonly nodes: Nodes
  readonly topics: TopicTable<PartitionLog>
  readonly groups: GroupTable
  readonly transactions: TransactionCoordinator

  constructor({ ports, log, settings, journal, directory }: BrokerOptions) {
    this.ports = ports
    this.log = log
    this.settings = settings
    this.journal = journal
    this.clusterId = this.#clusterId()
    this.nodes = new Nodes(ports.clock, settings.coordinatorPartitions)
    this.topics = new TopicTable(ports.random, journal, {
      create: (topic, partition) => this.#createLog(topic, partition, directory),
      deleted: (topic) => {
        directory?.removeLogs(topic)
        this.groups.topicDeleted(topic.name)
      },
    })
    this.groups = new GroupTable(this)
    this.transactions = new TransactionCoordinator(this)
    this.topics.load()
    directory?.removeStrays(this.topics.all())
    this.groups.load()
    this.transactions.load()
  }

  /** A node is down: the next one that is up leads and coordinates what it had. */
  leave(nodeId: number): void {
    const { nodes } = this
    const led = [...this.topics.all()].flatMap(({ name, logs }) =>
      logs
        .map((_, partition) => ({ name, partition }))
        .filter((one) => nodes.leader(one.name, one.partition) === nodeId),
    )
    nodes.setUp(nodeId, false)
    for (const { name, partition } of led) {
      const next = nodes.leader(name, partition)
      if (next >= 0) nodes.moveLeader(name, partition, next)
    }
  }

  /** Compaction and retention, where it is time for them. */
  clean(): void {
    for (const topic of this.topics.all()) for (const log of topic.logs) log.clean()
  }

  close(): void {
    this.groups.close()
    this.transactions.close()
    this.topics.close()
  }

  #clusterId(): string {
    const [kept] = this.journal.entries('cluster')
    if (kept !== undefined) return kept[1] as string
    const id = Buffer.from(this.ports.random.uuid().replaceAll('-', ''), 'hex').toString('base64url')
    this.journal.put('cluster', 'id', id)
    return id
  }

  #createLog(topic: Topic, partition: number, directory: BrokerDirectory | undefined): PartitionLog {
    const path = directory?.logFile(topic, partition)
    return new PartitionLog({
      topic: topic.name,
      partition,
      broker: this,
      setting: (name: string) => topic.setting(name),
      file: path === undefined ? undefined : new LogFile(this.ports.disk, path),
    })
  }
}
