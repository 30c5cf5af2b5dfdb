// Repartition topics: a sink that writes them, and a source that reads them in another sub-topology.
import { type SerdeOrSchema, toSerde, type WriteOf } from '../serde/serde-or-schema.ts'
import type { RepartitionDefinition, TopicDefinition } from './contracts.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import { repartitionPlace } from './places.ts'

export interface RepartitionSettings {
  /** The topic is `<application.id>-<name>-repartition`. */
  readonly name: string
  /** Number of partitions. Default: as many as the largest input of the sub-topology that writes it. */
  readonly partitions?: number
  /** Topic settings that override ours. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A serde or schema `S` that can write a `T`; else a type that says what does not fit. */
export type Writing<T, S> = [T] extends [WriteOf<S>]
  ? S
  : { readonly 'this serde writes': WriteOf<S>; readonly 'but the stream carries': T }

/** A repartition topic: its name and the serdes of what passes through it. */
export interface RepartitionOptions<K, V, KS, VS> extends RepartitionSettings {
  readonly key: Writing<K, KS>
  readonly value: Writing<V, VS>
}

/** As `RepartitionOptions`, where the function before it answers the key. */
export interface GroupByOptions<V, KS, VS> extends RepartitionSettings {
  readonly key: KS
  readonly value: Writing<V, VS>
}

export interface LooseRepartition extends Omit<RepartitionSettings, 'partitions'> {
  readonly partitions?: RepartitionDefinition['partitions']
  readonly key: SerdeOrSchema
  readonly value: SerdeOrSchema
}

/** Adds the sink and the source of a repartition topic. */
export const repartition = (
  builder: GraphBuilder,
  upstream: readonly Upstream[],
  options: LooseRepartition,
): Upstream => {
  const { name } = options
  const topic: TopicDefinition = Object.freeze({
    name,
    key: toSerde(
      options.key,
      `the key of repartition topic ${name}`,
      repartitionPlace('key', name),
    ) as TopicDefinition['key'],
    value: toSerde(
      options.value,
      `the value of repartition topic ${name}`,
      repartitionPlace('value', name),
    ) as TopicDefinition['value'],
  })
  builder.addRepartition(
    Object.freeze({ name, partitions: options.partitions, settings: options.settings ?? {} }),
  )
  builder.addSink(upstream, [topic], true, undefined)
  return builder.addSource(topic, undefined, true)
}
