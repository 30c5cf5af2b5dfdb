// An input of the test driver: records are encoded by the serdes of the handle into a batch, as a producer would, so
// that the task reads real bytes.
import { invariant } from '../../base/assert.ts'
import type { BatchBuilder } from '../../record/batch-builder.ts'
import type { Appended } from '../../runtime/create-producer.ts'
import { type OutputTopic, RecordCollector } from '../../task/record-collector.ts'
import { StreamRecord } from '../../topology/stream-record.ts'
import type { InputRecord, SendOptions, TestInput } from './contracts.ts'
import type { DriverEngine } from './driver-engine.ts'
import { misused } from './misused.ts'
import type { TopicLog } from './topic-log.ts'

type AnyRecord = InputRecord<unknown, unknown>

/** Shared by all handles of one topic: its time, and whose turn it is among the partitions. */
export class InputState {
  aheadMs = 0
  spare = 0
}

export class DriverInput implements TestInput<unknown, unknown> {
  readonly topic: string
  readonly #engine: DriverEngine
  readonly #output: OutputTopic
  readonly #state: InputState
  readonly #log: TopicLog
  readonly #collector: RecordCollector
  /** Of the record that is being sent. */
  #wanted: number | undefined
  /** Where the last record is. */
  #appended: Appended | undefined

  constructor(engine: DriverEngine, handle: Pick<OutputTopic, 'name' | 'key' | 'value'>, state: InputState) {
    this.topic = handle.name
    this.#engine = engine
    this.#output = engine.topics.writable(handle.name, handle)
    this.#state = state
    this.#log = engine.topics.log(handle.name)
    this.#collector = new RecordCollector((_, partition, builder) => this.#write(partition, builder), {
      batchBytes: this.#output.batchBytesMax,
    })
  }

  send(...given: [unknown, unknown, (SendOptions | undefined)?] | [AnyRecord]): Appended {
    this.#engine.assertOpen()
    const record: AnyRecord = given.length === 1 ? given[0] : { ...given[2], key: given[0], value: given[1] }
    const appended = this.#append(record)
    this.#engine.run()
    return appended
  }

  sendAll(records: Iterable<AnyRecord>, options: { readonly advanceMs?: number } = {}): Appended[] {
    return Array.from(records, (record) => {
      const appended = this.send(record)
      this.advanceTime(options.advanceMs ?? 0)
      return appended
    })
  }

  advanceTime(ms: number): void {
    this.#engine.assertOpen()
    if (!Number.isSafeInteger(ms)) throw misused(`an input cannot be advanced by ${ms} ms`)
    this.#state.aheadMs += ms
  }

  #append({ key, value, timestamp, headers, partition: wanted }: AnyRecord): Appended {
    const partitions = this.#log.partitions.length
    if (wanted !== undefined && !(Number.isInteger(wanted) && wanted >= 0 && wanted < partitions))
      throw misused(`the topic has no partition ${wanted}`, { topic: this.topic, partitions })
    const record = StreamRecord.of({
      key,
      value,
      timestamp: timestamp ?? this.#engine.clock.now() + this.#state.aheadMs,
      headers: headers ?? [],
    })
    const collector = this.#collector
    this.#wanted = wanted
    collector.beginRecord()
    try {
      collector.collect(this.#output, record, this.#state.spare)
    } catch (error) {
      collector.undoRecord()
      throw error
    }
    if (record.keyIsNull && wanted === undefined) this.#state.spare++
    collector.finishRecord()
    collector.flush()
    invariant(this.#appended !== undefined, 'a record that was sent is appended', { topic: this.topic })
    return this.#appended
  }

  #write(chosen: number, builder: BatchBuilder): void {
    const partition = this.#wanted ?? chosen
    const offset = this.#log.append(partition, builder, false)
    this.#appended = { topic: this.topic, partition, offset }
  }
}
