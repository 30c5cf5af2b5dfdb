// Which calls may not overlap: those of one key. Keys have no bytes here (an operator may have made them), so that they are
// told apart by what they are made of.

const textOf = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object' || value === null) return `${typeof value} ${String(value)}`
  if (value instanceof Uint8Array) {
    const { buffer, byteOffset, byteLength } = value
    return `bytes ${Buffer.from(buffer, byteOffset, byteLength).toString('latin1')}`
  }
  if (value instanceof Date) return `date ${value.getTime()}`
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`
  // Keys that are equal may list their members in different orders.
  const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${textOf(member)}`).join()}}`
}

/** The same for equal keys; undefined where there is no key, and so no order. */
export const laneOf = (key: unknown): string | undefined =>
  key === null || key === undefined ? undefined : textOf(key)
