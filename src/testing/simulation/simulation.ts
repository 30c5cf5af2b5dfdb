// A world in one thread and from one seed: a cluster (the embedded broker), machines with disks, a network between them,
// and workers on the machines. Nothing in it reaches the real clock, network or disk.
import { type Logger, silentLogger } from '../../base/log.ts'
import type { Ports } from '../../base/ports.ts'
import { EmbeddedKafka } from '../../embedded/embedded-kafka.ts'
import type { CrashKind } from './fault.ts'
import { LogAccess } from './log-access.ts'
import { SeededRandom } from './seeded-random.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { type NetObserver, SimulatedNet } from './simulated-net.ts'
import { SimulatedProcess } from './simulated-process.ts'
import { SimulatedWorker, type SimulatedWorkerOptions } from './simulated-worker.ts'
import { Trace } from './trace.ts'
import { VirtualTime } from './virtual-time.ts'

export interface SimulationOptions {
  readonly seed: number
  /** Brokers of the cluster; default 1. */
  readonly nodes?: number | undefined
  /** 2 as in Kafka 4, or 1. */
  readonly transactionVersion?: 1 | 2 | undefined
  /** The last epoch of a producer id; Kafka: 32766. */
  readonly producerEpochMax?: number | undefined
  /** How long a piece is on its way at most, where nothing is wrong. */
  readonly latencyMs?: number | undefined
  /** How many pieces take up to a hundred times as long. */
  readonly slowRate?: number | undefined
  /** How long the work of a worker between two looks at its clock takes. */
  readonly costMs?: number | undefined
  readonly observer?: NetObserver | undefined
  /** Told of each line of the broker's log. */
  readonly onBrokerLine?: ((text: string) => void) | undefined
  /** Whether the lines of the trace are kept. */
  readonly trace?: boolean | undefined
}

interface Machine {
  readonly disk: SimulatedDisk
  skewMs: number
}

const coordinatorPartitions = 4
const transactionCleanupIntervalMs = 1000
const nominalPort = 9092

export class Simulation {
  readonly time: VirtualTime = new VirtualTime()
  readonly random: SeededRandom
  readonly trace: Trace
  readonly net: SimulatedNet
  readonly kafka: EmbeddedKafka
  readonly logs: LogAccess
  readonly workers: SimulatedWorker[] = []
  /** Markers of transactions take up to so long, each partition a time of its own. */
  markerDelayMs = 0
  readonly #options: SimulationOptions
  readonly #machines = new Map<string, Machine>()

  constructor(options: SimulationOptions) {
    this.#options = options
    this.random = new SeededRandom(options.seed)
    this.trace = new Trace(this.time, options.trace === true)
    this.net = new SimulatedNet({
      time: this.time,
      random: this.random.stream('network'),
      observer: options.observer ?? {},
      latencyMs: options.latencyMs ?? 1,
      slowRate: options.slowRate ?? 0,
    })
    this.kafka = this.#startKafka()
    this.logs = new LogAccess(this.kafka)
    this.net.serve({
      nodeAt: (_host, port) => this.nodeIds.find((nodeId) => nominalPort + nodeId - 1 === port),
      isUp: (nodeId) => this.kafka.state.nodes.isUp(nodeId),
      connect: (nodeId, clientHost, link) => this.kafka.connect(nodeId, clientHost, sessionLink(link)),
    })
  }

  get brokers(): readonly string[] {
    return this.kafka.brokers
  }

  get nodeIds(): readonly number[] {
    return Array.from({ length: this.#options.nodes ?? 1 }, (_, index) => index + 1)
  }

  addWorker(options: SimulatedWorkerOptions): SimulatedWorker {
    const worker = new SimulatedWorker(this, options)
    this.workers.push(worker)
    return worker
  }

  worker(host: string): SimulatedWorker | undefined {
    return this.workers.find((one) => one.host === host)
  }

  /** A new process on a machine, which is made where there is none of that name. */
  spawn(host: string, name: string): { process: SimulatedProcess; ports: Ports } {
    const machine = this.#machine(host)
    const process = new SimulatedProcess({
      name,
      time: this.time,
      random: this.random.stream(name),
      costMs: this.#options.costMs ?? 0.01,
      skewMs: () => machine.skewMs,
    })
    return { process, ports: process.ports(this.net.portFor(process, host), machine.disk.portFor(process)) }
  }

  disk(host: string): SimulatedDisk {
    return this.#machine(host).disk
  }

  /** @returns how many local transactions were lost */
  crash(host: string, kind: CrashKind): number {
    const { disk } = this.#machine(host)
    if (kind === 'disk lost') {
      disk.wipe()
      return 0
    }
    if (kind === 'machine') disk.reboot()
    return disk.crash()
  }

  setClock(host: string, skewMs: number): void {
    this.#machine(host).skewMs = skewMs
  }

  stopNode(nodeId: number): void {
    void this.kafka.stopNode(nodeId)
  }

  startNode(nodeId: number): void {
    if (!this.kafka.state.nodes.isUp(nodeId)) void this.kafka.startNode(nodeId)
  }

  async close(): Promise<void> {
    for (const worker of this.workers) {
      worker.finish()
      worker.process?.kill()
    }
    await this.kafka.close()
  }

  #machine(host: string): Machine {
    const known = this.#machines.get(host)
    if (known !== undefined) return known
    const machine = { disk: new SimulatedDisk(host, this.random.stream(`disk of ${host}`)), skewMs: 0 }
    this.#machines.set(host, machine)
    return machine
  }

  #brokerLog(): Logger {
    const line = (text: string): void => {
      this.trace.add('kafka', text)
      this.#options.onBrokerLine?.(text)
    }
    return { ...silentLogger, info: line, warn: line, error: line }
  }

  #startKafka(): EmbeddedKafka {
    const { nodes = 1, transactionVersion = 2, producerEpochMax } = this.#options
    const random = this.random.stream('markers')
    const host = 'kafka'
    const process = new SimulatedProcess({
      name: host,
      time: this.time,
      random: this.random.stream(host),
      costMs: 0,
      skewMs: () => 0,
    })
    const disk = this.#machine(host).disk.portFor(process)
    return EmbeddedKafka.inMemory({
      ports: process.ports(this.net.portFor(process, host), disk),
      log: this.#brokerLog(),
      nodes,
      host,
      settings: {
        transactionVersion,
        coordinatorPartitions,
        transactionCleanupIntervalMs,
        markerDelayMs: () => (this.markerDelayMs === 0 ? 0 : random.below(this.markerDelayMs)),
        ...(producerEpochMax === undefined ? {} : { producerEpochMax }),
      },
    })
  }
}

const sessionLink = (link: {
  write(bytes: Buffer): void
  end(): void
}): { write(bytes: Buffer): undefined; end(): void } => ({
  write: (bytes) => {
    link.write(bytes)
    return undefined
  },
  end: () => link.end(),
})
