// What `simulate` takes and gives, as the compiler sees it.
import { int64, store, string, topic, topology } from 'millstream'
import { simulate } from 'millstream/testing'
import { expectTypeOf } from 'vitest'

const lines = topic('lines', { key: string, value: string })
const counts = topic('counts', { key: string, value: int64 })
const totals = store('totals', { key: string, value: int64 })
const made = topology('typed', (t) => t.stream(lines).to(lines))

void simulate({
  topology: () => made,
  input: ({ send, random }) => {
    send(lines, 'key', 'value', { timestamp: 1, partition: 0 })
    // @ts-expect-error a number is no value of this topic
    send(lines, 'key', 1)
    // @ts-expect-error nor is a number a key
    send(counts, 1, 1)
    expectTypeOf(random()).toEqualTypeOf<number>()
  },
  invariants: (world) => {
    expectTypeOf(world.records(counts)[0]?.value).toEqualTypeOf<number | undefined>()
    expectTypeOf(world.store(totals)).toEqualTypeOf<Map<string, number>>()
  },
  faults: ['kill', 'slow markers'],
})

void simulate({
  topology: made,
  input: () => {},
  invariants: () => {},
  // @ts-expect-error there is no such fault
  faults: ['earthquake'],
})
