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

export class HotEntry<V> {
  readonly key: string
  readonly #store: HotEntryStore<V>
  readonly #bytesOf: (value: never) => number
  #value: V | undefined
  #isRead = false
  #isChanged = false
  // When the record in hand began.
  #markedValue: V | undefined
  #markedRead = false
  #markedChanged = false

  /** @param bytesOf about how many bytes a value takes */
  constructor(key: string, store: HotEntryStore<V>, bytesOf: (value: V) => number) {
    this.key = key
    this.#store = store
    this.#bytesOf = bytesOf
  }

  /** The bytes in the store are behind. */
  get isChanged(): boolean {
    return this.#isChanged
  }

  /** The value, or undefined. It is not to be changed. */
  get(): V | undefined {
    if (!this.#isRead) {
      this.#value = this.#store.get(this.key)
      this.#isRead = true
    }
    return this.#value
  }

  set(value: V): void {
    this.#store.touch()
    const isLarge = this.#bytesOf(value as never) > lateBytesMax
    if (isLarge) this.#store.put(this.key, value)
    this.#value = value
    this.#isRead = true
    this.#isChanged = !isLarge
  }

  /** Writes its bytes where they are behind. */
  settle(): void {
    if (!this.#isChanged) return
    this.#store.put(this.key, this.#value as V)
    this.#isChanged = false
  }

  /** Begins a record. */
  mark(): void {
    this.#markedValue = this.#value
    this.#markedRead = this.#isRead
    this.#markedChanged = this.#isChanged
  }

  /** Takes back what was set since the last `mark`. What was written of it is taken back by the store. */
  undo(): void {
    this.#value = this.#markedValue
    this.#isRead = this.#markedRead
    this.#isChanged = this.#markedChanged
  }

  /** The store was changed: what it holds is to be read again. */
  forget(): void {
    this.#value = undefined
    this.#isRead = false
    this.#isChanged = false
    this.mark()
  }
}
