// Owns the conversation with the judge: Kafka's own Java clients in one long-lived process (test/java), asked over
// lines of JSON. What the judge reads is the truth that the tests compare with.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { buildJavaProject } from './java.ts'
import type { PackedPart, SteadyFeed, SteadyFeedOptions } from './judge-streams.ts'

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
export type Isolation = 'read_committed' | 'read_uncommitted'
export type Header = readonly [key: string, value: Buffer | null]

/** A record as the Java consumer returned it. */
export interface JudgedRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly Header[]
}

/** A record to write. Text is taken as UTF-8; without a partition Java's own partitioner decides. */
export interface RecordToWrite {
  readonly partition?: number | undefined
  readonly offset?: number | undefined
  readonly timestamp?: number | undefined
  readonly key?: Uint8Array | string | null | undefined
  readonly value?: Uint8Array | string | null | undefined
  readonly headers?: ReadonlyArray<readonly [string, Uint8Array | string | null]> | undefined
}

export interface DumpOptions {
  /** Default read_committed. */
  readonly isolation?: Isolation | undefined
  readonly partition?: number | undefined
  /** First offset, of every partition that is read; default: the beginning. */
  readonly fromOffset?: number | undefined
  readonly fetchMaxBytes?: number | undefined
  readonly maxPartitionFetchBytes?: number | undefined
  readonly timeoutMs?: number | undefined
}

export interface Dump {
  /** Ordered by offset within a partition. */
  readonly records: JudgedRecord[]
  /** Where reading ended, by partition: the last stable offset (read_committed) or the high watermark. */
  readonly ends: Readonly<Record<number, number>>
}

export interface ProducerOptions {
  readonly transactionalId?: string | undefined
  readonly compression?: Compression | undefined
  /** Any further setting of the Java producer. */
  readonly settings?: Readonly<Record<string, string>> | undefined
}

/** A Java producer, driven step by step. Each `send` makes one batch per partition and waits for its acknowledgement. */
export interface JudgeProducer {
  begin(): Promise<void>
  send(
    topic: string,
    records: readonly RecordToWrite[],
  ): Promise<ReadonlyArray<readonly [partition: number, offset: number]>>
  sendOffsets(group: string, offsets: readonly GroupOffset[]): Promise<void>
  commit(): Promise<void>
  abort(): Promise<void>
  close(): Promise<void>
  /** Closes without ending an open transaction: the broker sees a producer that died. */
  abandon(): Promise<void>
}

export interface TopicToCreate {
  readonly name: string
  readonly partitions?: number | undefined
  readonly replicationFactor?: number | undefined
  readonly settings?: Readonly<Record<string, string>> | undefined
}

export interface GroupOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata?: string | undefined
}

export interface PartitionOffsets {
  readonly partition: number
  readonly earliest: number
  readonly highWatermark: number
  readonly lastStable: number
}

export interface GroupDescription {
  readonly state: string
  /** Node id of the broker that coordinates it. */
  readonly coordinator: number
  readonly assignor: string
  readonly members: ReadonlyArray<{
    readonly memberId: string
    readonly instanceId: string | null
    readonly clientId: string
    /** As the broker sees it, after a slash. */
    readonly host: string
    readonly partitions: ReadonlyArray<readonly [topic: string, partition: number]>
  }>
}

export interface TransactionListing {
  readonly transactionalId: string
  readonly producerId: number
  /** Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, Empty, ... */
  readonly state: string
}

export interface TransactionDescription extends TransactionListing {
  readonly producerEpoch: number
  readonly timeoutMs: number
  readonly partitions: ReadonlyArray<readonly [topic: string, partition: number]>
}

export interface ProducerStateEntry {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly openTransactionStart: number | null
}

/** What a batch is to contain; `marker` makes a control batch instead. */
export interface BatchToEncode {
  readonly records?: readonly RecordToWrite[] | undefined
  readonly marker?: 'commit' | 'abort' | undefined
  readonly compression?: Compression | undefined
  readonly baseOffset?: number | undefined
  readonly producerId?: number | undefined
  readonly producerEpoch?: number | undefined
  readonly baseSequence?: number | undefined
  readonly leaderEpoch?: number | undefined
  readonly transactional?: boolean | undefined
  readonly timestamp?: number | undefined
  readonly coordinatorEpoch?: number | undefined
}

