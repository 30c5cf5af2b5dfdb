// Asks the HTTP server at TEST_URL about each value, and numbers the answers of each key. TEST_NAME is its application id.
import process from 'node:process'
import { int64, output, store, string, topic, topology } from 'millstream'

const name = process.env['TEST_NAME'] ?? 'asking'
const url = process.env['TEST_URL'] ?? 'http://localhost'
const input = topic(`${name}-in`, { key: string, value: string })
const out = topic(`${name}-out`, { key: string, value: string })
const seen = store('seen', { key: string, value: int64 })

export default topology(name, (t) => {
  t.stream(input)
    .processAsync({
      name: 'ask',
      stores: [seen],
      outputs: output<string, string>(),
      async call({ key, value }, signal) {
        const answer = await fetch(`${url}/${key}/${value}`, { signal })
        return await answer.text()
      },
      process(answer, record, { stores, forward }) {
        const number = (stores.seen.get(record.key) ?? 0) + 1
        stores.seen.put(record.key, number)
        forward(record.withValue(`${number}:${answer}`))
      },
    })
    .to(out)
})
