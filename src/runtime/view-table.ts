// The entries of a view: what each key was last written to, as it lies in the topic. Values are decoded when they are asked
// for; those of primitive serdes are kept as themselves.
import type { Logger } from '../base/log.ts'
import { ensureError, isSchemaPending, MillstreamError } from '../errors.ts'
import type { BatchView } from '../record/batch-view.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import type { Serde } from '../serde/serde.ts'
import type { KeyValue } from '../state/contracts.ts'
import { latin1Of } from '../state/store-codec.ts'
import type { TopicDefinition } from '../topology/contracts.ts'

const decoded = <T>(serde: Serde<T>, bytes: Buffer): T =>
  serde.decodeFrom ? serde.decodeFrom(bytes, 0, bytes.length) : serde.decode(new Uint8Array(bytes))

export class ViewTable {
  readonly #topic: TopicDefinition
  readonly #skips: boolean
  readonly #log: Logger
  readonly #cursor = new RecordCursor()
  /** By the bytes of the key, one char each. */
  readonly #entries = new Map<string, unknown>()
  readonly #keepsValues: boolean

  /** @param skips records that cannot be read are left out */
  constructor(topic: TopicDefinition, skips: boolean, log: Logger) {
    this.#topic = topic
    this.#skips = skips
    this.#log = log
    this.#keepsValues = topic.value.primitive === true
  }

  get size(): number {
    return this.#entries.size
  }

  has(key: unknown): boolean {
    return this.#entries.has(this.#encoded(key))
  }

  get(key: unknown): unknown {
    const encoded = this.#encoded(key)
    return this.#entries.has(encoded) ? this.#valueOf(this.#entries.get(encoded)) : undefined
  }

  *all(): IterableIterator<KeyValue<unknown, unknown>> {
    for (const [key, held] of this.#entries) {
      const bytes = Buffer.from(key, 'latin1')
      yield { key: this.#decode('key', this.#topic.key, bytes), value: this.#valueOf(held) }
    }
  }

  /** @param from below this offset it was applied before @throws DESERIALIZATION_FAILED unless such records are skipped */
  apply(batch: BatchView, partition: number, from: number): void {
    const cursor = this.#cursor
    cursor.reset(batch)
    while (cursor.next()) {
      // Without a key it is no row, as in every table.
      if (cursor.offset < from || cursor.keyLength < 0) continue
      try {
        this.#put(cursor)
      } catch (error) {
        const place = { topic: this.#topic.name, partition, offset: cursor.offset }
        if (!this.#skips) throw error instanceof MillstreamError ? error.relocated(place) : error
        this.#log.warn('a record failed and is left out of the view', {
          ...place,
          cause: ensureError(error).message,
        })
      }
    }
    cursor.release()
  }

  #put({ buffer, keyStart, keyLength, valueStart, valueLength }: RecordCursor): void {
    const key = this.#canonical(buffer.subarray(keyStart, keyStart + keyLength))
    if (valueLength < 0) {
      this.#entries.delete(key)
      return
    }
    const bytes = buffer.subarray(valueStart, valueStart + valueLength)
    // The bytes of the whole response would be kept with a view of them.
    const held = this.#keepsValues ? this.#decode('value', this.#topic.value, bytes) : Buffer.from(bytes)
    this.#entries.set(key, held)
  }

  /** A serde like JSON reads one key from different bytes. */
  #canonical(bytes: Buffer): string {
    const { key } = this.#topic
    if (key.acceptsAllBytes === true) return latin1Of(bytes)
    const value = this.#decode('key', key, bytes)
    return key.primitive === true ? latin1Of(bytes) : this.#encoded(value)
  }

  #encoded(key: unknown): string {
    const serde = this.#topic.key
    try {
      return latin1Of(serde.encode(key))
    } catch (error) {
      throw new MillstreamError('SERIALIZATION_FAILED', {
        what: `the serde ${serde.name} refused a key: ${ensureError(error).message}`,
        where: { topic: this.#topic.name },
        cause: error,
      })
    }
  }

  #valueOf(held: unknown): unknown {
    return this.#keepsValues ? held : this.#decode('value', this.#topic.value, held as Buffer)
  }

  #decode(field: 'key' | 'value', serde: Serde<unknown>, bytes: Buffer): unknown {
    try {
      return decoded(serde, bytes)
    } catch (error) {
      if (isSchemaPending(error)) throw error
      throw new MillstreamError('DESERIALIZATION_FAILED', {
        what: `the serde ${serde.name} refused the ${field} of ${bytes.length} bytes: ${ensureError(error).message}`,
        where: { topic: this.#topic.name },
        fix: 'Check what the producer writes against the serde of the topic.',
        cause: error,
      })
    }
  }
}
