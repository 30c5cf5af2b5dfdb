// Carries the faults of a plan out, each at its time or at its point of a worker's work, and takes them all away again.
import type { FaultPoint } from '../../base/fault-point.ts'
import type { TopicPartition } from '../../base/topic-partition.ts'
import { transactionalIdOf } from '../../runtime/transactional-id.ts'
import { describeFault, type Fault } from './fault.ts'
import type { ForeignTransaction } from './log-access.ts'
import { epochMs, type SimulatedProcess } from './simulated-process.ts'
import type { Simulation } from './simulation.ts'

/** Heartbeat, JoinGroup, SyncGroup */
const groupKeys = [12, 11, 14]
const foreign = Buffer.from('foreign')

interface Waiting {
  readonly fault: Fault
  left: number
}

export interface FaultTargets {
  readonly applicationId: string
  /** Topics whose leaders may move. */
  readonly topics: readonly string[]
  /** Told of each fault that took place. */
  readonly onFault?: ((fault: Fault) => void) | undefined
  /** Told after a kill, when the disk is as the next life finds it, and how many local transactions it lost. */
  readonly onCrash?: ((host: string, lost: number) => void) | undefined
}

export class FaultRunner {
  readonly #simulation: Simulation
  readonly #targets: FaultTargets
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #foreign = new Set<ForeignTransaction>()
  #isHealed = false
  #happened = 0

  constructor(simulation: Simulation, targets: FaultTargets) {
    this.#simulation = simulation
    this.#targets = targets
  }

  /** How many took place so far. */
  get happened(): number {
    return this.#happened
  }

  plan(faults: readonly Fault[]): void {
    for (const fault of faults) {
      this.#simulation.time.schedule(fault.atMs, undefined, () => {
        if (fault.when === undefined) this.#begin(fault)
        else this.#await(fault)
      })
    }
  }

  /** A process passes one of its points. */
  reached(process: SimulatedProcess, point: FaultPoint): void {
    if (process.state !== 'running' || this.#waiting.size === 0) return
    const key = `${hostOf(process)} ${point}`
    for (const waiting of this.#waiting.get(key) ?? []) {
      waiting.left--
      if (waiting.left === 0) this.#begin(waiting.fault)
    }
  }

  /** From now on nothing is wrong any more, and all that is down comes up. */
  heal(): void {
    this.#isHealed = true
    this.#waiting.clear()
    const { net, trace, workers } = this.#simulation
    trace.add('-', 'everything is healed')
    net.heal()
    this.#simulation.markerDelayMs = 0
    for (const transaction of this.#foreign) this.#endForeign(transaction)
    for (const node of this.#simulation.nodeIds) this.#simulation.startNode(node)
    for (const worker of workers) {
      worker.process?.resume()
      worker.start()
    }
  }

  #await(fault: Fault): void {
    if (this.#isHealed || fault.when === undefined) return
    const key = `${fault.when.host} ${fault.when.point}`
    const list = this.#waiting.get(key) ?? []
    this.#waiting.set(key, list)
    list.push({ fault, left: fault.when.nth })
  }

  #begin(fault: Fault): void {
    if (this.#isHealed) return
    this.#happened++
    this.#simulation.trace.add('fault', describeFault(fault))
    this.#targets.onFault?.(fault)
    this.#carryOut(fault)
  }

  #carryOut(fault: Fault): void {
    const simulation = this.#simulation
    const { net, time } = simulation
    switch (fault.kind) {
      case 'request':
        return net.arm(fault)
      case 'block': {
        const nodes = fault.nodeId === 0 ? simulation.nodeIds : [fault.nodeId]
        for (const nodeId of nodes) net.block(fault.host, nodeId, fault.forMs, fault.direction)
        return
      }
      case 'silence':
        return net.silence(fault.host, groupKeys, fault.forMs)
      case 'put out':
        return this.#putOut(fault.host)
      case 'foreign transaction':
        return this.#openForeign(fault.pick, fault.forMs)
      case 'cut':
        return void net.cut(({ host }) => host === fault.host)
      case 'kill': {
        const worker = simulation.worker(fault.host)
        if (worker === undefined) return
        this.#targets.onCrash?.(fault.host, worker.kill(fault.crash))
        return worker.startIn(fault.downMs)
      }
      case 'pause': {
        const process = simulation.worker(fault.host)?.process
        process?.pause()
        return void time.schedule(fault.forMs, undefined, () => process?.resume())
      }
      case 'restart':
        simulation.worker(fault.host)?.close(fault.leave, fault.downMs)
        return
      case 'move coordinator':
        return this.#moveCoordinator(fault)
      case 'move leader':
        return this.#moveLeader(fault.pick, fault.nodeId)
      case 'stop node':
        if (simulation.nodeIds.length === 1) return
        simulation.stopNode(fault.nodeId)
        return void time.schedule(fault.forMs, undefined, () => simulation.startNode(fault.nodeId))
      case 'slow markers':
        simulation.markerDelayMs = fault.delayMs
        return void time.schedule(fault.forMs, undefined, () => {
          simulation.markerDelayMs = 0
        })
      case 'clock':
        simulation.setClock(fault.host, fault.skewMs)
    }
  }

  #moveCoordinator({ of, host, nodeId, loadMs }: Extract<Fault, { kind: 'move coordinator' }>): void {
    const { applicationId } = this.#targets
    const key = of === 'group' ? applicationId : transactionalIdOf(applicationId, host)
    this.#simulation.kafka.moveCoordinator(of, key, nodeId, loadMs)
  }

  #putOut(host: string): void {
    const group = this.#simulation.kafka.state.groups.get(this.#targets.applicationId)
    group?.leave([{ memberId: '', instanceId: host }])
  }

  #moveLeader(pick: number, nodeId: number): void {
    const chosen = this.#partition(pick)
    if (chosen !== undefined) this.#simulation.kafka.moveLeader(chosen.topic, chosen.partition, nodeId)
  }

  #openForeign(pick: number, forMs: number): void {
    const { logs, time } = this.#simulation
    const chosen = this.#partition(pick)
    if (chosen === undefined) return
    const transaction = logs.beginTransaction()
    const { topic, partition } = chosen
    const record = { key: foreign, value: foreign, timestamp: epochMs, partition }
    logs.append(topic, [record], transaction)
    this.#foreign.add(transaction)
    time.schedule(forMs, undefined, () => this.#endForeign(transaction))
  }

  #endForeign(transaction: ForeignTransaction): void {
    if (this.#foreign.delete(transaction)) this.#simulation.logs.endTransaction(transaction, false)
  }

  #partition(pick: number): TopicPartition | undefined {
    const partitions = this.#targets.topics.flatMap((topic) =>
      this.#simulation.logs.logs(topic).map((_log, partition) => ({ topic, partition })),
    )
    return partitions[pick % Math.max(1, partitions.length)]
  }
}

/** `<host>.<life>` */
const hostOf = ({ name }: SimulatedProcess): string => name.slice(0, name.lastIndexOf('.'))
