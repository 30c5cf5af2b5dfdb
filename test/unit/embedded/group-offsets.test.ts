// Offsets of groups at the embedded broker: what is pending in a transaction, what wins, and what is remembered. What
// single requests are answered stands in the contract suite, which asks Kafka the same.
import { describe, expect, it } from 'vitest'
import type { Marker } from '../../../src/embedded/broker-state.ts'
import { GroupOffsets } from '../../../src/embedded/group-offsets.ts'
import { MemoryJournal } from '../../../src/embedded/journal.ts'
import { errorName, GroupStand } from './group-stand.ts'

const partitionOf = (group: string): number => (group === 'far' ? 2 : 1)
const offsetsIn = (journal = new MemoryJournal()): GroupOffsets => new GroupOffsets({ journal }, partitionOf)
const at = (offset: number): { offset: number; leaderEpoch: number; metadata: string } => ({
  offset,
  leaderEpoch: 3,
  metadata: 'm',
})
const producer = { producerId: 7, producerEpoch: 4 }
const marker = (committed: boolean, producerEpoch = 5): Marker => ({
  ...producer,
  producerEpoch,
  coordinatorEpoch: 0,
  committed,
  transactionVersion: 2,
})

describe('offsets of a transaction', () => {
  it('are pending until the marker commits them', () => {
    const offsets = offsetsIn()
    offsets.commitPending('g', 'a', 0, producer, at(9))
    expect(offsets.get('g', 'a', 0)).toBeUndefined()
    expect(offsets.isPending('g', 'a', 0)).toBe(true)
    expect(offsets.isPending('g', 'a', 1)).toBe(false)
    offsets.applyMarker(1, marker(true))
    expect(offsets.get('g', 'a', 0)).toMatchObject(at(9))
    expect(offsets.isPending('g', 'a', 0)).toBe(false)
  })

  it('are gone when the marker aborts them', () => {
    const offsets = offsetsIn()
    offsets.commit('g', 'a', 0, at(1))
    offsets.commitPending('g', 'a', 0, producer, at(9))
    offsets.applyMarker(1, marker(false))
    expect(offsets.get('g', 'a', 0)).toMatchObject(at(1))
    expect(offsets.isPending('g', 'a', 0)).toBe(false)
  })

  it('of two groups settle with the marker of each partition', () => {
    const offsets = offsetsIn()
    offsets.commitPending('g', 'a', 0, producer, at(9))
    offsets.commitPending('far', 'a', 0, producer, at(8))
    offsets.applyMarker(2, marker(true))
    expect([offsets.get('far', 'a', 0)?.offset, offsets.get('g', 'a', 0)?.offset]).toEqual([8, undefined])
    offsets.applyMarker(1, marker(true))
    expect(offsets.get('g', 'a', 0)?.offset).toBe(9)
  })

  it('do not undo a plain commit that came after them, and undo one that came before', () => {
    const offsets = offsetsIn()
    offsets.commit('g', 'a', 1, at(100))
    offsets.commitPending('g', 'a', 0, producer, at(9))
    offsets.commitPending('g', 'a', 1, producer, at(9))
    offsets.commit('g', 'a', 0, at(2))
    offsets.applyMarker(1, marker(true))
    expect([offsets.get('g', 'a', 0)?.offset, offsets.get('g', 'a', 1)?.offset]).toEqual([2, 9])
  })

  it('that were deleted do not come back', () => {
    const offsets = offsetsIn()
    offsets.commitPending('g', 'a', 0, producer, at(9))
    offsets.commitPending('g', 'b', 0, producer, at(9))
    offsets.delete('g', 'a', 0)
    offsets.deleteTopic('b')
    offsets.applyMarker(1, marker(true))
    expect(offsets.topics('g').size).toBe(0)
  })
})

