// The log of one partition on time that stands still, with settings that a test may change, in memory or on a file.
import { nodePorts } from '../../../src/base/node-ports.ts'
import { codes } from '../../../src/embedded/codes.ts'
import { LogFile } from '../../../src/embedded/log-file.ts'
import { Nodes } from '../../../src/embedded/nodes.ts'
import { PartitionLog } from '../../../src/embedded/partition-log.ts'
import { settingOf } from '../../../src/embedded/topic-settings.ts'
import { AbortedTransactionFilter } from '../../../src/record/aborted-filter.ts'
import { BatchBuilder } from '../../../src/record/batch-builder.ts'
import { type BatchView, readBatches } from '../../../src/record/batch-view.ts'
import type { Compression } from '../../../src/record/compression.ts'
import { crc32c } from '../../../src/record/crc32c.ts'
import { RecordCursor } from '../../../src/record/record-cursor.ts'

export const place = { topic: 'orders', partition: 0 }

export interface LogStand {
  readonly log: PartitionLog
  readonly nodes: Nodes
  readonly settings: Map<string, string>
  pass(ms: number): void
  now(): number
  /** The same file read again, as after a restart. */
  reopen(): PartitionLog
}

export const logStand = (settings: Readonly<Record<string, string>> = {}, path?: string): LogStand => {
  let nowMs = 1_000_000
  const own = new Map(Object.entries(settings))
  const clock = { now: () => nowMs, monotonic: () => nowMs }
  const ports = { ...nodePorts, clock }
  const open = (nodes: Nodes): PartitionLog =>
    new PartitionLog({
      ...place,
      broker: { ports, nodes },
      setting: (name) => settingOf(own, name),
      file: path === undefined ? undefined : new LogFile(nodePorts.disk, path),
    })
  const newNodes = (): Nodes => {
    const nodes = new Nodes(clock, 4)
    for (const nodeId of [1, 2]) nodes.add({ nodeId, host: 'localhost', port: 9090 + nodeId })
    nodes.moveLeader(place.topic, place.partition, 1)
    return nodes
  }
  const nodes = newNodes()
  return {
    log: open(nodes),
    nodes,
    settings: own,
    pass: (ms) => {
      nowMs += ms
    },
    now: () => nowMs,
    reopen: () => open(newNodes()),
  }
}

export interface BatchOptions {
  readonly producerId?: number
  readonly epoch?: number
  readonly sequence?: number
  readonly transactional?: boolean
  readonly timestamp?: number
  readonly compression?: Compression
}

/** `key=value` is a record, `key` alone a tombstone, `=value` one without a key. */
export const batchOf = (records: readonly string[], options: BatchOptions = {}): Buffer => {
  const { producerId = -1, epoch = -1, sequence = -1, transactional = false } = options
  const { timestamp = 1_000_000, compression = 'none' } = options
  const builder = new BatchBuilder(256)
  for (const record of records) {
    const [keyText = '', valueText] = record.split('=')
    const [key, value] = [Buffer.from(keyText), Buffer.from(valueText ?? '')]
    const keyLength = keyText === '' ? -1 : key.length
    builder.append(
      timestamp,
      key,
      0,
      keyLength,
      value,
      0,
      valueText === undefined ? -1 : value.length,
      undefined,
    )
  }
  return builder.seal({
    producerId,
    producerEpoch: epoch,
    baseSequence: sequence,
    transactional,
    compression,
  })
}

/** With other bytes in its header, and a CRC that fits them. */
export const patched = (batch: Buffer, patch: (copy: Buffer) => void): Buffer => {
  const copy = Buffer.from(batch)
  patch(copy)
  copy.writeUInt32BE(crc32c(copy, 21, copy.length), 17)
  return copy
}

export const nameOf = (code: number): string =>
  Object.entries(codes).find(([, value]) => value === code)?.[0] ?? String(code)

export const recordsOf = (view: BatchView): string[] => {
  const cursor = new RecordCursor()
  cursor.reset(view)
  const records: string[] = []
  const text = (start: number, length: number): string =>
    cursor.buffer.toString('utf8', start, start + length)
  while (cursor.next()) {
    const key = cursor.keyLength < 0 ? '' : text(cursor.keyStart, cursor.keyLength)
    const value = cursor.valueLength < 0 ? '' : `=${text(cursor.valueStart, cursor.valueLength)}`
    records.push(`${cursor.offset} ${key}${value}`)
  }
  return records
}

/** The batches that a fetch from `offset` on gives, whatever segments they stand in. */
export const batchesOf = (log: PartitionLog, offset: number = log.startOffset): BatchView[] => {
  const views: BatchView[] = []
  for (let from = offset; ; from = views.at(-1)?.nextOffset ?? from) {
    const read = log.read(from, 1_000_000, false, true)
    if (read === undefined || read.bytes === 0) return views
    const bytes = Buffer.concat(read.parts)
    views.push(...readBatches(bytes, 0, bytes.length, place))
  }
}

/** What a consumer sees that reads the log from `offset` on in fetches of so many bytes. */
export const visible = (
  log: PartitionLog,
  offset: number,
  isCommitted: boolean,
  bytesMax: number,
): string[] => {
  const records: string[] = []
  for (let from = offset; ; ) {
    const read = log.read(from, bytesMax, isCommitted, true)
    if (read === undefined || read.bytes === 0) return records
    const bytes = Buffer.concat(read.parts)
    const views = readBatches(bytes, 0, bytes.length, place)
    const filter = new AbortedTransactionFilter([...read.aborted])
    for (const view of views) {
      const isVisible = isCommitted ? filter.accepts(view) : !view.isControl
      if (isVisible) records.push(...recordsOf(view).filter((record) => Number.parseInt(record, 10) >= from))
      from = Math.max(from, view.nextOffset)
    }
  }
}
