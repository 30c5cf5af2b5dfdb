// The public API by name. What is not named here is private.
export { MillstreamError, isMillstreamError } from './errors.ts'
export type { ErrorCode, ErrorDetails, Reaction } from './errors.ts'

export type { Serde } from './serde/serde.ts'
export { bigint64, float64, int32, int64 } from './serde/numbers.ts'
export { bytes, string } from './serde/text.ts'
export { json } from './serde/json.ts'
export { nullable } from './serde/nullable.ts'
export { windowed } from './serde/windowed.ts'
export type { Windowed, WindowLength } from './serde/windowed.ts'
export type { ReadOf, SerdeOrSchema, WriteOf } from './serde/serde-or-schema.ts'

export { output, store, topic, valueOutput, versionedStore, windowStore } from './topology/handles.ts'
export type {
  HeadersStoreHandle,
  OutputType,
  StoreHandle,
  StoreOptions,
  TopicHandle,
  TopicOptions,
  ValueOutputType,
  VersionedStoreHandle,
  VersionedStoreOptions,
  WindowStoreHandle,
  WindowStoreOptions,
} from './topology/handles.ts'
export { globalStore } from './topology/global-table.ts'
export type {
  GlobalStoreHandle,
  GlobalStoreOptions,
  GlobalStoreSettings,
  GlobalTable,
  GlobalTableOptions,
} from './topology/global-table.ts'
export { readOnlyStore } from './topology/read-only-store.ts'
export type {
  ReadOnlyRows,
  ReadOnlyStoreHandle,
  ReadOnlyStoreOptions,
  ReadOnlyStoreSettings,
} from './topology/read-only-store.ts'
export { topicPattern } from './topology/topic-pattern.ts'
export type { TopicPatternHandle } from './topology/topic-pattern.ts'
export { timerStore } from './topology/timers.ts'
export type { Timer, Timers, TimerStoreHandle, TimerStoreOptions } from './topology/timers.ts'
export { topology } from './topology/topology.ts'
export type { TopologyScope } from './topology/topology.ts'
export type { RecordStream } from './topology/stream.ts'
export type { GroupedStream } from './topology/grouped-stream.ts'
export type {
  CogroupAdd,
  CogroupedStream,
  SessionCogroup,
  WindowedCogroup,
} from './topology/cogroup.ts'
export type {
  SessionStream,
  WindowedStream,
  WindowedTable,
  WindowOptions,
} from './topology/windowed-stream.ts'
export type { EarlyOptions } from './topology/early.ts'
export { calendar, hopping, sessions, sliding, tumbling, unlimited } from './topology/windows.ts'
export type {
  CalendarOptions,
  CalendarWindows,
  HoppingOptions,
  Sessions,
  SessionsOptions,
  SlidingOptions,
  SlidingWindows,
  TimeWindows,
  TumblingOptions,
  UnlimitedOptions,
  UnlimitedWindows,
} from './topology/windows.ts'
export { untilTimeLimit, untilWindowCloses } from './topology/suppress.ts'
export type {
  HoldingLimits,
  SuppressOptions,
  TimeLimitOptions,
  UntilTimeLimit,
  UntilWindowCloses,
} from './topology/suppress.ts'
export type { JoinedStream } from './topology/joined-stream.ts'
export { joinStore, within } from './topology/join-windows.ts'
export type { JoinStoreHandle, JoinStoreOptions, JoinWindows } from './topology/join-windows.ts'
export type { SinkOptions, SinkTopic } from './topology/sinks.ts'
export type { TableOptions } from './topology/per-commit.ts'
export type { GroupByOptions, RepartitionOptions, RepartitionSettings } from './topology/repartition.ts'
export type { GroupedTable } from './topology/grouped-table.ts'
export type { ForeignKeyOptions, Row, TableStoreHandle, TableStream } from './topology/table.ts'
export type { AsyncOptions, AsyncProcessorSpec, NamedAsyncOptions } from './topology/asynchronous.ts'
export type { Mapped } from './topology/operators.ts'
export { processor } from './topology/processor.ts'
export type {
  CreatedProcessor,
  Forward,
  InlineProcessor,
  ProcessContext,
  Processor,
  ProcessorSpec,
  StoreOf,
  StoresOf,
} from './topology/processor.ts'
export { valueProcessor } from './topology/value-processor.ts'
export type {
  CreatedValueProcessor,
  ForwardedValue,
  ForwardValue,
  InlineValueProcessor,
  ValueContext,
  ValueProcessor,
  ValueProcessorSpec,
} from './topology/value-processor.ts'
export { StreamRecord } from './topology/stream-record.ts'
export type { RecordHeader } from './record/record-cursor.ts'
export type {
  Cancellable,
  EngineKind,
  InvalidTimestampPolicy,
  ProcessorContext,
  ProcessorInstance,
  PunctuationType,
  Punctuator,
  RecordMetadata,
  ScheduleOptions,
  Topology,
} from './topology/contracts.ts'
export type { AsOfOptions } from './topology/as-of-join.ts'
export type { RowsStoreHandle } from './topology/versioned-table.ts'
export type {
  EntryToPut,
  KeyValue,
  KeyValueStore,
  KeyValueStoreWithHeaders,
  KeyValueWithHeaders,
  KeyVersion,
  ReadOnlyKeyValueStore,
  ReadOnlyVersionedStore,
  ReadOnlyWindowStore,
  ValueTimestampHeaders,
  VersionedStore,
} from './state/contracts.ts'
export type { WrappedNode, WrapProcessor } from './topology/wrap.ts'
export { describeTopology } from './topology/describe.ts'
export type { DescribeOptions, DescriptionFormat } from './topology/describe.ts'

export { createWorker } from './metrics/served-worker.ts'
export type { UncaughtErrorVerdict, Worker, WorkerOptions } from './runtime/create-worker.ts'
export type { GlobalTableStatus } from './runtime/globals.ts'
export type { StandbyStatus } from './runtime/standbys.ts'
export type { RestoreProgress } from './runtime/restore-progress.ts'
export type { WorkerCounts } from './runtime/worker-counts.ts'
export type {
  CommitPhases,
  TaskInputStatus,
  TaskStatus,
  WorkerObserver,
  WorkerStatus,
} from './runtime/worker-status.ts'
export type { WorkerState } from './runtime/worker-state.ts'
export { createProducer } from './runtime/create-producer.ts'
export type { Appended, Producer, ProducerRecord } from './runtime/create-producer.ts'
export { openView } from './runtime/view.ts'
export type { StoreOfTopology, View, ViewOptions } from './runtime/view.ts'
export type { SettingsInput } from './config/settings.ts'
export type { Logger, LogFields, LogLevel } from './base/log.ts'

export type {
  DevInput,
  DevScript,
  DevVerdict,
  DevView,
  RawRecord,
  TextLine,
} from './cli/dev-contract.ts'
