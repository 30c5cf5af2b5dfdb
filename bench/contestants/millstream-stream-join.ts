// `stream-join` as a topology: the records go to two streams, by their id, and both are joined (inner) within a minute
// either way; every pair is written to the output.
import { joinStore, string, type Topology, topic, topology, within } from '../../src/index.ts'
import { isLeft, joined, joinMs, windowGraceMs } from './works.ts'

const texts = { key: string, value: string }
const windows = within({ beforeMs: joinMs, afterMs: joinMs, graceMs: windowGraceMs })

export const streamJoinTopology = (input: string, output: string, onRecord: () => void): Topology =>
  topology('bench-stream-join', (t) => {
    const records = t.stream(topic(input, texts)).peek(onRecord)
    const left = records.filter(({ value }) => isLeft(value))
    const right = records.filterNot(({ value }) => isLeft(value))
    left
      .join(right, joined, windows, joinStore('joined', { key: string, left: string, right: string }))
      .to(topic(output, texts))
  })
