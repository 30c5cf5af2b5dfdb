// `count` as a topology: records counted by the key they have, in an LMDB store with a changelog; every update is
// written to the output. The value is not looked at, so it is read as bytes, as in the other contestants.
import { bytes, int64, store, string, type Topology, topic, topology } from '../../src/index.ts'

export const countTopology = (input: string, output: string, onRecord: () => void): Topology =>
  topology('bench-count', (t) => {
    t.stream(topic(input, { key: string, value: bytes }))
      .peek(onRecord)
      .groupByKey()
      .count(store('counts', { key: string, value: int64 }))
      .toStream()
      .to(topic(output, { key: string, value: int64 }))
  })
