// Counts records by key in an LMDB store; every update goes to the output.
import { int64, store, string, topic, topology } from 'millstream'

export default topology('restart', (t) => {
  t.stream(topic('input', { key: string, value: string }))
    .groupByKey()
    .count(store('counts', { key: string, value: int64 }))
    .toStream()
    .to(topic('counts', { key: string, value: int64 }))
})
