import { describe, expect, it } from 'vitest'
import { PortionList } from '../../../src/task/portions.ts'

/** Work of so many entries; entries that fail throw unless they are dropped. */
const work = (entries: number, fails: number = -1) => {
  const done: string[] = []
  let next = 0
  return {
    done,
    rewind: () => {
      next = 0
    },
    portion(entriesMax: number, drop: boolean): boolean {
      const end = Math.min(entries, next + entriesMax)
      if (fails >= next && fails < end && !drop) throw new Error('no')
      done.push(`${next}-${end}${drop ? ' dropped' : ''}`)
      next = end
      return next < entries
    },
  }
}

const runAll = (list: PortionList): void => {
  while (list.waiting) {
    try {
      list.run()
    } catch {
      list.skipFailed()
    }
  }
}

describe('work in portions', () => {
  it('waits from the start, goes on until nothing is left, and again when it is woken', () => {
    const list = new PortionList()
    expect(list.waiting).toBe(false)
    const [one, other] = [work(600), work(0)]
    const wake = list.add(one)
    list.add(other)
    runAll(list)
    expect(one.done).toEqual(['0-256', '256-512', '512-600'])
    expect(other.done).toEqual(['0-0'])
    wake()
    expect(list.waiting).toBe(true)
    runAll(list)
    expect(one.done).toHaveLength(4)
    expect(other.done).toHaveLength(1)
  })

  it('begins anew when what was done may be undone', () => {
    const list = new PortionList()
    const one = work(3)
    list.add(one)
    runAll(list)
    one.rewind()
    list.wakeAll()
    runAll(list)
    expect(one.done).toEqual(['0-3', '0-3'])
  })

  it('drops the entry that fails and no other', () => {
    const list = new PortionList()
    const one = work(300, 2)
    list.add(one)
    runAll(list)
    expect(one.done).toEqual(['0-1', '1-2', '2-3 dropped', '3-259', '259-300'])
  })
})

describe('work that failed and is skipped', () => {
  it('is what loses the entry, whoever wakes meanwhile', () => {
    const list = new PortionList()
    const [early, failing] = [work(2), work(3, 0)]
    const wake = list.add(early)
    list.add(failing)
    list.run()
    early.rewind()
    for (const drops of [false, true]) {
      expect(() => list.run()).toThrow('no')
      expect(list.skipFailed()).toBe(drops)
    }
    wake()
    runAll(list)
    expect(failing.done).toEqual(['0-1 dropped', '1-3'])
    expect(early.done).toEqual(['0-2', '0-2'])
  })

  it('loses nothing when all goes back before', () => {
    const list = new PortionList()
    const [early, failing] = [work(2), work(3, 0)]
    list.add(early)
    list.add(failing)
    list.run()
    for (let failures = 0; failures < 2; failures++) {
      expect(() => list.run()).toThrow('no')
      list.skipFailed()
    }
    early.rewind()
    list.wakeAll()
    list.run()
    expect(early.done).toEqual(['0-2', '0-2'])
  })
})
