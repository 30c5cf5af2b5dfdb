// Copies between memory that is written again and again: batches, and what stores know.

/** Up to this length a loop beats a call into native code. */
const loopCopyBytesMax = 48

/** Copies `source[start, start + length)` to `target[position, …)`, also beyond 4 GiB, where `Buffer.copy` cuts places to 32 bits. */
export const copyBytes = (
  source: Uint8Array,
  start: number,
  length: number,
  target: Buffer,
  position: number,
): void => {
  // Without this check a wrong length would put bytes of an older batch into this one.
  if (start + length > source.length)
    throw new RangeError(`a record claims bytes up to ${start + length} of ${source.length}`)
  if (length > loopCopyBytesMax) return copyMany(source, start, length, target, position)
  const end = start + length
  let from = start
  let to = position
  // Four at a time: half the time of one by one.
  for (const whole = end - (length & 3); from < whole; from += 4, to += 4) {
    target[to] = source[from] as number
    target[to + 1] = source[from + 1] as number
    target[to + 2] = source[from + 2] as number
    target[to + 3] = source[from + 3] as number
  }
  while (from < end) target[to++] = source[from++] as number
}

const copyMany = (
  source: Uint8Array,
  start: number,
  length: number,
  target: Buffer,
  position: number,
): void => target.set(source.subarray(start, start + length), position)

/** `memory[start, end)` as bytes of their own. */
export const copyOf = (memory: Buffer, start: number, end: number): Buffer => {
  const copy = Buffer.allocUnsafe(end - start)
  copyBytes(memory, start, end - start, copy, 0)
  return copy
}
