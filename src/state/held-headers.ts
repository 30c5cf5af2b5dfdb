// The headers of a record in a store: of one that waits, or of the one that wrote an entry (headed-values.ts).
//
// bytes: of each header: length of key int32 · key · length of value int32 (-1: null) · value
import type { RecordHeader } from '../record/record-cursor.ts'

const lengthBytes = 4
const none: readonly RecordHeader[] = Object.freeze([])

const withLength = (bytes: Uint8Array | null): Buffer => {
  const target = Buffer.allocUnsafe(lengthBytes + (bytes?.length ?? 0))
  target.writeInt32BE(bytes?.length ?? -1, 0)
  if (bytes !== null) target.set(bytes, lengthBytes)
  return target
}

export const heldHeaders = (headers: readonly RecordHeader[]): Buffer =>
  Buffer.concat(
    headers.flatMap(({ key, value }) => [withLength(Buffer.from(key, 'utf8')), withLength(value)]),
  )

export const readHeldHeaders = (source: Buffer): readonly RecordHeader[] => {
  if (source.length === 0) return none
  const headers: RecordHeader[] = []
  let position = 0
  const next = (): Buffer | null => {
    const length = source.readInt32BE(position)
    position += lengthBytes
    if (length < 0) return null
    position += length
    return Buffer.from(source.subarray(position - length, position))
  }
  while (position < source.length) headers.push({ key: next()?.toString('utf8') ?? '', value: next() })
  return headers
}
