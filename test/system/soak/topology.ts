// The application of the soak: counts the records of each key, and passes on each result with where it comes from. One
// sub-topology alone, so that two processor cores have room for it at 20,000 records a second.
import process from 'node:process'
import { int64, output, processor, store, type StreamRecord, string, topic, topology } from 'millstream'
import { inputTopic, outputTopic, partsOf, resultText, storeName, writtenBy } from './ops.ts'

const numbers = topic(inputTopic, { key: string, value: int64 })
const results = topic(outputTopic, { key: string, value: string })

/** Compacted while the run goes on, so that hours of it find room on a disk. */
const changelog = { 'segment.bytes': '16777216', 'min.cleanable.dirty.ratio': '0.3' }
const counts = store(storeName, { key: string, value: int64, changelog })

const writer = process.env['MILLSTREAM_WRITER'] ?? 'nobody'

const count = processor({
  name: 'count',
  stores: { counts },
  outputs: output<string, string>(),
  process(record: StreamRecord<string, number>, { stores, forward, metadata }) {
    const { key, value: number } = record
    const next = (stores.counts.get(key) ?? 0) + 1
    stores.counts.put(key, next)
    const offset = metadata?.offset ?? -1
    for (const part of partsOf(number))
      forward(record.withValue(writtenBy(resultText({ part, number, offset, count: next }), writer)))
  },
})

export default topology('soak', (t) => {
  t.stream(numbers).process(count).to(results)
})