export interface DecodedBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly sizeInBytes: number
  readonly compression: Compression
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly leaderEpoch: number
  readonly transactional: boolean
  readonly control: boolean
  readonly records: ReadonlyArray<Omit<JudgedRecord, 'partition'>>
}

interface Line {
  readonly id?: number
  readonly more?: unknown[]
  readonly result?: unknown
  readonly error?: string
}

interface Call {
  /** Takes the parts of a long answer as they come. */
  readonly take: (part: unknown) => void
  resolve(result: unknown): void
  reject(error: Error): void
}

type RawRecord = Omit<JudgedRecord, 'key' | 'value' | 'headers'> & {
  readonly key: string | null
  readonly value: string | null
  readonly headers: ReadonlyArray<readonly [string, string | null]>
}

const fromBase64 = (text: string | null): Buffer | null =>
  text === null ? null : Buffer.from(text, 'base64')

const toBase64 = (bytes: Uint8Array | string | null | undefined): string | null =>
  bytes === null || bytes === undefined ? null : Buffer.from(bytes as Uint8Array).toString('base64')

const readRecord = (raw: RawRecord): JudgedRecord => ({
  ...raw,
  key: fromBase64(raw.key),
  value: fromBase64(raw.value),
  headers: raw.headers.map(([key, value]) => [key, fromBase64(value)] as const),
})

const writeRecord = (record: RecordToWrite): object => ({
  ...record,
  key: toBase64(record.key),
  value: toBase64(record.value),
  headers: (record.headers ?? []).map(([key, value]) => [key, toBase64(value)]),
})

const projectDirectory = path.resolve(import.meta.dirname, '../java')

export class Judge implements AsyncDisposable {
  readonly #child: ReturnType<typeof spawn>
  readonly #calls = new Map<number, Call>()
  #lastId = 0
  #producers = 0
  #followers = 0
  #errors = ''
  #ended: Error | undefined

  private constructor(child: ReturnType<typeof spawn>) {
    this.#child = child
    child.stderr?.on('data', (bytes: Buffer) => {
      this.#errors = (this.#errors + bytes.toString()).slice(-4000)
    })
    child.stdin?.on('error', () => undefined)
    child.once('close', (code, signal) => {
      this.#ended = new Error(`the judge ended (code ${code}, signal ${signal}): ${this.#errors}`)
      for (const call of this.#calls.values()) call.reject(this.#ended)
      this.#calls.clear()
    })
  }

  /** Compiles the judge on first use and starts it. The process ends with stop(), and with us: its input ends. */
  static async start(
    brokers: readonly string[],
    onProgress: (line: string) => void = () => undefined,
  ): Promise<Judge> {
    const { java, classPath } = await buildJavaProject(projectDirectory, onProgress)
    const light = [
      '-Xmx512m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    ]
    const args = [...light, ...classPath, 'millstream.judge.Judge', brokers.join(',')]
    const child = spawn(java, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    await once(child, 'spawn')
    const judge = new Judge(child)
    await new Promise<void>((resolve, reject) => {
      const failed = (): void => reject(judge.#ended ?? new Error('the judge ended'))
      child.once('close', failed)
      createInterface({ input: child.stdout }).on('line', (text) => {
        const line = JSON.parse(text) as Line
        if (line.id !== undefined) return judge.#take(line.id, line)
        child.off('close', failed)
        resolve()
      })
    })
    return judge
  }

  get pid(): number {
    return this.#child.pid as number
  }

  #take(id: number, line: Line): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    if (line.more !== undefined) {
      for (const part of line.more) call.take(part)
      return
    }
    this.#calls.delete(id)
    if (line.error !== undefined) call.reject(new Error(line.error))
    else call.resolve(line.result)
  }

  async #ask(command: string, request: object, take: (part: unknown) => void): Promise<unknown> {
    if (this.#ended !== undefined) throw this.#ended
    const id = ++this.#lastId
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#calls.set(id, { take, resolve, reject })
    })
    this.#child.stdin?.write(`${JSON.stringify({ ...request, id, command })}\n`)
    return answer.catch((error: Error) => {
      // The stack of the caller, not that of the line reader.
      throw new Error(`judge, ${command}: ${error.message}`, { cause: error })
    })
  }

