// Collects what the records in hand put out: every output record goes straight into the batch of its partition. A
// record is atomic: what it appended since `beginRecord` can be taken back, and a batch leaves the collector only
// between records. One per worker, since its producer has one batch per partition, too.
import { MillstreamError, ensureError } from '../errors.ts'
import { appendedSize, BatchBuilder, batchMemory, type ValueEncoder } from '../record/batch-builder.ts'
import { batchOverheadBytes } from '../record/batch-view.ts'
import { partitionForKey } from '../record/murmur2.ts'
import type { RecordHeader } from '../record/record-cursor.ts'
import type { Serde } from '../serde/serde.ts'
import type { RecordBytes, StreamRecord } from '../topology/stream-record.ts'

/** An output, changelog or repartition topic as the worker found it on the broker. */
export interface OutputTopic {
  readonly name: string
  readonly partitions: number
  /** max.message.bytes of the topic: what a batch may weigh at most. */
  readonly batchBytesMax: number
  readonly key: Serde<unknown>
  /** Of a key: so many of its last bytes have no say in its partition. */
  readonly keySuffixBytes: number
  readonly value: Serde<unknown>
}

/** Takes a full batch: seals it and sends it. */
export type SendBatch = (
  topic: string,
  partition: number,
  builder: BatchBuilder,
  acknowledged: (baseOffset: number) => void,
) => void

export interface CollectorLimits {
  /** A batch of this size is sent without waiting for the commit. */
  readonly batchBytes: number
}

/** The batch being filled of one output partition. */
class Outlet {
  readonly topic: OutputTopic
  readonly partition: number
  builder: BatchBuilder
  /** Batches that the record in hand filled beyond their limit: they go when it is finished. */
  readonly overflow: BatchBuilder[] = []
  /** The record that touched it last, and what it found. */
  touchedBy = -1
  overflowAtMark = 0
  /** Offset after the last acknowledged record, -1 as long as none was. */
  nextOffset = -1

  constructor(topic: OutputTopic, partition: number, builder: BatchBuilder) {
    this.topic = topic
    this.partition = partition
    this.builder = builder
  }

  mark(): void {
    this.overflowAtMark = this.overflow.length
    this.builder.mark()
  }

  undo(): void {
    if (this.overflow.length > this.overflowAtMark) {
      this.builder = this.overflow[this.overflowAtMark] as BatchBuilder
      this.overflow.length = this.overflowAtMark
    }
    this.builder.undo()
  }
}

const noBytes: Buffer = Buffer.alloc(0)

/** Stands for the value that a record has; no user value can be identical to it. */
const itsOwn: unique symbol = Symbol('its own')

export class RecordCollector {
  readonly #send: SendBatch
  readonly #limits: CollectorLimits
  readonly #outlets = new Map<string, Outlet[]>()
  /** Of the topic that was written to last: nearly always the next one, too. */
  #lastTopic: OutputTopic | undefined
  #lastOutlets: Outlet[] = []
  /** The outlets that the record in hand touched; only the first `#touchedCount` count (truncating an array is slow). */
  readonly #touched: Outlet[] = []
  #touchedCount = 0
  /** Number of the record in hand: an outlet is marked when a record first touches it. */
  #recordNumber = 0
  readonly #batchMemory = batchMemory()
  readonly #keyScratch = new Scratch(1024)
  readonly #valueScratch = new Scratch(16 * 1024)
  #collectedBytes = 0
  #collectedBytesAtMark = 0

  constructor(send: SendBatch, limits: CollectorLimits) {
    this.#send = send
    this.#limits = limits
  }

  /** Bytes handed out since `takeCollectedBytes`: counts towards the early commit. */
  get collectedBytes(): number {
    return this.#collectedBytes
  }

  beginRecord(): void {
    this.#recordNumber++
    this.#touchedCount = 0
    this.#collectedBytesAtMark = this.#collectedBytes
  }

