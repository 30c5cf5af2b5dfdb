// What is fed into the application under test, and what each record of it must bring about: by hand, with none of the
// code under test.
import type { RecordToWrite } from '../../support/judge.ts'
import { below, type Random } from '../../support/random.ts'

/**
 * One input record; its key is the key of the record. copy: so many outputs · count: the next number of the key · transfer:
 * paid here, received behind a repartition topic · append: a link of the key's list · delete: the count of the key is
 * removed · timer: fires in stream time · probe: shows that a partition goes on, and lets all timers fire.
 */
export type Op =
  | { readonly id: string; readonly kind: 'copy'; readonly copies: number }
  | { readonly id: string; readonly kind: 'transfer'; readonly to: string; readonly amount: number }
  | { readonly id: string; readonly kind: 'timer'; readonly delayMs: number }
  | { readonly id: string; readonly kind: 'count' | 'append' | 'delete' | 'probe' }

/** One output record. */
export interface Effect {
  readonly id: string
  readonly part: string
  readonly result?: unknown
}

export interface Credit {
  readonly id: string
  readonly amount: number
}

/** The last link of a list. */
export interface List {
  readonly length: number
  readonly last: string
}

/** `<topic>/<partition>/<offset>` of the input record behind an output; absent where a timer fired. */
export const sourceHeader = 'src'
/** `<instance>.<life>` of the process that wrote an output. */
export const writerHeader = 'by'

/** Stands in all that may never be seen. */
export const abortedMark = 'ABORTED'

export const inputTopic = 'ops'
export const outputTopic = 'effects'
export const creditsTopic = 'credits'
export const storeNames = ['counts', 'paid', 'lists', 'timers', 'received'] as const

const keys = Array.from({ length: 24 }, (_, index) => `key-${index}`)
/** Later than any timer, and no later than a broker takes (an hour). */
const probeAheadMs = 60_000

const opOf = (random: Random, id: string): Op => {
  const one = (limit: number): number => below(random, limit)
  switch (one(7)) {
    case 0:
      return { id, kind: 'copy', copies: one(4) }
    case 1:
    case 2:
      return { id, kind: 'transfer', to: keys[one(keys.length)] as string, amount: 1 + one(1000) }
    case 3:
      return { id, kind: 'append' }
    case 4:
      return { id, kind: 'timer', delayMs: one(3000) }
    case 5:
      return one(3) === 0 ? { id, kind: 'delete' } : { id, kind: 'count' }
    default:
      return { id, kind: 'count' }
  }
}

/** The next record of the input; it names itself in every field when it is going to be aborted. */
export const makeOp = (random: Random, number: number, aborted: boolean): RecordToWrite => {
  const op = opOf(random, `${aborted ? abortedMark : 'op'}-${number}`)
  const key = keys[below(random, keys.length)] as string
  return { key: aborted ? `${abortedMark}-${key}` : key, value: JSON.stringify(op) }
}

/** One record per partition that comes after everything. */
export const makeProbes = (partitions: number, number: number, nowMs = Date.now()): RecordToWrite[] =>
  Array.from({ length: partitions }, (_, partition) => ({
    partition,
    key: `probe-${partition}`,
    value: JSON.stringify({ id: `probe-${number}-${partition}`, kind: 'probe' } satisfies Op),
    timestamp: nowMs + probeAheadMs,
  }))

/** `<op>/<part>`: each occurs once in the output. */
export const nameOf = ({ id, part }: Pick<Effect, 'id' | 'part'>): string => `${id}/${part}`

export interface InputOp {
  readonly key: string
  readonly op: Op
  readonly partition: number
  readonly offset: number
}

export interface ExpectedEffect {
  readonly key: string
  readonly name: string
  /** As JSON; undefined where it depends on the order of other partitions. */
  readonly result: string | undefined
  readonly source: InputOp
}

export interface Expected {
  readonly effects: readonly ExpectedEffect[]
  /** What each store holds at the end, values as JSON, by store and key. */
  readonly stores: ReadonlyMap<string, ReadonlyMap<string, string>>
}

/** Applies committed inputs, in the order of their partitions. */
export const expectedOf = (inputs: readonly InputOp[]): Expected => {
  const effects: ExpectedEffect[] = []
  const counts = new Map<string, number>()
  const paid = new Map<string, number>()
  const received = new Map<string, number>()
  const lists = new Map<string, List>()
  for (const source of inputs) {
    const { key, op } = source
    const add = (part: string, result?: unknown, of = key): void =>
      void effects.push({
        key: of,
        name: nameOf({ id: op.id, part }),
        result: result === undefined ? undefined : JSON.stringify(result),
        source,
      })
    if (op.kind === 'copy') for (let copy = 0; copy < op.copies; copy++) add(`copy-${copy}`, copy)
    else if (op.kind === 'count') {
      counts.set(key, (counts.get(key) ?? 0) + 1)
      add('count', counts.get(key))
    } else if (op.kind === 'delete') {
      add('delete', counts.get(key) ?? 0)
      counts.delete(key)
    } else if (op.kind === 'append') {
      const before = lists.get(key)
      lists.set(key, { length: (before?.length ?? 0) + 1, last: op.id })
      add('append', { length: (before?.length ?? 0) + 1, before: before?.last ?? null })
    } else if (op.kind === 'transfer') {
      paid.set(key, (paid.get(key) ?? 0) + op.amount)
      received.set(op.to, (received.get(op.to) ?? 0) + op.amount)
      add('paid', paid.get(key))
      add('received', undefined, op.to)
    } else add(op.kind === 'timer' ? 'fired' : 'probe')
  }
  const texts = (values: ReadonlyMap<string, unknown>): ReadonlyMap<string, string> =>
    new Map([...values].map(([key, value]) => [key, JSON.stringify(value)]))
  return {
    effects,
    stores: new Map<string, ReadonlyMap<string, string>>([
      ['counts', texts(counts)],
      ['paid', texts(paid)],
      ['received', texts(received)],
      ['lists', texts(lists)],
      ['timers', new Map()],
    ]),
  }
}
