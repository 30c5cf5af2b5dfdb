// What `millstream dev` does with the word count: feeds it real text, shows the words, and counts them again by other
// means. Nothing of it runs under `millstream run`.
import type { DevInput, DevScript, DevVerdict, DevView, RawRecord, TopicHandle } from 'millstream'

type Lines = TopicHandle<string, string>
type Counts = TopicHandle<string, number>

/** The Markdown files of the project, slowly enough to be watched, then whatever is piped in or typed. */
const feed = async (input: DevInput, lines: Lines): Promise<void> => {
  let sent = 0
  for await (const { place, text } of input.linesOf('**/*.md')) {
    await input.send(lines, { key: place, value: text })
    if (++sent % 20 === 0) await input.pause(50)
  }
  for await (const text of input.typedLines())
    await input.send(lines, { key: `typed:${++sent}`, value: text })
}

const wordsShown = 12
const barLength = 40

class TopWords implements DevView<string, number> {
  readonly topic: Counts
  readonly #counts = new Map<string, number>()
  #total = 0

  constructor(topic: Counts) {
    this.topic = topic
  }

  add({ key, value }: { key: string; value: number }): void {
    this.#total += value - (this.#counts.get(key) ?? 0)
    this.#counts.set(key, value)
  }

  table(): string[] {
    const top = this.#top(wordsShown)
    const most = top[0]?.[1] ?? 1
    const width = Math.max(8, ...top.map(([word]) => word.length))
    return [
      `${this.#counted()}`,
      ...top.map(([word, count]) => {
        const bar = '#'.repeat(Math.ceil((count / most) * barLength))
        return `  ${word.padEnd(width)} ${String(count).padStart(7)} ${bar}`
      }),
    ]
  }

  summary(): string {
    const top = this.#top(5).map(([word, count]) => `${word} ${count}`)
    return `${this.#counted()}${top.length > 0 ? `: ${top.join(', ')}` : ''}`
  }

  #counted(): string {
    return `${this.#total} words counted, ${this.#counts.size} different`
  }

  #top(size: number): [string, number][] {
    return [...this.#counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, size)
  }
}

const isLetterOrNumber = (character: string): boolean => {
  const code = character.charCodeAt(0)
  if (code < 0x80) return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39)
  return /^(\p{L}|\p{N})$/u.test(character)
}

/** The words in the bytes of a line, character by character: another way than the topology's. */
const wordsIn = (line: Buffer): string[] => {
  const words: string[] = []
  let word = ''
  for (const character of new TextDecoder('utf-8').decode(line).toLowerCase()) {
    if (isLetterOrNumber(character)) word += character
    else if (word !== '') {
      words.push(word)
      word = ''
    }
  }
  if (word !== '') words.push(word)
  return words
}

const expectedCounts = (lines: readonly RawRecord[]): Map<string, number> => {
  const expected = new Map<string, number>()
  for (const { value } of lines) {
    for (const word of wordsIn(value ?? Buffer.alloc(0))) expected.set(word, (expected.get(word) ?? 0) + 1)
  }
  return expected
}

/** The counts of each word in the order of the topic. */
const countsByWord = (records: readonly RawRecord[]): Map<string, number[]> => {
  const found = new Map<string, number[]>()
  for (const { key, value } of records) {
    const word = key?.toString('utf8') ?? ''
    const counts = found.get(word) ?? []
    counts.push(Number(value?.readBigInt64BE(0) ?? 0n))
    found.set(word, counts)
  }
  return found
}

/**
 * A word that occurs n times in the input must have come out as 1, 2, ... n, each once: a number that is missing is a
 * record lost, one that is there again or beyond n is a record counted twice.
 */
export const recount = (lines: readonly RawRecord[], counts: readonly RawRecord[]): DevVerdict => {
  const expected = expectedCounts(lines)
  const found = countsByWord(counts)
  const verdict = { recordsIn: 0, counted: 0, lost: 0, duplicated: 0, differences: [] as string[] }
  for (const word of new Set([...expected.keys(), ...found.keys()])) {
    const wanted = expected.get(word) ?? 0
    const values = found.get(word) ?? []
    const right = new Set(values.filter((value) => value >= 1 && value <= wanted))
    verdict.recordsIn += wanted
    verdict.counted += values.at(-1) ?? 0
    verdict.lost += wanted - right.size
    verdict.duplicated += values.length - right.size
    if (right.size !== wanted || values.length !== wanted || values.at(-1) !== wanted)
      verdict.differences.push(
        `${word}: ${wanted} in the input, but the counts are ${values.slice(-5).join(', ') || 'none'}`,
      )
  }
  return verdict
}

export const countingWords = (lines: Lines, counts: Counts): DevScript => ({
  feed: (input) => feed(input, lines),
  view: () => new TopWords(counts),
  verify: async (read) => recount(await read(lines.name), await read(counts.name)),
})
