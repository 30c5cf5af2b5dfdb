// Takes half a millisecond of computing for each record and adds up the lengths of each key's values, over a store.
import { int64, store, string, topic, topology } from 'millstream'

const input = topic('input', { key: string, value: string })
const sums = topic('sums', { key: string, value: int64 })

/** Two thousand records a second at most. */
const recordMs = 0.5

/** Computing, not waiting: the loop of the worker is held up as a real processor would hold it up. */
const compute = (): void => {
  const end = performance.now() + recordMs
  while (performance.now() < end);
}

export default topology('slow', (t) => {
  t.stream(input)
    .groupByKey()
    .aggregate(store('sums', { key: string, value: int64 }), {
      initial: () => 0,
      add: (record, sum) => {
        compute()
        return sum + record.value.length
      },
    })
    .toStream()
    .to(sums)
})
