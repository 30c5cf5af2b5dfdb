// What a test sees of `simulate`: what it is given, what its invariants may look at, and what comes out.
import type { SettingsInput } from '../../config/settings.ts'
import type { RecordHeader } from '../../record/record-cursor.ts'
import type { Topology } from '../../topology/contracts.ts'
import type { StoreHandle, TopicHandle } from '../../topology/handles.ts'
import type { FaultKind } from './fault.ts'

/** The settings of a worker that mean something in a simulation; some have shorter defaults there. */
export type SimulationSettings = Omit<
  SettingsInput,
  | 'brokers'
  | 'instanceId'
  | 'stateDir'
  | 'httpPort'
  | 'httpHost'
  | 'tls'
  | 'saslMechanism'
  | 'saslUsername'
  | 'saslPassword'
>

export interface SimulatedSendOptions {
  /** Milliseconds since the epoch; default: the time at which the record is appended. */
  readonly timestamp?: number
  readonly headers?: readonly RecordHeader[]
  /** Default: that of the key, as a producer chooses it; the first where the key is null. */
  readonly partition?: number
}

/** What makes the input of one run. */
export interface SimulatedFeed {
  readonly seed: number
  /** A number in [0, 1) that the seed decides: with Math.random a run could not be repeated. */
  random(): number
  /**
   * Puts a record behind those that were sent before, whatever their topic. When each of them is appended the seed
   * decides.
   */
  send<K, V, KW, VW>(
    topic: TopicHandle<K, V, KW, VW>,
    key: KW,
    value: VW,
    options?: SimulatedSendOptions,
  ): void
}

/** A committed record. */
export interface SimulatedRecord<K, V> {
  readonly key: K
  readonly value: V
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
  readonly partition: number
  readonly offset: number
}

/** What a run came to: every fault is over, every input is processed, every worker has closed. */
export interface SimulatedWorld {
  readonly seed: number
  /**
   * The committed records of a topic, partition by partition, in the order of their offsets.
   * @throws DRIVER_MISUSED where the topology has no such topic
   */
  records<K, V>(topic: TopicHandle<K, V, never, never>): SimulatedRecord<K, V>[]
  /** What a store holds, over all its partitions, by the changelog. @throws DRIVER_MISUSED */
  store<K, V>(store: StoreHandle<K, V, never, never>): Map<K, V>
}

/** What the topology of one life of a worker may use, beside its records. */
export interface SimulatedLife {
  /** Resolves after so long in the time of the simulation, as what an asynchronous processor waits for; never once the worker is killed. */
  sleep(ms: number): Promise<void>
  /** A number in [0, 1) that the seed decides. */
  random(): number
}

export interface SimulateOptions {
  /** A function makes another one for each life of a worker, as another process would have. */
  readonly topology: Topology | ((life: SimulatedLife) => Topology)
  /** Called for each run. */
  readonly input: (feed: SimulatedFeed) => void
  /** Throws where something is not as it has to be, for instance by `expect`. Called at the end of each run. */
  readonly invariants: (world: SimulatedWorld) => void | Promise<void>
  /** How many runs, from seed 1 on, or which ones. Default: 50. */
  readonly seeds?: number | readonly number[]
  /** Default: 2. */
  readonly workers?: number
  /** Of each topic that the topology reads or writes. Default: 2. */
  readonly partitions?: number
  /** Which kinds of faults there may be; default: all. `[]`: none. */
  readonly faults?: readonly FaultKind[]
  readonly settings?: SimulationSettings
}

/** What all runs had together. */
export interface SimulationSummary {
  readonly seeds: number
  readonly records: number
  readonly faults: number
  /** How often a worker was killed, closed, or thought dead. */
  readonly failovers: number
  /** Time that passed in the simulation, ms. */
  readonly virtualMs: number
}
