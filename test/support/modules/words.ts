// The word count with topics of its own, for tests that run it in a process. TEST_NAME names them.
import process from 'node:process'
import { int64, store, string, topic, topology } from 'millstream'
import { countingWords } from '../../../processors/word-count/dev.ts'

const name = process.env.TEST_NAME ?? 'words'
export const lines = topic(`${name}-lines`, { key: string, value: string })
export const counts = topic(`${name}-counts`, { key: string, value: int64 })

export default topology(name, (t) => {
  t.stream(lines)
    .flatMapValues((line) => line.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
    .filter((record) => {
      if (record.value === process.env.TEST_THROWS_AT)
        throw new RangeError(`the word ${record.value} is not liked`)
      return record.value !== process.env.TEST_LOSES
    })
    .groupBy((record) => record.value, { name: 'by-word', key: string, value: string })
    .count(store('counts', { key: string, value: int64 }))
    .toStream()
    .to(counts)
})

export const dev = countingWords(lines, counts)
