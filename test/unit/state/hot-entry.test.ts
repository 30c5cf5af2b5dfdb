// The hot entry of a store, against a naive model: whatever happens in between, it reads as any other entry would, and the
// changelog gets its last value, once per transaction.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Serde } from '../../../src/serde/serde.ts'
import { string } from '../../../src/serde/text.ts'
import { at, changesOf, code, storeOf } from './support.ts'

const hotKey = '\u00ff'
const large = 'x'.repeat(2000)

type Changes = Map<string, string | null>

/** What is committed, and what the open transaction changed, now and when the record in hand began. */
class Model {
  committed = new Map<string, string>()
  changes: Changes = new Map()
  #marked: Changes = new Map()

  get(key: string): string | undefined {
    const changed = this.changes.get(key)
    return changed === undefined ? this.committed.get(key) : (changed ?? undefined)
  }

  put(key: string, value: string): void {
    this.changes.set(key, value)
  }

  /** What is absent gets no tombstone. */
  delete(key: string): void {
    if (this.get(key) !== undefined) this.changes.set(key, null)
  }

  mark(): void {
    this.#marked = new Map(this.changes)
  }

  undo(): void {
    this.changes = new Map(this.#marked)
  }

  drop(): void {
    this.changes = new Map()
    this.mark()
  }

  commit(): void {
    for (const [key, value] of this.changes) {
      if (value === null) this.committed.delete(key)
      else this.committed.set(key, value)
    }
    this.drop()
  }

  all(below?: string): [string, string][] {
    const keys = [...new Set([...this.committed.keys(), ...this.changes.keys()])].sort()
    return keys.flatMap((key): [string, string][] => {
      const value = this.get(key)
      return value === undefined || (below !== undefined && key >= below) ? [] : [[key, value]]
    })
  }
}

const kinds = (
  'set set set set set-large hot hot put put delete get all below mark mark mark undo undo seal commit commit undrained drop flush ' +
  'changelog reset age age'
).split(' ')
const step = fc.record({
  kind: fc.constantFrom(...kinds),
  key: fc.constantFrom('a', 'b', 'z'),
  value: fc.stringMatching(/^[a-z]{1,3}$/),
})

const run = (steps: readonly { kind: string; key: string; value: string }[]): void => {
  const { store, engine } = storeOf(string)
  const hot = store.hotEntry(hotKey, (value) => value.length)
  const model = new Model()
  let offset = 1
  // Nothing is written before the first record, nor after one was finished.
  let inHand = false
  for (const { kind, key, value } of steps) {
    const begin = (): void => {
      if (inHand) return
      store.mark()
      model.mark()
      inHand = true
    }
    switch (kind) {
      case 'set':
      case 'set-large':
        begin()
        hot.set(kind === 'set' ? value : large + value)
        model.put(hotKey, kind === 'set' ? value : large + value)
        break
      case 'put':
        begin()
        store.put(key, value)
        model.put(key, value)
        break
      case 'delete':
        begin()
        store.delete(key)
        model.delete(key)
        break
      case 'mark':
        store.mark()
        model.mark()
        inHand = true
        break
      case 'undo':
        begin()
        store.undo()
        model.undo()
        break
      case 'seal':
        store.seal()
        inHand = false
        break
      case 'all':
        expect([...store.all()].map((one) => [one.key, one.value])).toEqual(model.all())
        break
      case 'below':
        expect([...store.range(undefined, key)].map((one) => [one.key, one.value])).toEqual(model.all(key))
        break
      case 'commit':
      case 'undrained':
        store.seal()
        inHand = false
        if (kind === 'commit') {
          const changes = changesOf(store).map(([id, bytes]) => [
            Buffer.from(id, 'latin1').toString(),
            bytes?.toString() ?? null,
          ])
          expect(changes.length).toBe(model.changes.size)
          expect(new Map(changes as [string, string | null][])).toEqual(model.changes)
        }
        store.commitOverlay(at(offset++))
        model.commit()
        break
      case 'drop':
        store.dropOverlay()
        model.drop()
        inHand = false
        break
      case 'age':
        store.age()
        break
      case 'flush':
        if (store.checkpoint() !== undefined) store.flush()
        break
      case 'changelog':
        store.dropOverlay()
        model.drop()
        inHand = false
        store.applyChangelog([{ key: Buffer.from(hotKey), value: Buffer.from(value) }], at(offset++))
        model.put(hotKey, value)
        model.commit()
        break
      case 'reset':
        store.reset(engine.identity() as never)
        model.drop()
        model.committed.clear()
        inHand = false
        offset = 1
        break
    }
    expect(hot.get()).toBe(model.get(hotKey))
    expect(store.get(key)).toBe(model.get(key))
  }
}

describe('HotEntry', () => {
  it('is as any other entry, whatever happens to its store', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 60, size: 'max' }), run), { numRuns: 600 })
  })

  it('is written once per transaction, and not at all where its record was taken back', () => {
    const { store } = storeOf(string)
    const hot = store.hotEntry(hotKey, (value) => value.length)
    for (const value of ['1', '2', '3']) {
      store.mark()
      hot.set(value)
    }
    store.seal()
    expect(changesOf(store)).toHaveLength(1)
    store.commitOverlay(at(1))
    store.mark()
    hot.set('4')
    store.undo()
    store.seal()
    expect(changesOf(store)).toEqual([])
    expect(hot.get()).toBe('3')
  })

  it('fails the record with a value that its changelog does not take, not the commit', () => {
    const { store } = storeOf(string, undefined, { changeBytesMax: 1000 })
    const hot = store.hotEntry(hotKey, (value) => value.length)
    store.mark()
    expect(() => hot.set(large)).toThrow(expect.objectContaining({ code: 'RECORD_TOO_LARGE' }))
    store.undo()
    store.seal()
    expect(changesOf(store)).toEqual([])
  })

  it('is not set when no record is in hand', () => {
    const { store } = storeOf(string)
    const hot = store.hotEntry(hotKey, (value) => value.length)
    store.mark()
    store.seal()
    expect(() => hot.set('late')).toThrow(expect.objectContaining({ code: 'CONTEXT_EXPIRED' }))
    expect(hot.get()).toBeUndefined()
  })

  it('gives its transaction something to commit, each time, and ends ranges', () => {
    const { store } = storeOf(string)
    const hot = store.hotEntry(hotKey, (value) => value.length)
    store.mark()
    store.put('a', '1')
    store.put('b', '2')
    let before = store.uncommittedBytes
    for (const value of ['1', '2']) {
      const range = store.range('a', 'c')
      range.next()
      hot.set(value)
      expect(store.uncommittedBytes).toBeGreaterThan(before)
      before = store.uncommittedBytes
      expect(() => range.next()).toThrow(expect.objectContaining({ code: 'RANGE_INVALIDATED' }))
    }
    store.mark()
    hot.set('3')
    store.undo()
    expect(store.uncommittedBytes).toBe(before)
    store.seal()
    expect(changesOf(store)).toHaveLength(3)
  })

  it('leaves the store sealed where its bytes cannot be made', () => {
    const refusing: Serde<string> = {
      ...string,
      encode: () => {
        throw new Error('not this one')
      },
    }
    const { encodeInto: _, ...slow } = refusing
    const { store } = storeOf(slow)
    const hot = store.hotEntry('k', (value) => value.length)
    store.mark()
    hot.set('v')
    store.seal()
    expect(code(() => store.drainChanges(() => {}))).toBe('SERIALIZATION_FAILED')
    expect(code(() => hot.set('w'))).toBe('CONTEXT_EXPIRED')
  })

  it('is one per store', () => {
    const { store } = storeOf(string)
    const bytesOf = (value: string): number => value.length
    expect(store.hotEntry(hotKey, bytesOf)).toBe(store.hotEntry(hotKey, bytesOf))
    expect(() => store.hotEntry('a', bytesOf)).toThrow('one hot entry')
  })
})