describe('the epoch of a producer', () => {
  it('that was seen in this partition shuts out older ones, markers as well', () => {
    const offsets = offsetsIn()
    offsets.commitPending('g', 'a', 0, producer, at(9))
    expect(errorName(offsets.applyMarker(1, marker(true, 3)))).toBe('INVALID_PRODUCER_EPOCH')
    expect(offsets.isPending('g', 'a', 0)).toBe(true)
    offsets.applyMarker(1, marker(false, 5))
    expect(errorName(offsets.checkProducer('g', 7, 4))).toBe('INVALID_PRODUCER_EPOCH')
    expect(errorName(offsets.checkProducer('g', 7, 5))).toBe('NONE')
    expect(errorName(offsets.checkProducer('far', 7, 4))).toBe('NONE')
  })

  it('says whether its transaction is open here', () => {
    const offsets = offsetsIn()
    expect(offsets.isOpen('g', 7, 4)).toBe(false)
    offsets.commitPending('g', 'a', 0, producer, at(9))
    expect([offsets.isOpen('g', 7, 4), offsets.isOpen('g', 7, 5), offsets.isOpen('far', 7, 4)]).toEqual([
      true,
      false,
      false,
    ])
    offsets.applyMarker(1, marker(true))
    expect(offsets.isOpen('g', 7, 5)).toBe(false)
  })
})

describe('after a restart of the broker', () => {
  it('committed and pending offsets are there, in their order', () => {
    const journal = new MemoryJournal()
    const before = offsetsIn(journal)
    before.commitPending('g', 'a', 0, producer, at(9))
    before.commit('g', 'a', 0, at(2))
    before.commitPending('g', 'a', 1, producer, at(9))
    const after = offsetsIn(journal)
    expect([...after.load()]).toEqual(['g'])
    expect(after.isPending('g', 'a', 0)).toBe(true)
    expect(after.isOpen('g', 7, 4)).toBe(true)
    expect(errorName(after.checkProducer('g', 7, 3))).toBe('INVALID_PRODUCER_EPOCH')
    after.commit('g', 'b', 0, at(1))
    after.applyMarker(1, marker(true))
    expect([after.get('g', 'a', 0)?.offset, after.get('g', 'a', 1)?.offset]).toEqual([2, 9])
    const last = offsetsIn(journal)
    last.load()
    expect(last.isPending('g', 'a', 1)).toBe(false)
    expect(last.get('g', 'a', 1)).toMatchObject(at(9))
  })

  it('what is committed then comes after what was committed before', () => {
    const journal = new MemoryJournal()
    const before = offsetsIn(journal)
    for (const offset of [8, 9]) before.commitPending('g', 'a', 0, producer, at(offset))
    const after = offsetsIn(journal)
    after.load()
    after.commit('g', 'a', 0, at(2))
    after.applyMarker(1, marker(true))
    expect(after.get('g', 'a', 0)?.offset).toBe(2)
    const last = offsetsIn(journal)
    last.load()
    last.commitPending('g', 'a', 0, { ...producer, producerEpoch: 5 }, at(20))
    last.applyMarker(1, marker(true, 6))
    expect(last.get('g', 'a', 0)?.offset).toBe(20)
  })

  it('a group goes on with its generation, and without its members', async () => {
    const journal = new MemoryJournal()
    const before = new GroupStand({}, journal)
    const member = await before.alone('g')
    before.groups.offsets.commit('simple', 'a', 0, at(1))
    const after = new GroupStand({}, journal)
    expect(after.stateOf('g')).toBe('Empty')
    expect(after.stateOf('simple')).toBe('Empty')
    expect(after.heartbeat('g', member)).toBe('UNKNOWN_MEMBER_ID')
    expect((await after.alone('g')).generationId).toBe(member.generationId + 1)
  })

  it('a deleted group is not there', async () => {
    const journal = new MemoryJournal()
    const before = new GroupStand({}, journal)
    const member = await before.alone('g')
    before.groups.offsets.commit('g', 'a', 0, at(1))
    before.groups.offsets.commitPending('g', 'a', 1, producer, at(1))
    before.leave('g', { memberId: member.memberId, instanceId: null })
    before.groups.delete('g')
    const after = new GroupStand({}, journal)
    expect(after.stateOf('g')).toBe('none')
    expect(after.groups.offsets.isPending('g', 'a', 1)).toBe(false)
  })
})
