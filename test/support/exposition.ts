// Reads the text format of Prometheus as strictly as `promtool check metrics` does, with nothing of the library that
// wrote it.
export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Exposition {
  /** Type by metric. */
  readonly types: ReadonlyMap<string, string>
  readonly series: readonly Series[]
  /** The value of the one series with this name and these labels. @throws where there is none, or more */
  value(name: string, labels?: Readonly<Record<string, string>>): number
  find(name: string, labels?: Readonly<Record<string, string>>): readonly Series[]
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y

const labelsOf = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {}
  label.lastIndex = 0
  while (label.lastIndex < text.length) {
    const [, name, value] = label.exec(text) ?? []
    if (name === undefined || value === undefined) throw new Error(`labels that cannot be read: ${text}`)
    if (name in labels) throw new Error(`the label ${name} twice: ${text}`)
    labels[name] = value
  }
  return labels
}

const numberOf = (text: string): number => {
  const value = text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text)
  if (Number.isNaN(value)) throw new Error(`a value that is no number: ${text}`)
  return value
}

/** The metric that a sample belongs to: a histogram has three names. */
const metricOf = (name: string, types: ReadonlyMap<string, string>): string => {
  const base = name.replace(/_(bucket|sum|count)$/, '')
  return types.get(base) === 'histogram' ? base : name
}

const checkHistogram = (name: string, series: readonly Series[]): void => {
  const groups = new Map<string, Series[]>()
  for (const one of series) {
    const { le: _le, ...rest } = one.labels
    const key = JSON.stringify(Object.entries(rest).sort())
    groups.set(key, [...(groups.get(key) ?? []), one])
  }
  for (const [key, group] of groups) {
    const buckets = group.filter((one) => one.name.endsWith('_bucket'))
    const bounds = buckets.map(({ labels }) => numberOf(labels['le'] ?? 'none'))
    const counts = buckets.map(({ value }) => value)
    const total = group.find((one) => one.name.endsWith('_count'))?.value
    const rising = (list: readonly number[]): boolean =>
      list.every((value, index) => index === 0 || value >= (list[index - 1] as number))
    if (!rising(bounds) || !rising(counts)) throw new Error(`buckets of ${name} ${key} do not rise`)
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || counts.at(-1) !== total)
      throw new Error(`${name} ${key} does not end with +Inf and its count`)
    if (!group.some((one) => one.name.endsWith('_sum'))) throw new Error(`${name} ${key} has no sum`)
  }
}

/** @throws where the text breaks a rule of the format */
export const parseExposition = (text: string): Exposition => {
  if (!text.endsWith('\n')) throw new Error('the text does not end with a new line')
  const types = new Map<string, string>()
  const helps = new Set<string>()
  const series: Series[] = []
  const seen = new Set<string>()
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (kind === 'HELP') helps.add(name)
    else if (kind === 'TYPE') types.set(name, rest)
    else if (line.startsWith('#')) throw new Error(`a comment that says nothing: ${line}`)
    else {
      const [, sample = '', labels = '', value = ''] = sampleLine.exec(line) ?? []
      if (sample === '') throw new Error(`a line that cannot be read: ${line}`)
      const metric = metricOf(sample, types)
      if (!types.has(metric) || !helps.has(metric)) throw new Error(`${sample} has no type or no help`)
      const one = { name: sample, labels: labelsOf(labels), value: numberOf(value) }
      const key = `${sample} ${JSON.stringify(Object.entries(one.labels).sort())}`
      if (seen.has(key)) throw new Error(`a series twice: ${line}`)
      seen.add(key)
      if (types.get(metric) === 'counter' && (one.value < 0 || !sample.endsWith('_total')))
        throw new Error(`not a counter: ${line}`)
      series.push(one)
    }
  }
  for (const [name, type] of types)
    if (type === 'histogram')
      checkHistogram(
        name,
        series.filter((one) => metricOf(one.name, types) === name),
      )
  const find = (name: string, labels: Readonly<Record<string, string>> = {}): Series[] =>
    series.filter(
      (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
    )
  return {
    types,
    series,
    find,
    value: (name, labels) => {
      const [first, ...more] = find(name, labels)
      if (first === undefined || more.length > 0)
        throw new Error(`${more.length + (first ? 1 : 0)} series of ${name} ${JSON.stringify(labels ?? {})}`)
      return first.value
    },
  }
}
