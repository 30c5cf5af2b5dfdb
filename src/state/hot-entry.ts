// An entry of a store that nearly every record reads and writes: how far time and the walks of a table have come. It is kept as
// it is, and its bytes are made once per transaction instead of twice per record.
//
//   unread --get--> read --set--> changed --settle, before the changelog is told--> read
//
// The bytes in the store are behind only while it is changed. A record that is taken back brings back what was there when it
// began. What else changes the store (an abort, a restore) makes it unread.

/** Beyond it a value is written at once: one that the changelog does not take must fail the record, not the commit. */
const lateBytesMax = 512

/** What it needs of its store. */
export interface HotEntryStore<V> {
  get(key: string): V | undefined
  put(key: string, value: V): void
  /** To be called with each write. @throws CONTEXT_EXPIRED where no record is in hand; CLOSED */
  touch(): void
}

interface State<V> {
  readonly value: V | undefined
  readonly isRead: boolean
  readonly isChanged: boolean
}

const unread: State<never> = Object.freeze({ value: undefined, isRead: false, isChanged: false })

export class HotEntry<V> {
  readonly key: string
  readonly #store: HotEntryStore<V>
  readonly #bytesOf: (value: never) => number
  #state: State<V> = unread
  /** When the record in hand began. */
  #marked: State<V> = unread

  /** @param bytesOf about how many bytes a value takes */
  constructor(key: string, store: HotEntryStore<V>, bytesOf: (value: V) => number) {
    this.key = key
    this.#store = store
    this.#bytesOf = bytesOf
  }

  /** The bytes in the store are behind. */
  get isChanged(): boolean {
    return this.#state.isChanged
  }

  /** The value, or undefined. It is not to be changed. */
  get(): V | undefined {
    if (!this.#state.isRead)
      this.#state = { value: this.#store.get(this.key), isRead: true, isChanged: false }
    return this.#state.value
  }

  set(value: V): void {
    this.#store.touch()
    const isLarge = this.#bytesOf(value as never) > lateBytesMax
    if (isLarge) this.#store.put(this.key, value)
    this.#state = { value, isRead: true, isChanged: !isLarge }
  }

  /** Writes its bytes where they are behind. */
  settle(): void {
    if (!this.#state.isChanged) return
    this.#store.put(this.key, this.#state.value as V)
    this.#state = { ...this.#state, isChanged: false }
  }

  /** Begins a record. */
  mark(): void {
    this.#marked = this.#state
  }

  /** Takes back what was set since the last `mark`. What was written of it is taken back by the store. */
  undo(): void {
    this.#state = this.#marked
  }

  /** The store was changed: what it holds is to be read again. */
  forget(): void {
    this.#state = unread
    this.#marked = unread
  }
}
