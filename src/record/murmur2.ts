// Java's murmur2 and the partitioner that goes with it: a key must land where Kafka's own producers put it, else tasks
// that read two topics by one key would not see the same partition.

const multiplier = 0x5bd1e995
const seed = 0x9747b28c

/** murmur2 of `source[start, start + length)`, as a signed 32-bit number. */
export const murmur2 = (source: Uint8Array, start: number, length: number): number => {
  let hash = seed ^ length
  let at = start
  const wordsEnd = start + (length & ~3)
  while (at < wordsEnd) {
    let word =
      (source[at] as number) |
      ((source[at + 1] as number) << 8) |
      ((source[at + 2] as number) << 16) |
      ((source[at + 3] as number) << 24)
    word = Math.imul(word, multiplier)
    word ^= word >>> 24
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier)
    at += 4
  }
  const rest = length & 3
  if (rest === 3) hash ^= (source[at + 2] as number) << 16
  if (rest >= 2) hash ^= (source[at + 1] as number) << 8
  if (rest >= 1) hash = Math.imul(hash ^ (source[at] as number), multiplier)
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return hash ^ (hash >>> 15)
}

/** The partition of a key: the hash with its sign bit cleared (not its absolute value), modulo the partitions. */
export const partitionForKey = (
  source: Uint8Array,
  start: number,
  length: number,
  partitionCount: number,
): number => (murmur2(source, start, length) & 0x7fffffff) % partitionCount
