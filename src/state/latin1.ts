// Keys as strings with one char (0-255) per byte: such strings order as unsigned bytes.

type Latin1Buffer = Buffer & {
  latin1Slice(start: number, end: number): string
  latin1Write(text: string, offset: number): number
}

// Up to this length a loop over the characters is quicker than a call into native code.
const shortText = 24

/** The text of `source[start, end)`. */
export const latin1 = (source: Buffer, start: number, end: number): string =>
  (source as Latin1Buffer).latin1Slice(start, end)

/** Writes text of such chars; what does not fit is cut. */
export const writeLatin1 = (text: string, target: Buffer, offset: number): void => {
  const { length } = text
  if (length > shortText) (target as Latin1Buffer).latin1Write(text, offset)
  else for (let index = 0; index < length; index++) target[offset + index] = text.charCodeAt(index)
}
