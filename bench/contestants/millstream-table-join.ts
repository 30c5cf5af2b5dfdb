// `table-join` as a topology: the records become rows of two tables, by their id, and both are joined (outer); every
// change is written to the output.
import { nullable, store, string, type Topology, topic, topology } from '../../src/index.ts'
import { isLeft, joined } from './works.ts'

const texts = { key: string, value: string }

export const tableJoinTopology = (input: string, output: string, onRecord: () => void): Topology =>
  topology('bench-table-join', (t) => {
    const rows = t.stream(topic(input, texts)).peek(onRecord)
    const left = rows.filter(({ value }) => isLeft(value)).toTable(store('left', texts))
    const right = rows.filterNot(({ value }) => isLeft(value)).toTable(store('right', texts))
    left
      .outerJoin(right, joined)
      .toStream()
      .to(topic(output, { key: string, value: nullable(string) }))
  })
