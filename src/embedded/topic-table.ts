// The topics of the embedded broker: their names, ids, numbers of partitions and settings, and the logs of their
// partitions. What there is stands in the journal under the kind 'topic'; the records stand in the files of the logs.
import type { Random } from '../base/ports.ts'
import type { MarkedLog, Topic, Topics } from './broker-state.ts'
import { offsetsTopic, transactionsTopic } from './broker-state.ts'
import { codes } from './codes.ts'
import type { Journal } from './journal.ts'
import { settingOf, settingsProblem } from './topic-settings.ts'

/** What the table asks of a log. */
export interface TableLog extends MarkedLog {
  /** Ends what waits for it. */
  close(): void
}

/** Where logs come from, and what happens to what belongs to a deleted topic. */
export interface LogMaker<Log> {
  create(topic: Topic, partition: number): Log
  deleted(topic: Topic): void
}

interface Answer {
  readonly errorCode: number
  readonly message: string | null
}

interface Kept {
  readonly id: string
  readonly partitions: number
  readonly settings: Readonly<Record<string, string>>
}

const nameLengthMax = 249
const done: Answer = { errorCode: codes.NONE, message: null }

const refused = (errorCode: number, message: string): Answer => ({ errorCode, message })

const newId = (random: Random): string => {
  const id = Buffer.from(random.uuid().replaceAll('-', ''), 'hex').toString('base64url')
  // As Kafka: an id that begins with a dash looks like an option to its tools.
  return id.startsWith('-') ? `a${id.slice(1)}` : id
}

/** What is wrong with the name of a topic, in the words of Kafka. */
export const nameProblem = (name: string): string | undefined => {
  if (name === '') return 'Topic name is invalid: the empty string is not allowed'
  if (name === '.' || name === '..') return `Topic name is invalid: '${name}' is not allowed`
  if (name.length > nameLengthMax)
    return `Topic name is invalid: the length of '${name}' is longer than the max allowed length ${nameLengthMax}`
  return /^[a-zA-Z0-9._-]+$/.test(name)
    ? undefined
    : `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
}

class TableTopic<Log extends TableLog> implements Topic<Log> {
  readonly name: string
  readonly id: string
  readonly isInternal: boolean
  readonly logs: Log[] = []
  settings: ReadonlyMap<string, string>

  constructor(name: string, id: string, settings: ReadonlyMap<string, string>) {
    this.name = name
    this.id = id
    this.isInternal = name === offsetsTopic || name === transactionsTopic
    this.settings = settings
  }

  setting(name: string): string {
    return settingOf(this.settings, name)
  }
}

export class TopicTable<Log extends TableLog> implements Topics<Log> {
  readonly #random: Random
  readonly #journal: Journal
  readonly #maker: LogMaker<Log>
  readonly #topics = new Map<string, TableTopic<Log>>()
  readonly #byId = new Map<string, TableTopic<Log>>()

  constructor(random: Random, journal: Journal, maker: LogMaker<Log>) {
    this.#random = random
    this.#journal = journal
    this.#maker = maker
  }

  /** Opens the topics of the journal with their logs. */
  load(): void {
    for (const [name, value] of this.#journal.entries('topic')) {
      const { id, partitions, settings } = value as Kept
      this.#open(new TableTopic<Log>(name, id, new Map(Object.entries(settings))), partitions)
    }
  }

  close(): void {
    for (const topic of this.#topics.values()) for (const log of topic.logs) log.close()
  }

  get(name: string): Topic<Log> | undefined {
    return this.#topics.get(name)
  }

  byId(id: string): Topic<Log> | undefined {
    return this.#byId.get(id)
  }

  all(): Iterable<Topic<Log>> {
    return this.#topics.values()
  }

  check(
    name: string,
    { partitions, settings = {} }: { partitions: number; settings?: Readonly<Record<string, string>> },
  ): Answer {
    const wrongName = nameProblem(name)
    if (wrongName !== undefined) return refused(codes.INVALID_TOPIC_EXCEPTION, wrongName)
    if (this.#topics.has(name)) return refused(codes.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`)
    // The names of metrics have no dots, so two such topics could not be told apart there.
    const plain = name.replaceAll('.', '_')
    for (const other of this.#topics.keys()) {
      if (other.replaceAll('.', '_') !== plain) continue
      return refused(codes.INVALID_TOPIC_EXCEPTION, `Topic '${name}' collides with existing topic: ${other}`)
    }
    if (partitions <= 0) {
      const text = 'Number of partitions was set to an invalid non-positive value.'
      return refused(codes.INVALID_PARTITIONS, text)
    }
    const wrongSetting = settingsProblem(new Map(Object.entries(settings)))
    return wrongSetting === undefined ? done : refused(codes.INVALID_CONFIG, wrongSetting)
  }

  create(
    name: string,
    options: { readonly partitions: number; readonly settings?: Readonly<Record<string, string>> },
  ): Answer {
    const answer = this.check(name, options)
    if (answer.errorCode !== codes.NONE) return answer
    const topic = new TableTopic<Log>(
      name,
      newId(this.#random),
      new Map(Object.entries(options.settings ?? {})),
    )
    this.#keep(topic, options.partitions)
    this.#open(topic, options.partitions)
    return done
  }

  addPartitions(name: string, count: number): Answer {
    const topic = this.#topics.get(name)
    if (topic === undefined)
      return refused(codes.UNKNOWN_TOPIC_OR_PARTITION, 'This server does not host this topic-partition.')
    const has = topic.logs.length
    if (count === has) return refused(codes.INVALID_PARTITIONS, `Topic already has ${has} partition(s).`)
    if (count < has) {
      const text = `The topic ${name} currently has ${has} partition(s); ${count} would not be an increase.`
      return refused(codes.INVALID_PARTITIONS, text)
    }
    this.#keep(topic, count)
    this.#open(topic, count)
    return done
  }

  delete(name: string): number {
    const topic = this.#topics.get(name)
    if (topic === undefined) return codes.UNKNOWN_TOPIC_OR_PARTITION
    this.#journal.put('topic', name, null)
    this.#topics.delete(name)
    this.#byId.delete(topic.id)
    for (const log of topic.logs) log.close()
    this.#maker.deleted(topic)
    return codes.NONE
  }

  configure(name: string, changes: Readonly<Record<string, string | null>>): Answer {
    const topic = this.#topics.get(name)
    if (topic === undefined)
      return refused(codes.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${name}' does not exist.`)
    const settings = new Map(topic.settings)
    for (const [setting, value] of Object.entries(changes)) {
      if (value === null) settings.delete(setting)
      else settings.set(setting, value)
    }
    const problem = settingsProblem(settings)
    if (problem !== undefined) return refused(codes.INVALID_CONFIG, problem)
    topic.settings = settings
    this.#keep(topic, topic.logs.length)
    return done
  }

  #keep(topic: Topic, partitions: number): void {
    const kept: Kept = { id: topic.id, partitions, settings: Object.fromEntries(topic.settings) }
    this.#journal.put('topic', topic.name, kept)
  }

  #open(topic: TableTopic<Log>, partitions: number): void {
    while (topic.logs.length < partitions) topic.logs.push(this.#maker.create(topic, topic.logs.length))
    this.#topics.set(topic.name, topic)
    this.#byId.set(topic.id, topic)
  }
}
