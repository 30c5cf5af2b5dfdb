// `createProducer`: feeds topics from a user's own program, typed by the topic's handle. Idempotent: what is sent once
// is there once, in order per key, as long as the program lives; it is no part of a worker's transaction.
import { type Logger, silentLogger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import type { Ports, TimerHandle } from '../base/ports.ts'
import { partitionId } from '../base/topic-partition.ts'
import { Cluster } from '../client/cluster.ts'
import { IdempotentProducer } from '../client/idempotent-producer.ts'
import { describeTopics } from '../client/topic-admin.ts'
import { resolveSettings, type SettingsInput } from '../config/settings.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError, MillstreamError } from '../errors.ts'
import type { BatchBuilder } from '../record/batch-builder.ts'
import type { RecordHeader } from '../record/record-cursor.ts'
import type { RemoteUse } from '../serde/remote.ts'
import { type OutputTopic, RecordCollector } from '../task/record-collector.ts'
import type { TopicHandle } from '../topology/handles.ts'
import { StreamRecord } from '../topology/stream-record.ts'

export interface ProducerRecord<K, V> {
  readonly key: K
  readonly value: V
  /** Milliseconds since the epoch; default: now. */
  readonly timestamp?: number
  readonly headers?: readonly RecordHeader[]
}

/** Where a record was appended. */
export interface Appended {
  readonly topic: string
  readonly partition: number
  /** -1 where the broker knew the record already from a repeated request. */
  readonly offset: number
}

export interface Producer {
  /**
   * Appends a record; resolves when all in-sync replicas have it. Records of one key keep their order.
   * @throws MillstreamError TOPIC_MISSING, SERIALIZATION_FAILED, RECORD_TOO_LARGE, TRANSACTION_ABORTABLE (not delivered in time)
   */
  send<K, V, KW, VW>(topic: TopicHandle<K, V, KW, VW>, record: ProducerRecord<KW, VW>): Promise<Appended>
  /** Waits for what is on its way and closes the connections. */
  close(): Promise<void>
}

interface Pending {
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: Error) => void
}

/** Records that arrive within this time share requests. */
const lingerMs = 2
const batchBytes = 256 << 10
const requestBytesMax = 8 << 20
/** Kafka's default of max.message.bytes. */
const batchBytesMax = 1_048_588

class FeedingProducer implements Producer {
  readonly #settings: WorkerSettings
  readonly #ports: Ports
  readonly #log: Logger
  readonly #topics = new Map<object, Promise<OutputTopic>>()
  /** In the order of appending, per partition, of the batch being filled. */
  readonly #filling = new Map<string, Pending[]>()
  /** Schema registries that are being asked. */
  readonly #uses = new Set<RemoteUse>()
  readonly #sent = new Set<readonly Pending[]>()
  #collector: RecordCollector
  #connected: Promise<{ cluster: Cluster; producer: IdempotentProducer }> | undefined
  #producer: IdempotentProducer | undefined
  #timer: TimerHandle | undefined
  #spare = 0
  #repairing: Promise<void> | undefined
  #closed = false

  constructor(settings: WorkerSettings, ports: Ports, log: Logger) {
    this.#settings = settings
    this.#ports = ports
    this.#log = log
    this.#collector = this.#newCollector()
  }

  async send<K, V, KW, VW>(
    topic: TopicHandle<K, V, KW, VW>,
    record: ProducerRecord<KW, VW>,
  ): Promise<Appended> {
    if (this.#closed) throw closedError()
    const { cluster, producer } = await this.#connect()
    const output = await this.#output(cluster, topic as unknown as OutputTopic)
    await this.#repairing
    if (this.#closed) throw closedError()
    if (!producer.inTransaction) producer.begin()
    const timestamp = record.timestamp ?? this.#ports.clock.now()
    const stream = StreamRecord.of({
      key: record.key as unknown,
      value: record.value as unknown,
      timestamp,
      headers: record.headers ?? [],
    })
    const appended = Promise.withResolvers<Appended>()
    this.#collector.beginRecord()
    try {
      const partition = this.#collector.collect(output, stream, this.#spare++)
      this.#pendingOf(output.name, partition).push(appended)
    } catch (error) {
      this.#collector.undoRecord()
      throw error
    }
    this.#collector.finishRecord()
    this.#timer ??= this.#ports.timers.set(() => this.#flush(), lingerMs)
    return await appended.promise
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const use of this.#uses) use.close()
    const connected = await this.#connected?.catch(() => undefined)
    if (connected === undefined) return
    this.#flush()
    try {
      await connected.producer.flush()
    } catch (error) {
      this.#log.warn('records were not delivered before the producer closed', {
        cause: ensureError(error).message,
      })
      this.#rejectAll(ensureError(error))
    } finally {
      await connected.cluster.close()
    }
  }

