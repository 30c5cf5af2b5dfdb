// What the soak feeds and what must come of it. Each input record is a number under a key; its outputs say which record
// they come from, so that a partition of the output can be told word for word from a partition of the input.

export const inputTopic = 'numbers'
export const outputTopic = 'results'
export const storeName = 'counts'

/** Begins the key of every record of a transaction that is aborted. */
export const abortedMark = 'ABORTED'

/** Each fourth record is copied once more. */
const copiedEvery = 4

export type Part = 'count' | 'copy'

/** The outputs of a record, in their order. */
export const partsOf = (number: number): readonly Part[] =>
  number % copiedEvery === 0 ? ['count', 'copy'] : ['count']

export interface Result {
  readonly part: Part
  readonly number: number
  /** Of the input record, in the partition of the same number. */
  readonly offset: number
  /** How many records of the key there were up to this one. */
  readonly count: number
}

/** One output value, without its writer. */
export const resultText = ({ part, number, offset, count }: Result): string =>
  `${part} ${number} from ${offset}: ${count}`

/** `<text> by <instance>.<life>` */
export const writtenBy = (text: string, writer: string): string => `${text} by ${writer}`

/** Offset of the input record that an output says it comes from; undefined where it is none of ours. */
export const sourceOf = (text: string): number | undefined => {
  const found = / from (\d+): \d+ by /.exec(text)
  return found === null ? undefined : Number(found[1])
}
