// What the works do to a record, in the words of the TypeScript side. The Java side has the same in Works.java.

/** One more field at the front of the JSON object: the text is decoded, changed and encoded, but not parsed. */
export const mapped = (value: string): string => `{"checked":true,${value.slice(1)}`

/** Windows of `windowed-count`, one after another. */
export const windowMs = 60_000
export const windowGraceMs = 10_000

/** How far apart the records of `stream-join` may be, either way. */
export const joinMs = 60_000

/** Whether a record is of the left side of a join: its id, the first field, is even. */
export const isLeft = (value: string): boolean => (value.charCodeAt(value.indexOf(',') - 1) & 1) === 0

/** Both values; nothing stands for the one that is not there. */
export const joined = (left: string | undefined, right: string | undefined): string =>
  `${left ?? ''}|${right ?? ''}`

export type Work = 'map' | 'count' | 'windowed-count' | 'stream-join' | 'table-join'

export const works: readonly Work[] = ['map', 'count', 'windowed-count', 'stream-join', 'table-join']

/** Those of a quick run, unless others are asked for. */
export const quickWorks: readonly Work[] = ['map', 'count']

export interface ContestantArguments {
  readonly brokers: string[]
  readonly work: Work
  readonly input: string
  readonly output: string
  readonly applicationId: string
  readonly stateDir: string
  readonly warmUpRecords: number
}

/** The arguments of every contestant, in the order in which all of them take them. */
export const argumentsOf = (given: ContestantArguments): string[] => [
  given.brokers.join(','),
  given.work,
  given.input,
  given.output,
  given.applicationId,
  given.stateDir,
  String(given.warmUpRecords),
]

/** @throws when there are not seven arguments or the work is unknown. */
export const readArguments = (words: readonly string[]): ContestantArguments => {
  const [brokers, work, input, output, applicationId, stateDir, warmUp] = words
  const known = works.find((one) => one === work)
  if (
    words.length !== 7 ||
    known === undefined ||
    !brokers ||
    !input ||
    !output ||
    !applicationId ||
    !stateDir
  ) {
    throw new Error(
      `arguments: BROKERS ${works.join('|')} INPUT OUTPUT APPLICATION_ID STATE_DIR WARM_UP_RECORDS, each of them given`,
    )
  }
  return {
    brokers: brokers.split(','),
    work: known,
    input,
    output,
    applicationId,
    stateDir,
    warmUpRecords: Number(warmUp),
  }
}