  #connect(): Promise<{ cluster: Cluster; producer: IdempotentProducer }> {
    this.#connected ??= this.#open().catch((error: unknown) => {
      this.#connected = undefined
      throw error
    })
    return this.#connected
  }

  async #open(): Promise<{ cluster: Cluster; producer: IdempotentProducer }> {
    const cluster = await Cluster.connect(this.#settings, this.#ports, this.#log)
    const { requestTimeoutMs, compression } = this.#settings
    const options = {
      requestTimeoutMs,
      compression,
      requestBytesMax,
      deliveryTimeoutMs: 4 * requestTimeoutMs,
    }
    const producer = new IdempotentProducer(cluster, this.#ports, options, this.#log)
    try {
      await producer.init()
    } catch (error) {
      await cluster.close()
      throw error
    }
    this.#producer = producer
    return { cluster, producer }
  }

  #output(cluster: Cluster, topic: OutputTopic): Promise<OutputTopic> {
    const known = this.#topics.get(topic)
    if (known !== undefined) return known
    const found = describeTopics(cluster, [topic.name]).then(async ([description]) => {
      await this.#prepare(topic)
      if (description?.exists)
        return {
          name: topic.name,
          partitions: description.partitions,
          batchBytesMax,
          key: topic.key,
          keySuffixBytes: topic.key.partitionSuffixBytes ?? 0,
          value: topic.value,
        }
      throw new MillstreamError('TOPIC_MISSING', {
        what: 'the topic does not exist',
        where: { topic: topic.name },
        fix: 'Create it first.',
      })
    })
    this.#topics.set(topic, found)
    found.catch(() => this.#topics.delete(topic))
    return found
  }

  /** What has to be known to write to the topic. */
  async #prepare({ key, value }: OutputTopic): Promise<void> {
    for (const { remote } of [key, value]) {
      if (remote === undefined) continue
      const applicationId = this.#settings.applicationId
      const use = remote.source.open({ ports: this.#ports, log: this.#log, applicationId })
      this.#uses.add(use)
      await remote.prepare(use, 'write').finally(() => {
        use.close()
        this.#uses.delete(use)
      })
    }
  }

  #pendingOf(topic: string, partition: number): Pending[] {
    const id = partitionId(topic, partition)
    let list = this.#filling.get(id)
    if (list === undefined) {
      list = []
      this.#filling.set(id, list)
    }
    return list
  }

  #newCollector(): RecordCollector {
    return new RecordCollector((topic, partition, builder) => this.#sendBatch(topic, partition, builder), {
      batchBytes,
    })
  }

  #sendBatch(topic: string, partition: number, builder: BatchBuilder): void {
    const list = this.#pendingOf(topic, partition)
    const pending = list.splice(0, builder.count)
    this.#sent.add(pending)
    this.#producer?.send(topic, partition, builder, (baseOffset) => {
      this.#sent.delete(pending)
      for (const [index, one] of pending.entries())
        one.resolve({ topic, partition, offset: baseOffset < 0 ? -1 : baseOffset + index })
    })
  }

  #flush(): void {
    this.#timer = undefined
    const producer = this.#producer
    if (producer === undefined) return
    // The delivery timeout counts from the first record of a busy period: a partition that takes nothing must fail.
    if (producer.unacknowledgedBytes === 0) producer.begin()
    this.#collector.flush()
    producer.flush().catch((error: unknown) => {
      this.#repairing ??= this.#repair(producer, ensureError(error)).finally(() => {
        this.#repairing = undefined
      })
    })
  }

  /** Delivery failed: everything on its way is refused, and a new producer id begins a new order. */
  async #repair(producer: IdempotentProducer, error: Error): Promise<void> {
    // What is in flight may still be acknowledged: only what is left then has failed.
    await producer.abort()
    this.#rejectAll(error)
    this.#collector = this.#newCollector()
    await producer.init().catch((cause: unknown) => {
      this.#log.warn('the producer could not be initialised again', { cause: ensureError(cause).message })
    })
  }

  #rejectAll(error: Error): void {
    for (const list of [...this.#sent, ...this.#filling.values()]) for (const one of list) one.reject(error)
    this.#sent.clear()
    this.#filling.clear()
  }
}

const closedError = (): MillstreamError => new MillstreamError('CLOSED', { what: 'the producer is closed' })

/**
 * A producer that feeds topics, for instance from a web server. It connects with the first record.
 * @throws MillstreamError SETTING_INVALID with every mistake at once
 */
export const createProducer = (
  settings: SettingsInput,
  options: { readonly log?: Logger; readonly ports?: Ports } = {},
): Producer =>
  new FeedingProducer(
    resolveSettings({ given: settings }, 'producer'),
    options.ports ?? nodePorts,
    options.log ?? silentLogger,
  )
