// How the bytes of a store are laid out, in a few letters beside each commit: version, kind of entries, serdes of key and
// value. What a later start declares is held against it, since other serdes would read the same bytes as something else.
import type { StoreDefinition } from './contracts.ts'

const kinds = {
  p: 'plain entries',
  t: 'values with timestamps',
  w: 'windows',
  v: 'versions',
  r: 'values with timestamps and headers',
  e: 'entries that live for a time',
  f: 'entries with headers that live for a time',
  q: 'records that wait',
  i: 'what an inner join keeps',
  l: 'what a left join keeps',
  o: 'what an outer join keeps',
  m: 'what a join keeps',
  a: 'timers',
  c: 'changes held until windows close',
  d: 'changes held for a time',
  h: 'changes held back',
} as const

/** What earlier builds wrote for these kinds: they did not say which of them it is. */
const untold: Readonly<Record<string, string>> = { i: 'm', l: 'm', o: 'm', c: 'h', d: 'h' }

const serdes: Readonly<Record<string, string>> = {
  s: 'string',
  b: 'bytes',
  i: 'int32',
  l: 'int64',
  L: 'bigint64',
  d: 'float64',
  j: 'json',
}
const codes = new Map(Object.entries(serdes).map(([code, name]) => [name, code]))

/** A serde of the user: whether it reads what another one wrote is not for us to say. */
const other = 'c'

const wrapper = /^(nullable|windowed)\((.*)\)$/

const serdeCode = (name: string): string => {
  const [, outer, inner] = wrapper.exec(name) ?? []
  if (inner !== undefined) return `${outer === 'nullable' ? 'n' : 'o'}${serdeCode(inner)}`
  return codes.get(name.startsWith('json(') ? 'json' : name) ?? other
}

/** What waits to be told alone lies there, too: an inner join would never take it out. */
const joinKind = (shape: StoreDefinition['windowShape']): keyof typeof kinds => {
  const [right, left] = shape?.kind === 'join' ? shape.outer : [false, false]
  return right ? 'o' : left ? 'l' : 'i'
}

const kindOf = ({
  windowShape,
  sides,
  timers,
  holdsChanges,
  versions,
  waiting,
  ttlMs,
  headers,
  plainValue,
}: StoreDefinition): keyof typeof kinds => {
  if (timers === true) return 'a'
  if (holdsChanges !== undefined) return holdsChanges === 'window-closes' ? 'c' : 'd'
  if (sides !== undefined) return joinKind(windowShape)
  if (windowShape !== undefined) return 'w'
  if (versions !== undefined) return 'v'
  if (waiting) return 'q'
  if (ttlMs !== undefined) return headers ? 'f' : 'e'
  if (headers) return 'r'
  return plainValue === undefined ? 'p' : 't'
}

/** More than any serde of ours comes to. */
const lettersMax = 7

/** The longest code: four digits, and a letter for the kind before those of the serdes. */
export const storeCodeMax: number = 4 + 1 + lettersMax

/** The code of a store. A value keeps its code whether null is meant by it or not: a store never holds it. */
export const storeCode = (store: StoreDefinition): string => {
  const key = serdeCode((store.plainKey ?? store.key).name)
  const values = store.sides ?? [store.plainValue ?? store.value]
  const value = values.map(({ name }) => serdeCode(name).replace(/^n/, '')).join('')
  return `${store.version ?? 1}${kindOf(store)}${`${key}${value}`.slice(0, lettersMax)}`
}

/** The parts of a code; undefined where it is none that this version knows. */
export const readStoreCode = (code: string): { version: number; layout: string } | undefined => {
  const [, version, layout] = /^(\d{1,4})([a-z][A-Za-z]*)$/.exec(code) ?? []
  return version === undefined || layout === undefined ? undefined : { version: Number(version), layout }
}

/** The kinds of entries that end with headers, and what they are without. */
const plainKinds: Readonly<Record<string, string>> = { r: 't', f: 'e' }

/** Whether the entries of this layout end with headers, which are no part of the values in their changelog. */
export const layoutHasHeaders = (layout: string): boolean => layout.charAt(0) in plainKinds

/** The layout that reads the same changelog, and keeps no headers. */
export const withoutHeaders = (layout: string): string => {
  const kind = layout.charAt(0)
  return `${plainKinds[kind] ?? kind}${layout.slice(1)}`
}

/** Whether what was written in one layout is read as the other, the declared one. */
export const isSameLayout = (written: string, declared: string): boolean =>
  written === declared || (untold[declared[0] ?? ''] === written[0] && written.slice(1) === declared.slice(1))

/** What the serdes of a store do not tell of it, as text behind them. */
export const kindBeside = (code = ''): string => {
  const kind = readStoreCode(code)?.layout[0] ?? ''
  return kind in untold ? `, ${kinds[kind as keyof typeof kinds]}` : ''
}

/** A layout as text, for errors. */
export const layoutText = (layout: string): string => {
  const kind = kinds[layout[0] as keyof typeof kinds] ?? 'entries'
  const names: string[] = []
  let outer: string[] = []
  for (const letter of layout.slice(1)) {
    if (letter === 'n' || letter === 'o') outer.push(letter === 'n' ? 'nullable' : 'windowed')
    else {
      const name = serdes[letter] ?? 'a serde of its own'
      names.push(outer.reduceRight((inner, one) => `${one}(${inner})`, name))
      outer = []
    }
  }
  return `${kind} (${names.join(', ')})`
}
