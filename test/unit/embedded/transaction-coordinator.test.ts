// What the coordinator of the embedded broker answers in which state. The contract suite holds the same against a real
// broker; here are the cases that need time, a restart or a moved coordinator.
import { describe, expect, it } from 'vitest'
import { codes } from '../../../src/embedded/codes.ts'
import { MemoryJournal } from '../../../src/embedded/journal.ts'
import type { TransactionCoordinator } from '../../../src/embedded/transaction-coordinator.ts'
import type { ProducerIdentity } from '../../../src/embedded/transaction-entry.ts'
import { errorName, transactionStand } from './transaction-stand.ts'

const id = 'app-1'
const timeoutMs = 60_000

interface Answer extends ProducerIdentity {
  readonly error: string
}

/** One producer of the transactional id, as a client would be. */
const producerOn = (coordinator: TransactionCoordinator, transactionalId = id) => {
  let held: ProducerIdentity = { producerId: -1, producerEpoch: -1 }
  const named = (answer: { errorCode: number } & ProducerIdentity): Answer => {
    const { errorCode, producerId, producerEpoch } = answer
    return { error: errorName(errorCode), producerId, producerEpoch }
  }
  const producer = {
    get held() {
      return held
    },
    init(shown?: ProducerIdentity, timeout = timeoutMs): Answer {
      const answer = named(coordinator.init(transactionalId, timeout, shown))
      if (answer.error === 'NONE') held = answer
      return answer
    },
    /** As a produce or a TxnOffsetCommit of transactions version 2. */
    write(topic: string, partition = 0, as = held): string {
      const { producerId, producerEpoch } = as
      const partitions = [{ topic, partition }]
      return errorName(coordinator.admit(transactionalId, producerId, producerEpoch, partitions, true))
    },
    verify(topic: string, partition = 0): string {
      const { producerId, producerEpoch } = held
      const partitions = [{ topic, partition }]
      return errorName(coordinator.admit(transactionalId, producerId, producerEpoch, partitions, false))
    },
    end(committed: boolean, { as = held, v1 = false } = {}): Answer {
      const answer = named(coordinator.end({ transactionalId, ...as }, committed, !v1))
      if (answer.error === 'NONE' && !v1) held = answer
      return answer
    },
    state: () => coordinator.describe(transactionalId)?.state,
  }
  producer.init()
  return producer
}

