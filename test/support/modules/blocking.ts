// Numbers the values of each key, as test/support/numbered.ts does, for tests that run it in processes. TEST_NAME is its
// application id. A record with the value TEST_BLOCKS_AT has the thread for TEST_BLOCKS_MS.
import process from 'node:process'
import { int64, output, store, string, topic, topology } from 'millstream'

const name = process.env.TEST_NAME ?? 'blocking'
const blocksMs = Number(process.env.TEST_BLOCKS_MS ?? 0)
const input = topic(`${name}-in`, { key: string, value: string })
const out = topic(`${name}-out`, { key: string, value: string })
const seen = store('seen', { key: string, value: int64 })

export default topology(name, (t) => {
  t.stream(input)
    .process({
      name: 'sleeper',
      stores: [seen],
      outputs: output<string, string>(),
      process: (record, { stores, forward }) => {
        const until = record.value === process.env.TEST_BLOCKS_AT ? performance.now() + blocksMs : 0
        while (performance.now() < until);
        const number = (stores.seen.get(record.key) ?? 0) + 1
        stores.seen.put(record.key, number)
        forward(record.withValue(`${number}:${record.value}`))
      },
    })
    .to(out)
})
