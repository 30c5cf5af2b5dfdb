// What a module may add for `millstream dev`, as its named export `dev`: where input comes from, what is shown while it
// runs, and how the result is checked. It is no part of the topology, and `millstream run` never looks at it.
import type { ProducerRecord } from '../runtime/create-producer.ts'
import type { TopicDefinition } from '../topology/contracts.ts'
import type { TopicHandle } from '../topology/handles.ts'

/** A line of a text file. */
export interface TextLine {
  /** `docs/settings.md:12` */
  readonly place: string
  readonly text: string
}

/** Where `feed` takes from and sends to. Everything ends by itself when the command is to end. */
export interface DevInput {
  /**
   * Sends a record; resolves when there is room for the next one. What could not be delivered ends the command.
   */
  send<K, V, KW, VW>(topic: TopicHandle<K, V, KW, VW>, record: ProducerRecord<KW, VW>): Promise<void>
  /** Lines of the files below the current folder that match a glob; what is installed or built is left out. */
  linesOf(pattern: string): AsyncIterable<TextLine>
  /** Lines that are piped into the command or typed. */
  typedLines(): AsyncIterable<string>
  /** Waits, so that the eye can follow. */
  pause(durationMs: number): Promise<void>
  /** Aborted when the command is to end. */
  readonly stopping: AbortSignal
}

/** A picture of an output topic. */
export interface DevView<K = unknown, V = unknown> {
  readonly topic: TopicDefinition
  /** Called with each committed record of the topic, also those that were there before. */
  add(record: { readonly key: K; readonly value: V }): void
  /** The picture for a terminal, drawn over the last one. */
  table(): readonly string[]
  /** The picture as one line, for a log. */
  summary(): string
}

/** A record as another client than millstream read it (read_committed). */
export interface RawRecord {
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export interface DevVerdict {
  readonly recordsIn: number
  readonly counted: number
  readonly lost: number
  readonly duplicated: number
  /** What is wrong, for a person; the first lines of it are shown. */
  readonly differences?: readonly string[]
}

export interface DevScript {
  feed?(input: DevInput): Promise<void>
  view?(): DevView
  /** Counts again, from the bytes of whole topics, with nothing of what the topology uses. */
  verify?(read: (topic: string) => Promise<readonly RawRecord[]>): Promise<DevVerdict>
}