describe('InitProducerId', () => {
  it('raises the epoch, and fences by it', () => {
    const { coordinator } = transactionStand()
    const one = producerOn(coordinator)
    expect(one.held).toEqual({ error: 'NONE', producerId: 0, producerEpoch: 0 })
    const two = producerOn(coordinator)
    expect(two.held).toMatchObject({ producerId: 0, producerEpoch: 1 })
    expect(one.write('a')).toBe('INVALID_PRODUCER_EPOCH')
    expect(one.end(true).error).toBe('PRODUCER_FENCED')
    expect(one.init(one.held).error).toBe('PRODUCER_FENCED')
  })

  it('with the identity held answers the same again where its answer was lost', () => {
    const { coordinator } = transactionStand()
    const one = producerOn(coordinator)
    const before = one.held
    const after = one.init(before)
    expect(after.producerEpoch).toBe(before.producerEpoch + 1)
    expect(one.init(before)).toEqual(after)
    producerOn(coordinator)
    expect(one.init(before).error).toBe('PRODUCER_FENCED')
    expect(one.init({ producerId: 77, producerEpoch: 0 }).error).toBe('PRODUCER_FENCED')
  })

  it('aborts what is open first, and is put back until the markers are written', () => {
    const stand = transactionStand({ markerDelayMs: () => 5 })
    const owner = producerOn(stand.coordinator)
    expect(owner.write('a')).toBe('NONE')
    expect(stand.coordinator.init(id, timeoutMs, undefined).errorCode).toBe(codes.CONCURRENT_TRANSACTIONS)
    stand.pass(4)
    expect(stand.coordinator.init(id, timeoutMs, undefined).errorCode).toBe(codes.CONCURRENT_TRANSACTIONS)
    expect(stand.written).toEqual([])
    stand.pass(1)
    expect(stand.written).toEqual([
      {
        to: 'a-0',
        producerId: 0,
        producerEpoch: 1,
        coordinatorEpoch: 0,
        committed: false,
        transactionVersion: 2,
      },
    ])
    expect(stand.coordinator.init(id, timeoutMs, undefined)).toMatchObject({ errorCode: 0, producerEpoch: 2 })
    expect(owner.end(true).error).toBe('PRODUCER_FENCED')
  })

  it('of a stale holder aborts the transaction of the owner all the same', () => {
    const { coordinator, written } = transactionStand()
    const stale = producerOn(coordinator)
    const owner = producerOn(coordinator)
    owner.write('a')
    expect(stale.init(stale.held).error).toBe('CONCURRENT_TRANSACTIONS')
    expect(stale.init(stale.held).error).toBe('PRODUCER_FENCED')
    expect(written).toMatchObject([{ to: 'a-0', committed: false }])
    expect(owner.write('b')).toBe('INVALID_PRODUCER_EPOCH')
  })

  it('goes on with a new producer id when the epochs are used up', () => {
    const { coordinator } = transactionStand({ producerEpochMax: 3 })
    const one = producerOn(coordinator)
    for (const epoch of [1, 2, 3]) expect(one.init().producerEpoch).toBe(epoch)
    const last = one.held
    const next = one.init(last)
    expect(next).toEqual({ error: 'NONE', producerId: 1, producerEpoch: 0 })
    // Its answer was lost: the last epoch of the old id is taken for the new one once more.
    expect(one.init(last)).toMatchObject({ error: 'NONE', producerId: 1 })
    expect(one.init({ ...last, producerEpoch: 2 }).error).toBe('PRODUCER_FENCED')
  })

  // As seen on a 4.3.1 broker.
  it('fails where the epochs were used up by an end whose answer was lost', () => {
    const { coordinator } = transactionStand({ producerEpochMax: 2 })
    const one = producerOn(coordinator)
    one.init()
    const before = one.held
    const ended = one.end(false)
    expect(ended.producerEpoch).toBe(2)
    expect(one.init(before).error).toBe('UNKNOWN_SERVER_ERROR')
    expect(one.init(ended)).toMatchObject({ producerId: 1, producerEpoch: 0 })
  })

  it('of another self rotates the producer id with the abort where the epochs are used up', () => {
    const { coordinator, written } = transactionStand({ producerEpochMax: 1 })
    const one = producerOn(coordinator)
    one.init()
    const last = one.held
    one.write('a')
    expect(coordinator.init(id, timeoutMs, undefined).errorCode).toBe(codes.CONCURRENT_TRANSACTIONS)
    expect(written).toMatchObject([{ producerId: 0, producerEpoch: 2, committed: false }])
    expect(one.end(false, { as: last })).toMatchObject({ error: 'NONE', producerId: 1, producerEpoch: 0 })
    expect(one.init(last)).toMatchObject({ error: 'NONE', producerId: 1, producerEpoch: 0 })
    expect(one.init()).toMatchObject({ error: 'NONE', producerId: 1, producerEpoch: 1 })
  })
})

