// word-count under test: lines with words of several alphabets, and a recount with a splitter and number reader of its own.
import path from 'node:path'
import type { JudgedRecord } from '../../support/judge.ts'
import { below, type Random } from '../../support/random.ts'
import { differences, type Finding, fold, numberOf, textOf } from './evidence.ts'
import type { Judgement, Subject } from './subject.ts'
import { renamed } from './topologies.ts'

const common = [
  'the',
  'The',
  'FOX',
  'fox',
  'Straße',
  'naïve',
  'ΩMEGA',
  'год',
  '東京',
  'x1',
  '42',
  'dog',
  'Dog',
]
const separators = [' ', ' ', ' ', ', ', ' — ', '! ', ' (', ') ', '. ', '-', "'", '\t']

const lineOf = (random: Random): string => {
  let line = ''
  for (let count = 1 + below(random, 12); count > 0; count--) {
    // Half are rare: a word that is not seen again after a restore shows what the restore left out.
    const word = random() < 0.5 ? common[below(random, common.length)] : `w${below(random, 3000)}`
    line += `${word}${separators[below(random, separators.length)]}`
  }
  return line
}

const isSeparator = (char: string): boolean => " ,—!().-'\t".includes(char)

/** Words by hand: characters between separators, lower case. */
const wordsOf = (line: string): string[] => {
  const words: string[] = []
  let word = ''
  for (const char of `${line} `) {
    if (!isSeparator(char)) word += char
    else {
      if (word !== '') words.push(word.toLowerCase())
      word = ''
    }
  }
  return words
}

const countWords = (words: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

/** The counts of a word are 1, 2, 3, ... up to the recount: no gap, no repetition, nothing out of order. */
const outputFindings = (
  outputs: readonly JudgedRecord[],
  expected: ReadonlyMap<string, number>,
): Finding[] => {
  const findings: Finding[] = []
  const last = new Map<string, number>()
  for (const { key, value, partition, offset } of outputs) {
    const word = textOf(key)
    const next = (last.get(word) ?? 0) + 1
    const found = numberOf(value)
    if (found !== next)
      findings.push({ key: `output of "${word}" at ${partition}@${offset}`, expected: next, found })
    last.set(word, found)
  }
  return [...findings, ...differences('last output', expected, last)]
}

const findings = async ({ judge, applicationId, stores, skippedAt, fed }: Judgement): Promise<Finding[]> => {
  const lines = (await judge.dump(renamed(applicationId, 'lines'))).records
  const all: Finding[] = []
  if (lines.length !== fed) all.push({ key: 'committed lines', expected: fed, found: lines.length })
  const taken = lines.filter(
    ({ partition, offset }) => skippedAt(renamed(applicationId, 'lines'), partition, offset) === undefined,
  )
  const words = taken.flatMap(({ value }) => wordsOf(textOf(value)))
  const repartition = `${applicationId}-by-word-repartition`
  let expected = countWords(words)
  // Words are skipped by their offset in the repartition topic, so they are recounted from there; what is in there is
  // recounted from the lines.
  const byWord = (await judge.dump(repartition)).records
  const isPurged = (await judge.offsets(repartition)).some(({ earliest }) => earliest > 0)
  if (!isPurged) {
    all.push(...differences('repartition topic', expected, countWords(byWord.map(({ key }) => textOf(key)))))
    const counted = byWord.filter(
      ({ partition, offset }) => skippedAt(repartition, partition, offset) === undefined,
    )
    expected = countWords(counted.map(({ key }) => textOf(key)))
  }
  all.push(...outputFindings((await judge.dump(renamed(applicationId, 'counts'))).records, expected))
  all.push(
    ...differences(
      'changelog',
      expected,
      fold((await judge.dump(`${applicationId}-counts-changelog`)).records, numberOf),
    ),
  )
  all.push(...differences('store on disk', expected, new Map(stores.flatMap(({ values }) => [...values]))))
  return all
}

export const wordCountSubject: Subject = {
  name: 'word-count',
  module: path.resolve(import.meta.dirname, '../../../processors/word-count/index.ts'),
  input: 'lines',
  outputs: ['counts'],
  repartitions: ['by-word'],
  store: 'counts',
  recordsPerChunk: 30,
  first: () => [],
  make: (random, number, aborted) => ({
    key: `line-${number}`,
    value: aborted ? `ABORTED ${lineOf(random)} aborted${number}` : lineOf(random),
  }),
  findings,
}
