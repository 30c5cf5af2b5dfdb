import { describe, expect, it } from 'vitest'
import { Entries } from '../../../src/state/entries.ts'
import { EntryTable, absent, unknown } from '../../../src/state/entry-table.ts'
import { StateDigest, hashBytes, hashedFirst, hashedSecond } from '../../../src/state/state-digest.ts'
import { StoreMemory } from '../../../src/state/store-memory.ts'

// An entry of one char and a number counts 57 bytes: seven fit below a third of 1200.
const share = 1200

const entriesOf = (unflushed: number[] = []) => {
  const memory = new StoreMemory(share)
  const entries = new Entries(memory)
  memory.join({ committedBytes: 0, flush: () => {}, age: () => entries.age(unflushed) })
  const locate = (key: string): number =>
    entries.locate({ source: Buffer.from(key), start: 0, length: key.length })
  const put = (key: string, value: string): number => {
    const id = locate(key)
    entries.table.setValue(id, Buffer.from(value), 0, value.length)
    entries.tell()
    return id
  }
  const get = (key: string): string | null | undefined => {
    const id = locate(key)
    return entries.table.valueLength(id) === unknown ? undefined : entries.table.value(id)?.toString()
  }
  return { put, get, locate, entries }
}

describe('the entries of a store', () => {
  it('forget what was not looked up for two generations, and keep what was', () => {
    const { put, get } = entriesOf()
    put('u', 'used')
    put('n', 'not used')
    for (const key of 'ABCDEFGHIJKLMNOPQRSTUVW') {
      put(key, 'other')
      expect(get('u')).toBe('used')
    }
    expect(get('n')).toBeUndefined()
  })

  it('stay within their two generations', () => {
    const { put, get } = entriesOf()
    const keys = Array.from({ length: 100 }, (_, index) => String(index))
    for (const key of keys) put(key, 'value')
    expect(keys.toReversed().filter((key) => get(key) !== undefined).length).toBeLessThanOrEqual(2 * 8)
  })

  it('that the engine does not hold are never forgotten, and get new numbers', () => {
    const unflushed: number[] = []
    const { put, get, locate, entries } = entriesOf(unflushed)
    const kept = put('k', 'below')
    entries.table.begin(kept)
    entries.table.setValue(kept, noBytes, 0, absent)
    unflushed.push(kept)
    for (let index = 0; index < 100; index++) put(`n${index}`, 'value')
    const now = locate('k')
    expect(unflushed).toEqual([now])
    expect([entries.table.isWritten(now), entries.table.value(now)]).toEqual([true, null])
    expect(entries.table.committed(now)?.toString()).toBe('below')
    entries.table.takeBack(now)
    unflushed.length = 0
    expect(get('k')).toBe('below')
    for (let index = 100; index < 200; index++) put(`n${index}`, 'value')
    expect(get('k')).toBeUndefined()
  })

  it('that grow count as what they have become', () => {
    const { put, get } = entriesOf()
    put('n', 'not used')
    for (let size = 1; size < 10; size++) put('g', 'x'.repeat(100 * size))
    expect(get('n')).toBeUndefined()
    expect(get('g')).toHaveLength(900)
  })
})

const noBytes = Buffer.alloc(0)

describe('a table of entries', () => {
  const found = (table: EntryTable, key: Buffer, first?: number, second?: number): number => {
    hashBytes(key, 0, key.length)
    const [one, other] = [first ?? hashedFirst(), second ?? hashedSecond()]
    const id = table.find(one, other, key, 0, key.length)
    return id < 0 ? table.make(one, other, key, 0, key.length) : id
  }

  it('tells keys of one hash apart', () => {
    const table = new EntryTable()
    const keys = ['', 'a', 'b', 'ab', 'ba', '\0', '\0\0'].map((key) => Buffer.from(key))
    const ids = keys.map((key) => found(table, key, 7, 7))
    expect(new Set(ids).size).toBe(keys.length)
    expect(keys.map((key) => found(table, key, 7, 7))).toEqual(ids)
  })

  it('finds every key after it has grown many times, with its own value', () => {
    const table = new EntryTable()
    const keys = Array.from({ length: 5000 }, (_, index) => Buffer.from(`${index}-${'k'.repeat(index % 70)}`))
    for (const key of keys) table.setValue(found(table, key), key, 0, key.length)
    // Longer and shorter than before, in place and moved.
    const next = keys.map((key, index) => Buffer.from('v'.repeat((index * 7) % 200) + key.toString()))
    for (const [index, key] of keys.entries()) {
      const value = next[index] as Buffer
      table.setValue(found(table, key), value, 0, value.length)
    }
    for (const [index, key] of keys.entries()) {
      const id = found(table, key)
      expect(table.key(id)).toBe(key.toString())
      expect(table.value(id)).toEqual(next[index])
    }
  })

  it('keeps what is below a write, whatever their lengths', () => {
    const table = new EntryTable()
    const key = Buffer.from('k')
    const id = found(table, key)
    const values = ['', 'short', 'x'.repeat(300), 'y', 'z'.repeat(301), '']
    let before: string | undefined
    table.setValue(id, noBytes, 0, absent)
    for (const value of values) {
      table.begin(id)
      for (const draft of ['draft'.repeat(50), '', value])
        table.setValue(id, Buffer.from(draft), 0, draft.length)
      expect(table.committed(id)?.toString()).toBe(before)
      table.takeBack(id)
      expect(table.value(id)?.toString()).toBe(before)
      table.begin(id)
      table.setValue(id, Buffer.from(value), 0, value.length)
      table.settle(id)
      expect(table.committed(id)?.toString()).toBe(value)
      before = value
    }
  })

  it('hashes a key as the digest does, wherever its bytes lie', () => {
    for (let length = 0; length < 20; length++) {
      const key = Buffer.from(Array.from({ length }, (_, index) => (index * 91 + 200) & 0xff))
      const value = Buffer.from('value')
      const byText = new StateDigest()
      byText.setKey(key.toString('latin1'))
      byText.add(value)
      const within = Buffer.concat([Buffer.from('???'), key, Buffer.from('???')])
      hashBytes(within, 3, length)
      const byHash = new StateDigest()
      byHash.setHashedKey(hashedFirst(), hashedSecond())
      byHash.add(Buffer.concat([Buffer.from('!'), value, Buffer.from('!')]), 1, value.length)
      expect(byHash.text).toBe(byText.text)
    }
  })
})