describe('EndTxn of transactions version 2', () => {
  it('raises the epoch with each end', () => {
    const { coordinator, written } = transactionStand()
    const one = producerOn(coordinator)
    one.write('a')
    one.write('b', 2)
    expect(one.end(true)).toEqual({ error: 'NONE', producerId: 0, producerEpoch: 1 })
    expect(written).toMatchObject([
      { to: 'a-0', producerEpoch: 1, committed: true },
      { to: 'b-2', producerEpoch: 1, committed: true },
    ])
    one.write('a')
    expect(one.end(false)).toMatchObject({ producerEpoch: 2 })
  })

  it('is answered the same when it is repeated, and refused when it says something else', () => {
    const { coordinator } = transactionStand()
    const one = producerOn(coordinator)
    const before = one.held
    one.write('a')
    const ended = one.end(true)
    expect(one.end(true, { as: before })).toEqual(ended)
    expect(one.end(false, { as: before }).error).toBe('INVALID_TXN_STATE')
    one.write('a')
    expect(one.end(true, { as: before }).error).toBe('PRODUCER_FENCED')
    const second = one.held
    const aborted = one.end(false)
    expect(one.end(false, { as: second })).toEqual(aborted)
    expect(one.end(true, { as: second }).error).toBe('INVALID_TXN_STATE')
  })

  it('whose answer was lost is made good by InitProducerId with the epoch before', () => {
    const { coordinator } = transactionStand()
    const one = producerOn(coordinator)
    const before = one.held
    one.write('a')
    const ended = one.end(true)
    expect(one.init(before)).toEqual(ended)
    expect(one.init(ended).producerEpoch).toBe(ended.producerEpoch + 1)
  })

  it('may abort where nothing is open, and not commit', () => {
    const { coordinator, written } = transactionStand()
    const one = producerOn(coordinator)
    expect(one.end(true).error).toBe('INVALID_TXN_STATE')
    expect(one.end(false)).toMatchObject({ error: 'NONE', producerEpoch: 1 })
    expect(one.end(true).error).toBe('INVALID_TXN_STATE')
    expect(one.end(false)).toMatchObject({ error: 'NONE', producerEpoch: 2 })
    expect(written).toEqual([])
  })

  it('puts everything back while markers are outstanding, whoever asks', () => {
    const stand = transactionStand({ markerDelayMs: (topic) => (topic === 'b' ? 10 : 1) })
    const one = producerOn(stand.coordinator)
    const before = one.held
    one.write('a')
    one.write('b')
    expect(one.end(true).error).toBe('NONE')
    expect(one.state()).toBe('PrepareCommit')
    stand.pass(5)
    expect(stand.coordinator.describe(id)?.partitions).toEqual([{ topic: 'b', partition: 0 }])
    expect(one.write('a')).toBe('CONCURRENT_TRANSACTIONS')
    expect(one.write('a', 0, before)).toBe('CONCURRENT_TRANSACTIONS')
    expect(one.end(false).error).toBe('CONCURRENT_TRANSACTIONS')
    expect(one.end(true, { as: before }).error).toBe('CONCURRENT_TRANSACTIONS')
    expect(one.init(one.held).error).toBe('CONCURRENT_TRANSACTIONS')
    stand.pass(5)
    expect(one.state()).toBe('CompleteCommit')
    expect(one.write('a')).toBe('NONE')
  })

  it('goes on with a new producer id when the epochs are used up, and says so again', () => {
    const { coordinator, written } = transactionStand({ producerEpochMax: 2 })
    const one = producerOn(coordinator)
    for (let round = 0; round < 2; round++) {
      one.write('a')
      one.end(true)
    }
    const last = one.held
    expect(last.producerEpoch).toBe(2)
    one.write('a')
    const next = one.end(true)
    expect(next).toEqual({ error: 'NONE', producerId: 1, producerEpoch: 0 })
    // The marker has the epoch that no producer gets.
    expect(written.at(-1)).toMatchObject({ producerId: 0, producerEpoch: 3 })
    expect(one.end(true, { as: last })).toEqual(next)
    expect(one.write('a')).toBe('NONE')
    expect(one.end(true, { as: last }).error).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect(one.end(true)).toMatchObject({ producerId: 1, producerEpoch: 1 })
  })
})

describe('EndTxn of transactions version 1', () => {
  it('leaves the epoch, and tells a repeated one by the state', () => {
    const { coordinator, written } = transactionStand({ transactionVersion: 1 })
    const one = producerOn(coordinator)
    expect(one.end(false, { v1: true }).error).toBe('INVALID_TXN_STATE')
    expect(one.verify('a')).toBe('INVALID_TXN_STATE')
    one.write('a')
    expect(one.verify('a')).toBe('NONE')
    expect(one.verify('a', 1)).toBe('INVALID_TXN_STATE')
    expect(one.end(true, { v1: true }).error).toBe('NONE')
    expect(written).toMatchObject([{ to: 'a-0', producerEpoch: 0, transactionVersion: 1 }])
    expect(one.end(true, { v1: true }).error).toBe('NONE')
    expect(one.end(false, { v1: true }).error).toBe('INVALID_TXN_STATE')
    expect(one.verify('a')).toBe('INVALID_TXN_STATE')
  })

  it('of a producer whose transaction timed out is fenced for good', () => {
    const stand = transactionStand({ transactionVersion: 1, transactionCleanupIntervalMs: 1000 })
    const one = producerOn(stand.coordinator)
    const before = one.held
    one.init(before, 500)
    one.write('a')
    stand.pass(1000)
    expect(stand.written).toMatchObject([{ committed: false, producerEpoch: 2 }])
    expect(one.end(false, { v1: true }).error).toBe('PRODUCER_FENCED')
    expect(one.init(one.held).error).toBe('PRODUCER_FENCED')
    expect(one.init(before).error).toBe('PRODUCER_FENCED')
  })
})