  async #result<T>(command: string, request: object = {}): Promise<T> {
    return (await this.#ask(command, request, () => undefined)) as T
  }

  /**
   * Everything that the Java consumer sees up to the end as it is now. In read_committed it waits up to a second for the
   * transactions that are open: EndTxn is answered before its markers are written.
   */
  async dump(topic: string, options: DumpOptions = {}): Promise<Dump> {
    const records: JudgedRecord[] = []
    const take = (raw: unknown): void => void records.push(readRecord(raw as RawRecord))
    const ends = await this.#ask('dump', { topic, ...options }, take)
    return { records, ends: ends as Record<number, number> }
  }

  async openProducer(options: ProducerOptions = {}): Promise<JudgeProducer> {
    const producer = `producer-${++this.#producers}`
    await this.#result('openProducer', { producer, ...options })
    const step = (command: string, request: object = {}): Promise<void> =>
      this.#result(command, { producer, ...request })
    return {
      begin: () => step('begin'),
      send: (topic, records) => this.#result('send', { producer, topic, records: records.map(writeRecord) }),
      sendOffsets: (group, offsets) => step('sendOffsets', { group, offsets }),
      commit: () => step('commit'),
      abort: () => step('abort'),
      close: () => step('closeProducer'),
      abandon: () => step('closeProducer', { abandon: true }),
    }
  }

  /** Writes records with a producer of their own, in one batch per partition. */
  async produce(
    topic: string,
    records: readonly RecordToWrite[],
    options: ProducerOptions = {},
  ): Promise<void> {
    const producer = await this.openProducer(options)
    try {
      if (options.transactionalId !== undefined) await producer.begin()
      await producer.send(topic, records)
      if (options.transactionalId !== undefined) await producer.commit()
    } finally {
      await producer.close()
    }
  }

