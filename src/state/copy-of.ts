// Copies of bytes that are written again.

// Up to this length a loop is quicker than a call into native code.
const shortCopy = 48

/** `memory[start, end)` as bytes of their own. */
export const copyOf = (memory: Buffer, start: number, end: number): Buffer => {
  const length = end - start
  const copy = Buffer.allocUnsafe(length)
  if (length > shortCopy) memory.copy(copy, 0, start, end)
  else for (let index = 0; index < length; index++) copy[index] = memory[start + index] as number
  return copy
}