describe('a partition that joins a transaction', () => {
  it('puts back the next one that comes meanwhile, where that takes its time', () => {
    const stand = transactionStand({ joinDelayMs: 5 })
    const one = producerOn(stand.coordinator)
    expect(one.write('a')).toBe('NONE')
    expect([one.write('a'), one.write('b')]).toEqual(['NONE', 'NETWORK_EXCEPTION'])
    stand.pass(4)
    expect(one.write('b')).toBe('NETWORK_EXCEPTION')
    stand.pass(1)
    expect([one.write('b'), one.write('b')]).toEqual(['NONE', 'NONE'])
    const { held } = one
    one.end(true)
    expect(one.write('a', 1, held)).toBe('INVALID_PRODUCER_EPOCH')
    // Nothing of the transaction before is left.
    expect(one.write('a', 1)).toBe('NONE')
  })
})

describe('a transaction that is too old', () => {
  it('is aborted at the next look, and its producer learns of it by its old epoch', () => {
    const stand = transactionStand({ transactionCleanupIntervalMs: 1000 })
    const one = producerOn(stand.coordinator)
    one.init(undefined, 1500)
    one.write('a')
    stand.pass(1400)
    // Its age counts from its first partition, not from its last.
    one.write('b')
    stand.pass(599)
    expect(one.state()).toBe('Ongoing')
    stand.pass(1)
    expect(one.state()).toBe('CompleteAbort')
    expect(one.write('a')).toBe('INVALID_PRODUCER_EPOCH')
    const { held } = one
    expect(one.end(true).error).toBe('INVALID_TXN_STATE')
    expect(one.end(false)).toMatchObject({ error: 'NONE', producerEpoch: held.producerEpoch + 1 })
  })

  it('is looked for only while one is open', () => {
    const stand = transactionStand({ transactionCleanupIntervalMs: 1000 })
    const one = producerOn(stand.coordinator)
    expect(stand.timers()).toBe(0)
    one.write('a')
    expect(stand.timers()).toBe(1)
    one.end(true)
    stand.pass(1000)
    expect(stand.timers()).toBe(0)
    one.write('a')
    stand.coordinator.close()
    expect(stand.timers()).toBe(0)
  })

  it('is not mistaken for one that nobody used for long', () => {
    const stand = transactionStand({ transactionalIdExpirationMs: 100, transactionCleanupIntervalMs: 1e6 })
    const one = producerOn(stand.coordinator)
    one.write('a')
    stand.pass(500)
    expect(one.state()).toBe('Ongoing')
    one.end(true)
    stand.pass(100)
    expect(one.state()).toBeUndefined()
    expect(one.write('a')).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect(one.init(one.held)).toMatchObject({ error: 'NONE', producerId: 1, producerEpoch: 0 })
  })
})

