// Which windows have changed since early results were told: a mark for each, which says when it is due. They lie in the store
// of the windows, so that an abort, a restart and a restore bring back what is to be told yet.
//
// a mark             key 81 · due int64 · key of the window; -1 int64: not told before; -2: told before; -3: told, and gone
// the walk over them key FE; as the progress of the windows, of which `expired` is not used
import {
  gonePlace,
  noProgress,
  type Place,
  place,
  type Progress,
  timeBytes,
  timeKey,
  toldPlace,
  type WindowEntryStore,
} from './window-entries.ts'

const prefix = '\u0081'
const walkKey = '\u00fe'

/** A window that has changed. */
export interface EarlyMark {
  /** The key of the window in the store. */
  readonly id: string
  /** It was told, and was taken out after that. */
  readonly gone: boolean
}

export class EarlyMarks {
  readonly #store: WindowEntryStore

  constructor(store: WindowEntryStore) {
    this.#store = store
  }

  /**
   * The window has changed, and is told when time comes to `due`.
   * @param wasThere it was there before the change: without a mark, it was told as it was
   * @param isThere it is there now
   */
  add(id: string, due: number, wasThere: boolean, isThere: boolean): void {
    const key = prefix + timeKey(due) + id
    const mark = this.#store.get(key) as Place | undefined
    const wasTold = mark === undefined ? wasThere : mark.told !== undefined
    const next = wasTold ? (isThere ? toldPlace : gonePlace) : place
    if (mark === undefined || mark.told !== next.told) this.#store.put(key, next)
  }

  /** Takes the next marks that are due, by the time at which they are, and then by the keys of the windows. */
  take(time: number, entriesMax: number): EarlyMark[] {
    const walk = (this.#store.get(walkKey) as Progress | undefined) ?? noProgress
    const end = prefix + timeKey(Math.max(0, time + 1))
    if (walk.closed >= end) return []
    const keys: string[] = []
    const taken: EarlyMark[] = []
    for (const { key, value } of this.#store.range(walk.closed || prefix, end)) {
      keys.push(key)
      taken.push({ id: key.slice(prefix.length + timeBytes), gone: (value as Place).told === 'gone' })
      if (taken.length === entriesMax) break
    }
    if (taken.length === 0) return taken
    for (const key of keys) this.#store.delete(key)
    // Not over what was removed again: it is passed where it is not flushed yet.
    const closed = taken.length === entriesMax ? `${keys.at(-1)}\u0000` : end
    this.#store.put(walkKey, { ...walk, time, closed })
    return taken
  }
}