  /** The record succeeded: full batches go out. */
  finishRecord(): void {
    for (let index = 0; index < this.#touchedCount; index++) {
      const outlet = this.#touched[index] as Outlet
      if (outlet.overflow.length > 0) this.#sendOverflow(outlet)
      if (outlet.builder.bytes >= this.#limits.batchBytes) this.#sendBatch(outlet, outlet.builder)
    }
    this.#touchedCount = 0
  }

  /** The record failed: what it appended is taken back, and only that. */
  undoRecord(): void {
    for (let index = 0; index < this.#touchedCount; index++) (this.#touched[index] as Outlet).undo()
    this.#touchedCount = 0
    this.#collectedBytes = this.#collectedBytesAtMark
  }

  /** Sends everything that is collected: between records, before the offsets. */
  flush(): void {
    for (const outlets of this.#outlets.values()) {
      for (const outlet of outlets) {
        if (outlet === undefined) continue
        if (outlet.builder.count > 0) this.#sendBatch(outlet, outlet.builder)
      }
    }
    this.#collectedBytes = 0
  }

  /** Forgets everything that was not sent (abort). */
  reset(): void {
    for (const outlets of this.#outlets.values()) {
      for (const outlet of outlets) {
        if (outlet === undefined) continue
        outlet.builder.reset()
        outlet.overflow.length = 0
        outlet.nextOffset = -1
      }
    }
    this.#touchedCount = 0
    this.#collectedBytes = 0
  }

  /** Appends a record to an output topic, to the partition of its key; one without a key goes to `spare`. @returns where */
  collect(topic: OutputTopic, record: StreamRecord<unknown, unknown>, spare: number): number {
    return this.collectValue(topic, record, itsOwn, spare)
  }

  /** As `collect`, of the record with this value. */
  collectValue(
    topic: OutputTopic,
    record: StreamRecord<unknown, unknown>,
    value: unknown,
    spare: number,
  ): number {
    const bytes = keyAsWritten(topic, record)
    const key = bytes === undefined ? this.#encodeKey(topic, record.key) : bytes.source
    const start = bytes === undefined ? 0 : bytes.keyStart
    const length = bytes === undefined ? this.#keyScratch.length : bytes.keyLength
    const partition =
      length < 0
        ? spare % topic.partitions
        : partitionForKey(key, start, length - topic.keySuffixBytes, topic.partitions)
    this.#appendRecord(topic, partition, record, value, key, start, length)
    return partition
  }

  /** As `collect`, to a partition that the topic has. */
  collectTo(topic: OutputTopic, record: StreamRecord<unknown, unknown>, partition: number): void {
    const bytes = keyAsWritten(topic, record)
    if (bytes !== undefined) {
      this.#appendRecord(topic, partition, record, itsOwn, bytes.source, bytes.keyStart, bytes.keyLength)
      return
    }
    const key = this.#encodeKey(topic, record.key)
    this.#appendRecord(topic, partition, record, itsOwn, key, 0, this.#keyScratch.length)
  }

  /** Appends a change of a store to its changelog. @param valueLength -1 deletes the key */
  collectChange(
    topic: OutputTopic,
    partition: number,
    key: Buffer,
    keyStart: number,
    keyLength: number,
    value: Buffer,
    valueStart: number,
    valueLength: number,
    timestamp: number,
    headers?: readonly RecordHeader[],
  ): void {
    const outlet = this.#touch(topic, partition)
    this.#append(outlet, timestamp, key, keyStart, keyLength, value, valueStart, valueLength, headers)
  }

  /** Offset after the last acknowledged record of a partition, -1 when none was in this transaction. */
  nextOffset(topic: string, partition: number): number {
    return this.#outlets.get(topic)?.[partition]?.nextOffset ?? -1
  }

  /** After a commit: acknowledged offsets of the next transaction are told from those of this one. */
  forgetOffsets(): void {
    for (const outlets of this.#outlets.values()) {
      for (const outlet of outlets) if (outlet !== undefined) outlet.nextOffset = -1
    }
  }

  /** The outlet of a partition, marked where the record in hand has not touched it yet. */
  #touch(topic: OutputTopic, partition: number): Outlet {
    const outlet = this.#outlet(topic, partition)
    if (outlet.touchedBy !== this.#recordNumber) {
      outlet.touchedBy = this.#recordNumber
      outlet.mark()
      this.#touched[this.#touchedCount++] = outlet
    }
    return outlet
  }

  #appendRecord(
    topic: OutputTopic,
    partition: number,
    record: StreamRecord<unknown, unknown>,
    value: unknown,
    key: Buffer,
    keyStart: number,
    keyLength: number,
  ): void {
    const outlet = this.#touch(topic, partition)
    const headers = record.withoutHeaders ? undefined : record.headers
    const { timestamp } = record
    const bytes = value === itsOwn ? valueAsWritten(topic, record) : undefined
    if (bytes !== undefined) {
      const { source, valueStart, valueLength } = bytes
      this.#append(outlet, timestamp, key, keyStart, keyLength, source, valueStart, valueLength, headers)
      return
    }
    const made = value === itsOwn ? record.value : value
    if (this.#appendInPlace(outlet, timestamp, key, keyStart, keyLength, made, headers)) return
    const encoded = this.#encodeValue(topic, made)
    this.#append(outlet, timestamp, key, keyStart, keyLength, encoded, 0, this.#valueScratch.length, headers)
  }

  /** The usual way of a value that a processor made. @returns false where it has to go through the scratch. */
  #appendInPlace(
    { builder, topic }: Outlet,
    timestamp: number,
    key: Buffer,
    keyStart: number,
    keyLength: number,
    value: unknown,
    headers: readonly RecordHeader[] | undefined,
  ): boolean {
    const serde = topic.value
    if (serde.encodeInto === undefined) return false
    const before = builder.bytes
    let valueBytes: number
    try {
      if (isNull(serde, value)) return false
      valueBytes = builder.appendEncoded(
        timestamp,
        key,
        keyStart,
        keyLength,
        serde as ValueEncoder<unknown>,
        value,
        headers,
        topic.batchBytesMax,
      )
    } catch (error) {
      throw refused('value', topic, error)
    }
    if (valueBytes < 0) return false
    this.#collectedBytes += builder.bytes - before
    return true
  }

