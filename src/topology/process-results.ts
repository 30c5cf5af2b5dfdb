// The types of what `process` and `processValues` of a stream answer.
import type { OutputType, ValueOutputType } from './handles.ts'
import type { RecordStream } from './stream.ts'

/** What `process` answers: nothing, a stream, or streams by the names of the outputs. */
export type ProcessResult<O> = O extends undefined
  ? undefined
  : O extends OutputType<infer K, infer V>
    ? RecordStream<K, V>
    : { readonly [N in keyof O]: O[N] extends OutputType<infer K, infer V> ? RecordStream<K, V> : never }

/** What `processValues` answers: as `ProcessResult`, with the keys as they are. */
export type ProcessValuesResult<K, O> = O extends undefined
  ? undefined
  : O extends ValueOutputType<infer V>
    ? RecordStream<K, V>
    : { readonly [N in keyof O]: O[N] extends ValueOutputType<infer V> ? RecordStream<K, V> : never }