  /**
   * Follows a topic as a reader of committed records, from its beginning: until `stop`, or to its end as it is now.
   * `ended` is settled when the last part was given.
   */
  follow(
    topic: string,
    onPart: PackedPart,
    options: { untilEnd?: boolean } = {},
  ): { readonly ended: Promise<void>; stop(): Promise<void> } {
    const follow = `follower-${++this.#followers}`
    const ended = this.#ask('follow', { topic, follow, ...options }, (part) => {
      const [partition, position, packed] = part as [number, number, string]
      onPart(partition, position, Buffer.from(packed, 'base64'))
    }).then(() => undefined)
    const stop = async (): Promise<void> => {
      await this.#result('unfollow', { follow })
      await ended
    }
    return { ended, stop }
  }

  /** Begins to feed a topic a second from now. */
  async feedSteadily(options: SteadyFeedOptions): Promise<SteadyFeed> {
    const feed = options.name
    await this.#result('feed', { ...options, feed })
    return {
      state: () => this.#result('feedState', { feed }),
      stop: () => this.#result('stopFeed', { feed }),
    }
  }

  /** Creates topics and waits until their partitions have leaders. */
  /** Records are kept for ever unless `settings` says otherwise: those of tests may be years old. */
  createTopics(...topics: TopicToCreate[]): Promise<void> {
    const kept = topics.map((one) => ({ ...one, settings: { 'retention.ms': '-1', ...one.settings } }))
    return this.#result('createTopics', { topics: kept })
  }

  deleteTopics(...topics: string[]): Promise<void> {
    return this.#result('deleteTopics', { topics })
  }

  /** The settings made on the topic itself. */
  topicSettings(topic: string): Promise<Record<string, string>> {
    return this.#result('topicSettings', { topic })
  }

  setTopicSetting(topic: string, name: string, value: string): Promise<void> {
    return this.#result('setTopicSetting', { topic, name, value })
  }

  /** How many partitions of the cluster lack a replica in sync. */
  underReplicated(): Promise<number> {
    return this.#result('underReplicated')
  }

  offsets(topic: string): Promise<PartitionOffsets[]> {
    return this.#result('offsets', { topic })
  }

  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void> {
    return this.#result('deleteRecords', { topic, partition, beforeOffset })
  }

  groupOffsets(
    group: string,
    options: { requireStable?: boolean } = {},
  ): Promise<Array<Required<GroupOffset>>> {
    return this.#result('groupOffsets', { group, ...options })
  }

  /** As an operator's tool does it; the group must have no members. */
  setGroupOffsets(group: string, offsets: readonly GroupOffset[]): Promise<void> {
    return this.#result('setGroupOffsets', { group, offsets })
  }

  /** Removes the group with its offsets; it must have no members. */
  deleteGroup(group: string): Promise<void> {
    return this.#result('deleteGroup', { group })
  }

  /** Puts a static member out of its group, as an operator's tool does (KIP-345). */
  removeMember(group: string, instance: string): Promise<void> {
    return this.#result('removeMember', { group, instance })
  }

  /** Gives a topic more partitions. */
  addPartitions(topic: string, partitions: number): Promise<void> {
    return this.#result('addPartitions', { topic, partitions })
  }

  describeGroup(group: string): Promise<GroupDescription> {
    return this.#result('describeGroup', { group })
  }

  listTransactions(): Promise<TransactionListing[]> {
    return this.#result('listTransactions')
  }

  describeTransactions(...transactionalIds: string[]): Promise<TransactionDescription[]> {
    return this.#result('describeTransactions', { transactionalIds })
  }

  describeProducers(topic: string, partition: number): Promise<ProducerStateEntry[]> {
    return this.#result('describeProducers', { topic, partition })
  }

  /** Finalized features of the cluster, for instance `transaction.version`. */
  features(): Promise<Record<string, number>> {
    return this.#result('features')
  }

  /** Changes settings of a topic, as an operator does while workers run. */
  alterTopic(topic: string, settings: Readonly<Record<string, string>>): Promise<void> {
    return this.#result('alterTopic', { topic, settings })
  }

  /** Sets quotas of a client id (`producer_byte_rate`, ...); null takes one away. */
  clientQuotas(clientId: string, quotas: Readonly<Record<string, number | null>>): Promise<void> {
    return this.#result('clientQuotas', { clientId, quotas })
  }

  /** A consumer of the new group protocol (KIP-848): `joined`, or the name of what refused it. */
  joinNewProtocol(group: string, topic: string, timeoutMs = 10_000): Promise<string> {
    return this.#result('joinNewProtocol', { group, topic, timeoutMs })
  }

  /** Raises or lowers transaction.version of the running cluster. */
  setTransactionVersion(level: 1 | 2): Promise<void> {
    return this.#result('setTransactionVersion', { level, lower: level === 1 })
  }

  /** Golden bytes: a RecordBatch written by Kafka's own record code. */
  async encodeBatch(batch: BatchToEncode): Promise<Buffer> {
    const records = batch.records?.map(writeRecord)
    return Buffer.from(await this.#result<string>('encodeBatch', { ...batch, records }), 'base64')
  }

  /** Reads batches with Kafka's own record code, CRC checked. */
  async decodeBatches(bytes: Uint8Array): Promise<DecodedBatch[]> {
    const batches = await this.#result<DecodedBatch[]>('decodeBatches', { bytes: toBase64(bytes) })
    const records = (batch: DecodedBatch): JudgedRecord[] =>
      (batch.records as unknown as RawRecord[]).map(readRecord)
    return batches.map((batch) => ({ ...batch, records: records(batch) }))
  }

  /** Ends the process: its input is closed, and after 5 s it is killed by its pid. */
  async stop(): Promise<void> {
    if (this.#ended !== undefined) return
    const closed = once(this.#child, 'close')
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000)
    await closed
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

export const startJudge = (brokers: readonly string[], onProgress?: (line: string) => void): Promise<Judge> =>
  Judge.start(brokers, onProgress)
