// An output of the test driver: the committed records of a topic, read back from their bytes by the serdes of the handle.
import { isMillstreamError } from '../../errors.ts'
import { RecordCursor } from '../../record/record-cursor.ts'
import type { KeyValue } from '../../state/contracts.ts'
import type { TopicDefinition } from '../../topology/contracts.ts'
import { StreamRecord } from '../../topology/stream-record.ts'
import type { OutputRecord, TestOutput } from './contracts.ts'
import type { DriverEngine } from './driver-engine.ts'
import type { TopicLog } from './topic-log.ts'

/** The place up to which a topic was read; shared by all its outputs. */
export class OutputPlace {
  readonly #log: TopicLog
  readonly #cursor = new RecordCursor()
  #batches = 0
  #hasRecord = false

  constructor(log: TopicLog) {
    this.#log = log
  }

  /** The next record, still unread, or undefined. */
  peek(): RecordCursor | undefined {
    while (!this.#hasRecord) {
      if (this.#cursor.next()) {
        this.#hasRecord = true
        break
      }
      const batch = this.#log.published[this.#batches]
      if (batch === undefined) return undefined
      this.#batches++
      this.#cursor.reset(batch)
    }
    return this.#cursor
  }

  get partition(): number {
    return this.#log.published[this.#batches - 1]?.place.partition ?? 0
  }

  pass(): void {
    this.#hasRecord = false
  }
}

export class DriverOutput<K, V> implements TestOutput<K, V> {
  readonly topic: string
  readonly #engine: DriverEngine
  readonly #serdes: Pick<TopicDefinition, 'key' | 'value'>
  readonly #place: OutputPlace

  constructor(
    engine: DriverEngine,
    topic: string,
    serdes: Pick<TopicDefinition, 'key' | 'value'>,
    place: OutputPlace,
  ) {
    this.topic = topic
    this.#engine = engine
    this.#serdes = serdes
    this.#place = place
  }

  get isEmpty(): boolean {
    this.#engine.assertOpen()
    return this.#place.peek() === undefined
  }

  read(): OutputRecord<K, V> | undefined {
    return this.#next()?.record
  }

  readAll(): OutputRecord<K, V>[] {
    const records: OutputRecord<K, V>[] = []
    for (let next = this.#next(); next !== undefined; next = this.#next()) records.push(next.record)
    return records
  }

  readKeyValues(): KeyValue<K, V>[] {
    return this.readAll().map(({ key, value }) => ({ key, value }))
  }

  toMap(): Map<K, V> {
    const last = new Map<string, OutputRecord<K, V>>()
    for (let next = this.#next(); next !== undefined; next = this.#next()) last.set(next.bytes, next.record)
    return new Map(Array.from(last.values(), ({ key, value }) => [key, value]))
  }

  #next(): { readonly record: OutputRecord<K, V>; readonly bytes: string } | undefined {
    this.#engine.assertOpen()
    const cursor = this.#place.peek()
    if (cursor === undefined) return undefined
    // Passed also where it cannot be read: it is told of once.
    this.#place.pass()
    const { partition } = this.#place
    const { buffer, offset, timestamp, keyStart, keyLength } = cursor
    const record = StreamRecord.overBytes(cursor, this.#serdes)
    const bytes = keyLength < 0 ? 'null' : `=${buffer.toString('latin1', keyStart, keyStart + keyLength)}`
    try {
      const { key, value, headers } = record
      return { record: { key: key as K, value: value as V, timestamp, headers, partition }, bytes }
    } catch (error) {
      if (!isMillstreamError(error)) throw error
      throw error.relocated({ topic: this.topic, partition, offset })
    }
  }
}
