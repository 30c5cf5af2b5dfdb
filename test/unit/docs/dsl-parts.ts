// What the examples of docs/dsl.md are made of: the topics and stores that they share, and what an example is.
import {
  int64,
  joinStore,
  nullable,
  store,
  string,
  topic,
  versionedStore,
  windowStore,
} from '../../../src/index.ts'
import type { TopologyScope } from '../../../src/index.ts'

// What the examples share.
export const texts = topic('texts', { key: string, value: string })
export const numbers = topic('numbers', { key: string, value: nullable(int64) })
export const names = topic('names', { key: string, value: nullable(string) })
export const out = topic('out', { key: string, value: nullable(string) })
export const sums = topic('sums', { key: string, value: nullable(int64) })
export const totals = store('totals', { key: string, value: int64 })
export const named = store('named', { key: string, value: string })
export const priced = store('priced', { key: string, value: int64 })
export const ranked = store('ranked', { key: string, value: string })
export const perWindow = windowStore('per-window', { key: string, value: int64 })
export const met = joinStore('met', { key: string, left: string, right: string })
export const history = versionedStore('history', { key: string, value: int64, historyMs: 10 })
export const waiting = store('waiting', { key: string, value: string })
export const recent = store('recent', { key: string, value: string, ttlMs: 2 })

/** Key and value, as they are sent to a topic or come out of it. */
type Pair = readonly [key: string, value: string | number | null]

export interface Example {
  readonly section: string
  readonly operator: string
  /** A sentence or two. */
  readonly text: string
  readonly describe: (t: TopologyScope) => void
  readonly input: readonly (readonly [topic: 'texts' | 'numbers' | 'names', ...pair: Pair])[]
  readonly output: readonly (readonly [topic: 'out' | 'sums', ...pair: Pair])[]
}

let section = ''

export const example = (
  operator: string,
  text: string,
  describe: Example['describe'],
  input: Example['input'],
  result: Example['output'],
): Example => ({ section, operator, text, describe, input, output: result })

/** What follows in this list belongs to the section. */
export const sectionOf = (title: string): readonly Example[] => {
  section = title
  return []
}
