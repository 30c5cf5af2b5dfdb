// A set of keys in order, for scans that begin anywhere: in pieces of bounded length, so that a key comes or goes
// without moving all others.

const pieceMax = 512

/** First index whose key is not below `bound`. */
const lowerBound = (keys: readonly string[], bound: string): number => {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as string) < bound) low = middle + 1
    else high = middle
  }
  return low
}

/** Strings of one char per byte compare as unsigned bytes, so this order is that of the engines. */
export class SortedKeys {
  /** None is empty; the keys of each lie below those of the next. */
  #pieces: string[][] = []

  /** @param keys in any order, each once */
  static of(keys: Iterable<string>): SortedKeys {
    const sorted = [...keys].sort()
    const made = new SortedKeys()
    for (let index = 0; index < sorted.length; index += pieceMax / 2)
      made.#pieces.push(sorted.slice(index, index + pieceMax / 2))
    return made
  }

  add(key: string): void {
    const index = Math.min(this.#pieceFor(key), this.#pieces.length - 1)
    const piece = this.#pieces[index]
    if (piece === undefined) {
      this.#pieces.push([key])
      return
    }
    const at = lowerBound(piece, key)
    if (piece[at] === key) return
    piece.splice(at, 0, key)
    if (piece.length > pieceMax) this.#pieces.splice(index + 1, 0, piece.splice(pieceMax / 2))
  }

  delete(key: string): void {
    const index = this.#pieceFor(key)
    const piece = this.#pieces[index]
    if (piece === undefined) return
    const at = lowerBound(piece, key)
    if (piece[at] !== key) return
    piece.splice(at, 1)
    if (piece.length === 0) this.#pieces.splice(index, 1)
  }

  clear(): void {
    this.#pieces = []
  }

  /** Keys in [low, high), in order. The set is not changed while somebody goes on with this. */
  *within(low: string | undefined, high: string | undefined, reverse: boolean): IterableIterator<string> {
    const pieces = this.#pieces
    const step = reverse ? -1 : 1
    const edge = reverse ? high : low
    let index = edge === undefined ? (reverse ? pieces.length - 1 : 0) : this.#pieceFor(edge)
    if (reverse) index = Math.min(index, pieces.length - 1)
    for (let piece = pieces[index]; piece !== undefined; piece = pieces[index]) {
      const from = low === undefined ? 0 : lowerBound(piece, low)
      const to = high === undefined ? piece.length : lowerBound(piece, high)
      for (let count = 0; count < to - from; count++)
        yield piece[reverse ? to - 1 - count : from + count] as string
      if (reverse ? from > 0 : to < piece.length) return
      index += step
    }
  }

  /** The first piece that ends at the key or behind it; their number where none does. */
  #pieceFor(key: string): number {
    const pieces = this.#pieces
    let low = 0
    let high = pieces.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const piece = pieces[middle] as string[]
      if ((piece[piece.length - 1] as string) < key) low = middle + 1
      else high = middle
    }
    return low
  }
}
