// Workers on an embedded broker in virtual time, for what takes minutes or a broker at fault: each test says what happens.
import { type LogFields, silentLogger } from '../../../src/base/log.ts'
import { resolveSettings, type SettingsInput } from '../../../src/config/settings.ts'
import type { MillstreamError } from '../../../src/errors.ts'
import { StreamWorker } from '../../../src/runtime/worker.ts'
import { Simulation } from '../../../src/testing/simulation/simulation.ts'
import type { SimulatedProcess } from '../../../src/testing/simulation/simulated-process.ts'
import type { Topology } from '../../../src/topology/contracts.ts'
import { partitionsOf } from '../testing/model-steps.ts'

export interface RunningWorker {
  readonly worker: StreamWorker
  readonly process: SimulatedProcess
  /** What it logged, from info on. */
  readonly lines: { readonly text: string; readonly fields: LogFields }[]
  failure: MillstreamError | undefined
}

const shortSettings: SettingsInput = {
  sessionTimeoutMs: 6000,
  heartbeatIntervalMs: 1000,
  rebalanceTimeoutMs: 3000,
  transactionTimeoutMs: 4000,
  requestTimeoutMs: 2000,
  connectionTimeoutMs: 1000,
  commitIntervalMs: 50,
  fetchWaitMs: 200,
  stateDir: '/state',
}

export class WorkerStand implements AsyncDisposable {
  readonly simulation: Simulation = new Simulation({ seed: 1 })
  #lives = 0

  createTopic(name: string, partitions = 1): void {
    this.simulation.logs.createTopic(name, partitions, { 'retention.ms': '-1' })
  }

  send(topic: string, key: string, value: string): void {
    const timestamp = this.simulation.kafka.state.ports.clock.now()
    this.simulation.logs.append(topic, [{ key: Buffer.from(key), value: Buffer.from(value), timestamp }])
  }

  /** Values of the committed records. */
  committed(topic: string): string[] {
    return this.simulation.logs
      .follow(topic)
      .flatMap(({ committed }) => committed.map(({ value }) => String(value && Buffer.from(value))))
  }

  start(host: string, topology: Topology, settings: SettingsInput = {}): RunningWorker {
    const { simulation } = this
    const { process, ports } = simulation.spawn(host, `${host}.${++this.#lives}`)
    const given = { brokers: [...simulation.brokers], ...shortSettings, ...settings }
    const lines: RunningWorker['lines'] = []
    const line = (text: string, fields: LogFields = {}): void => void lines.push({ text, fields })
    const log = { ...silentLogger, info: line, warn: line, error: line }
    const worker = new StreamWorker(topology, resolveSettings({ given }, topology.name), ports, log)
    const running: RunningWorker = { worker, process, lines, failure: undefined }
    worker.finished.catch((error: MillstreamError) => {
      running.failure = error
    })
    process.enter(() => void worker.start().catch(() => {}))
    return running
  }

  /** Runs until `done`. @throws where it is not done after so long, ms */
  async until(what: string, done: () => boolean, withinMs = 30_000): Promise<void> {
    const { time } = this.simulation
    const endMs = time.nowMs + withinMs
    await time.run(() => time.nowMs >= endMs || done())
    if (!done()) throw new Error(`${what}: not within ${withinMs} ms`)
  }

  async pass(ms: number): Promise<void> {
    const { time } = this.simulation
    const endMs = time.nowMs + ms
    await time.run(() => time.nowMs >= endMs)
  }

  /** KAFKA-20734: the next marker to this partition is left out, and the coordinator takes it for written. */
  leaveOutMarker(topic: string, partition: number): { readonly isLeftOut: boolean } {
    const log = this.simulation.logs.logs(topic)[partition]
    if (log === undefined) throw new Error(`there is no ${topic}-${partition}`)
    const seen = { isLeftOut: false }
    log.appendMarker = () => {
      seen.isLeftOut = true
      Reflect.deleteProperty(log, 'appendMarker')
      return 0
    }
    return seen
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.simulation.close()
  }
}

export const tasksOf = ({ worker }: RunningWorker): string[] => worker.status().tasks.map(({ id }) => id)

/** A key that belongs to this partition of two. */
export const keyIn = (partition: number): string =>
  ['a', 'b', 'c', 'd', 'e'].find((key) => partitionsOf(2)(key) === partition) as string