describe('markers', () => {
  it('are held until they are released, one by one if need be', () => {
    const stand = transactionStand({ markerDelayMs: () => Number.POSITIVE_INFINITY })
    const one = producerOn(stand.coordinator)
    const two = producerOn(stand.coordinator, 'app-2')
    for (const producer of [one, two]) {
      producer.write('a')
      producer.write('b')
      producer.end(true)
    }
    stand.pass(1e9)
    expect(stand.written).toEqual([])
    stand.coordinator.releaseMarkers({ transactionalId: id, topic: 'b', partition: 0 })
    expect(stand.written.map(({ to }) => to)).toEqual(['b-0'])
    stand.coordinator.releaseMarkers()
    expect(stand.written.map(({ to, producerId }) => [to, producerId])).toEqual([
      ['b-0', 0],
      ['a-0', 0],
      ['a-0', 1],
      ['b-0', 1],
    ])
    expect([one.state(), two.state()]).toEqual(['CompleteCommit', 'CompleteCommit'])
  })

  it('that were held are those of the new coordinator where it has moved', () => {
    const stand = transactionStand({ markerDelayMs: () => Number.POSITIVE_INFINITY })
    const { nodes } = stand.broker
    const one = producerOn(stand.coordinator)
    one.write('a')
    one.end(true)
    nodes.moveCoordinator('transaction', id, nodes.coordinator('transaction', id))
    stand.coordinator.releaseMarkers()
    expect(stand.written).toMatchObject([{ to: 'a-0', coordinatorEpoch: 1 }])
  })

  it('go to the groups where offsets are committed, and need no topic that is gone', () => {
    const { coordinator, written } = transactionStand()
    const one = producerOn(coordinator)
    one.write('__consumer_offsets', 7)
    one.write('gone')
    expect(one.end(true).error).toBe('NONE')
    expect(written.map(({ to }) => to)).toEqual(['__consumer_offsets-7'])
    expect(one.state()).toBe('CompleteCommit')
  })

  it('are all written again by a coordinator that takes over, when it has loaded', () => {
    const stand = transactionStand({ markerDelayMs: (topic) => (topic === 'b' ? 10 : 1) })
    const { nodes } = stand.broker
    const one = producerOn(stand.coordinator)
    one.write('a')
    one.write('b')
    one.end(true)
    stand.pass(5)
    nodes.moveCoordinator('transaction', id, 2, 100)
    stand.pass(50)
    expect(stand.written.map(({ to, coordinatorEpoch }) => [to, coordinatorEpoch])).toEqual([['a-0', 0]])
    expect(one.write('a')).toBe('COORDINATOR_LOAD_IN_PROGRESS')
    stand.pass(100)
    expect(stand.written.slice(1).map(({ to, coordinatorEpoch }) => [to, coordinatorEpoch])).toEqual([
      ['a-0', 1],
      ['b-0', 1],
    ])
    expect(one.state()).toBe('CompleteCommit')
  })

  it('are all written again by the node that takes over from one that is down', () => {
    const stand = transactionStand({ markerDelayMs: (topic) => (topic === 'b' ? 10 : 1) })
    const { nodes } = stand.broker
    const one = producerOn(stand.coordinator)
    one.write('a')
    one.write('b')
    one.end(true)
    stand.pass(5)
    nodes.setUp(nodes.coordinator('transaction', id), false)
    stand.pass(50)
    expect(stand.written.map(({ to }) => to)).toEqual(['a-0', 'a-0', 'b-0'])
    expect(one.state()).toBe('CompleteCommit')
  })

  it('wait for a leader', () => {
    const stand = transactionStand()
    const one = producerOn(stand.coordinator)
    one.write('a')
    for (const nodeId of [1, 2]) stand.broker.nodes.setUp(nodeId, false)
    expect(one.write('b')).toBe('COORDINATOR_NOT_AVAILABLE')
    one.end(true)
    stand.pass(100)
    expect(stand.written).toEqual([])
    stand.broker.nodes.setUp(2, true)
    stand.pass(100)
    expect(stand.written).toHaveLength(1)
  })

  it('that a partition refuses leave the transaction waiting for it alone', () => {
    const stand = transactionStand()
    stand.refuse('a-0', codes.INVALID_PRODUCER_EPOCH)
    const one = producerOn(stand.coordinator)
    one.write('a')
    one.write('b')
    one.end(true)
    stand.pass(1000)
    expect(one.state()).toBe('PrepareCommit')
    expect(stand.written).toMatchObject([{ to: 'b-0' }])
  })
})

/** As a file does: what changes later is not in it. */
class KeptJournal extends MemoryJournal {
  override put(kind: string, key: string, value: unknown): void {
    super.put(kind, key, JSON.parse(JSON.stringify(value)))
  }
}

describe('after a restart of the broker', () => {
  it('decided ends write their markers, open transactions time out, epochs and ids go on', () => {
    const journal = new KeptJournal()
    const before = transactionStand({ markerDelayMs: (topic) => (topic === 'a' ? 1e9 : 0) }, journal)
    const decided = producerOn(before.coordinator, 'decided')
    const open = producerOn(before.coordinator, 'open')
    const ended = producerOn(before.coordinator, 'ended')
    for (const one of [decided, open]) one.write('a')
    ended.write('b')
    for (const one of [decided, ended]) one.end(true)
    expect(before.written).toMatchObject([{ to: 'b-0', coordinatorEpoch: 0 }])
    before.coordinator.close()

    const after = transactionStand({}, journal)
    expect(after.written).toMatchObject([{ to: 'a-0', producerId: 0, coordinatorEpoch: 1, committed: true }])
    const states = ['decided', 'open', 'ended'].map((name) => after.coordinator.describe(name)?.state)
    expect(states).toEqual(['CompleteCommit', 'Ongoing', 'CompleteCommit'])
    expect(after.coordinator.newProducerId()).toBe(1000)
    expect(after.coordinator.init('ended', timeoutMs, ended.held)).toMatchObject({
      producerId: ended.held.producerId,
      producerEpoch: 2,
    })
    after.pass(timeoutMs + 10_000)
    expect(after.coordinator.describe('open')?.state).toBe('CompleteAbort')
  })
})
