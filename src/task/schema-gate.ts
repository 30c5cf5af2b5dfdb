// Holds a batch back whose records name schemas that are not here yet: they are asked for at once, all of a batch, and no
// record of it is looked at before they are.
import type { BatchView } from '../record/batch-view.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import type { RemoteSerde, RemoteSource } from '../serde/remote.ts'
import type { TopicDefinition } from '../topology/contracts.ts'

export class SchemaGate {
  readonly #key: RemoteSerde | undefined
  readonly #value: RemoteSerde | undefined
  readonly #cursor = new RecordCursor()
  #batch: BatchView | undefined
  /** What the batch waits for. */
  readonly #missing = new Map<RemoteSource, Set<number>>()

  private constructor({ key, value }: TopicDefinition) {
    this.#key = key.remote
    this.#value = value.remote
  }

  /** Undefined where the serdes of the topic need nothing. */
  static of(topic: TopicDefinition): SchemaGate | undefined {
    return topic.key.remote === undefined && topic.value.remote === undefined
      ? undefined
      : new SchemaGate(topic)
  }

  /** Whether every schema of the batch is here, or known not to exist. @throws as RecordCursor, for a corrupt batch */
  lets(batch: BatchView): boolean {
    if (this.#batch !== batch) {
      this.#missing.clear()
      this.#scan(batch)
      this.#batch = batch
    } else {
      for (const [source, ids] of this.#missing) {
        for (const id of ids) if (source.settled(id)) ids.delete(id)
        if (ids.size === 0) this.#missing.delete(source)
      }
    }
    if (this.#missing.size > 0) return false
    this.#batch = undefined
    return true
  }

  #scan(batch: BatchView): void {
    const cursor = this.#cursor
    cursor.reset(batch)
    while (cursor.next()) {
      this.#look(this.#key, cursor.buffer, cursor.keyStart, cursor.keyLength)
      this.#look(this.#value, cursor.buffer, cursor.valueStart, cursor.valueLength)
    }
    cursor.release()
  }

  #look(serde: RemoteSerde | undefined, bytes: Buffer, start: number, length: number): void {
    if (serde === undefined || length < 0) return
    const id = serde.idOf(bytes, start, start + length)
    const { source } = serde
    if (id < 0 || source.settled(id)) return
    const ids = this.#missing.get(source)
    if (ids === undefined) this.#missing.set(source, new Set([id]))
    else ids.add(id)
  }
}
