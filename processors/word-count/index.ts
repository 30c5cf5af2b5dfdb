// Counts the words of lines of text, exactly once.
import { int64, store, string, topic, topology } from 'millstream'
import { countingWords } from './dev.ts'

export const lines = topic('lines', { key: string, value: string })
export const counts = topic('counts', { key: string, value: int64 })
export const totals = store('counts', { key: string, value: int64 })

export default topology('word-count', (t) => {
  t.stream(lines)
    .flatMapValues((line) => line.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
    .groupBy((record) => record.value, { name: 'by-word', key: string, value: string })
    .count(totals)
    .toStream()
    .to(counts)
})

/** For `millstream dev`: input, live counts and the recount. */
export const dev = countingWords(lines, counts)
