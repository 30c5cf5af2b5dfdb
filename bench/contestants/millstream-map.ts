// `map` as a topology: string key, string value, one mapValues.
import { string, type Topology, topic, topology } from '../../src/index.ts'
import { mapped } from './works.ts'

export const mapTopology = (input: string, output: string, onRecord: () => void): Topology =>
  topology('bench-map', (t) => {
    t.stream(topic(input, { key: string, value: string }))
      .mapValues((value) => {
        onRecord()
        return mapped(value)
      })
      .to(topic(output, { key: string, value: string }))
  })
