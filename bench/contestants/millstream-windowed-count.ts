// `windowed-count` as a topology: as `count`, of each key in windows of a minute.
import {
  bytes,
  int64,
  string,
  type Topology,
  topic,
  topology,
  tumbling,
  windowed,
  windowStore,
} from '../../src/index.ts'
import { windowGraceMs, windowMs } from './works.ts'

const windows = tumbling({ sizeMs: windowMs, graceMs: windowGraceMs })

export const windowedCountTopology = (input: string, output: string, onRecord: () => void): Topology =>
  topology('bench-windowed-count', (t) => {
    t.stream(topic(input, { key: string, value: bytes }))
      .peek(onRecord)
      .groupByKey()
      .windowedBy(windows)
      .count(windowStore('counts', { key: string, value: int64 }))
      .toStream()
      .to(topic(output, { key: windowed(string, windows), value: int64 }))
  })