  #append(
    outlet: Outlet,
    timestamp: number,
    key: Buffer,
    keyStart: number,
    keyLength: number,
    value: Buffer,
    valueStart: number,
    valueLength: number,
    headers: readonly RecordHeader[] | undefined,
  ): void {
    const size = appendedSize(keyLength, valueLength, headers)
    if (outlet.builder.bytes + size > outlet.topic.batchBytesMax) this.#makeRoom(outlet, size)
    outlet.builder.append(timestamp, key, keyStart, keyLength, value, valueStart, valueLength, headers)
    this.#collectedBytes += size
  }

  #makeRoom(outlet: Outlet, size: number): void {
    if (size + batchOverheadBytes > outlet.topic.batchBytesMax) {
      throw new MillstreamError('RECORD_TOO_LARGE', {
        what: `an output record of about ${size} bytes is larger than its topic takes`,
        where: {
          output: outlet.topic.name,
          outputPartition: outlet.partition,
          'max.message.bytes': outlet.topic.batchBytesMax,
        },
        fix: 'Raise max.message.bytes of the topic, or make the record smaller.',
      })
    }
    if (outlet.builder.count === 0) return
    outlet.overflow.push(outlet.builder)
    outlet.builder = this.#newBuilder()
  }

  #outlet(topic: OutputTopic, partition: number): Outlet {
    if (topic !== this.#lastTopic) {
      this.#lastTopic = topic
      this.#lastOutlets = this.#outletsOf(topic)
    }
    const outlets = this.#lastOutlets
    const known = outlets[partition]
    if (known !== undefined) return known
    const outlet = new Outlet(topic, partition, this.#newBuilder())
    outlets[partition] = outlet
    return outlet
  }

  #outletsOf(topic: OutputTopic): Outlet[] {
    let outlets = this.#outlets.get(topic.name)
    if (outlets === undefined) {
      outlets = Array.from({ length: topic.partitions })
      this.#outlets.set(topic.name, outlets)
    }
    return outlets
  }

  #newBuilder(): BatchBuilder {
    return new BatchBuilder(8 * 1024, this.#batchMemory)
  }

  #sendOverflow(outlet: Outlet): void {
    for (const builder of outlet.overflow) this.#sendBatch(outlet, builder)
    outlet.overflow.length = 0
  }

  #sendBatch(outlet: Outlet, builder: BatchBuilder): void {
    const { count } = builder
    this.#send(outlet.topic.name, outlet.partition, builder, (baseOffset) => {
      if (baseOffset >= 0) outlet.nextOffset = baseOffset + count
    })
  }

  /** @returns bytes that begin with the key, `#keyScratch.length` of them */
  #encodeKey(topic: OutputTopic, key: unknown): Buffer {
    try {
      return this.#keyScratch.encode(topic.key, key)
    } catch (error) {
      throw refused('key', topic, error)
    }
  }

  /** @returns bytes that begin with the value, `#valueScratch.length` of them */
  #encodeValue(topic: OutputTopic, value: unknown): Buffer {
    try {
      return this.#valueScratch.encode(topic.value, value)
    } catch (error) {
      throw refused('value', topic, error)
    }
  }
}

