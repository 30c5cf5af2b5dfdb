// The code in the README is that of files that are compiled and run.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../../..')
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')
const readme = read('README.md')
const [wordCount = '', testing = '', embedding = ''] = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(
  ([, code]) => code,
)

/** Lines that say something, without comments. */
const code = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.trim().startsWith('//'))

describe('README.md', () => {
  it('shows the word count as it is', () => {
    const file = code(read('processors/word-count/index.ts')).filter(
      (line) => !/dev|countingWords/.test(line),
    )
    const shown = code(wordCount)
    expect(shown.length).toBeGreaterThan(10)
    expect(shown).toEqual(file.slice(0, shown.length))
  })

  it('shows the test of the word count as it is, line by line', () => {
    expect(testing.split('\n').length).toBeGreaterThan(20)
    expect(testing).toEqual(read('processors/word-count/word-count.test.ts'))
  })

  it('shows the embedding example as it is, but for where the test finds its broker and topics', () => {
    const file = code(read('test/support/modules/embedding.ts'))
      .filter((line) => !line.includes('node:process'))
      .map((line) =>
        line.replace("process.env.TEST_BROKERS?.split(',') ?? ", '').replace('./words.ts', './word-count.ts'),
      )
    expect(code(embedding)).toEqual(file)
  })

  it('links to files that exist', () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target]) => target ?? '')
    expect(links.length).toBeGreaterThan(5)
    expect(links.filter((target) => !existsSync(path.join(root, target)))).toEqual([])
  })
})