/** Memory in which one thing after the other is encoded. */
class Scratch {
  /** Of what was encoded last; -1: it is null. */
  length = -1
  #bytes: Buffer

  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes)
  }

  /** @returns bytes that begin with it, until the next call */
  encode(serde: Serde<unknown>, value: unknown): Buffer {
    this.length = -1
    if (isNull(serde, value)) return noBytes
    if (serde.encodeInto === undefined) {
      const bytes = serde.encode(value) as Buffer
      this.length = bytes.length
      return bytes
    }
    for (;;) {
      this.length = serde.encodeInto(value, this.#bytes, 0)
      if (this.length >= 0) return this.#bytes
      this.#bytes = Buffer.allocUnsafeSlow(this.#bytes.length * 2)
    }
  }
}

/** Where the key of the record stands as the serde of the topic would write it. */
const keyAsWritten = (
  { key }: OutputTopic,
  { keyBytes }: StreamRecord<unknown, unknown>,
): RecordBytes<unknown, unknown> | undefined =>
  keyBytes?.keySerde === key && key.acceptsAllBytes && keyBytes.keyLength >= 0 ? keyBytes : undefined

const valueAsWritten = (
  { value }: OutputTopic,
  { valueBytes }: StreamRecord<unknown, unknown>,
): RecordBytes<unknown, unknown> | undefined =>
  valueBytes?.valueSerde === value && value.acceptsAllBytes && valueBytes.valueLength >= 0
    ? valueBytes
    : undefined

const isNull = (serde: Serde<unknown>, value: unknown): boolean => {
  if (serde.encodesNull !== undefined) return serde.encodesNull(value)
  if (value === null || value === undefined)
    throw new TypeError(`it is ${String(value)}, which ${serde.name} does not take`)
  return false
}

const refused = (field: 'key' | 'value', topic: OutputTopic, error: unknown): MillstreamError => {
  // A key or value that the serde of the input refused is decoded here for the first time.
  if (error instanceof MillstreamError) return error
  return new MillstreamError('SERIALIZATION_FAILED', {
    what: `the ${field} cannot be written: ${ensureError(error).message}`,
    where: { output: topic.name, serde: field === 'key' ? topic.key.name : topic.value.name },
    fix: `Make the ${field} fit the serde of the topic, or declare the topic with another one.`,
    cause: error,
  })
}
