import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { checkDigests, committedState } from '../../../src/runtime/digest-check.ts'
import { decodeWitness, encodeWitness } from '../../../src/runtime/witness.ts'
import { string } from '../../../src/serde/text.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { at as upTo, identity, storeClock } from '../state/support.ts'

const witness = (stores = '') => decodeWitness(`${stores === '' ? 'ms1' : 'ms2'};app.one.0;abc;1;2${stores}`)
const at = (changelogEnd: number, lane: string): string =>
  `;counts@${changelogEnd}=3.00112233${lane.repeat(8)}`

describe('the committed state of a store', () => {
  it('is the one that all inputs of the task were committed with', () => {
    const both = [witness(at(5, 'a')), witness(at(5, 'a'))]
    expect(committedState(both, 'counts')?.digest).toBe('3.00112233aaaaaaaa')
    expect(committedState(both, 'others')).toBeUndefined()
    expect(committedState([], 'counts')).toBeUndefined()
  })

  it('is that of the longest changelog, where an input was away for a while', () => {
    const witnesses = [witness(at(5, 'a')), witness(at(9, 'b')), witness(at(7, 'c'))]
    expect(committedState(witnesses, 'counts')).toMatchObject({
      changelogEnd: 9,
      digest: '3.00112233bbbbbbbb',
    })
  })

  it('is not known where some input was committed without a digest, which may be newer', () => {
    expect(committedState([witness(at(5, 'a')), witness()], 'counts')).toBeUndefined()
    expect(committedState([witness(at(5, 'a')), undefined], 'counts')).toBeUndefined()
  })
})

describe('a restored store', () => {
  const restored = (entries: readonly string[]): TransactionalStore<string, string> => {
    const engine = new MemoryEngine()
    engine.reset(identity)
    engine.write(
      entries.map((key) => ({ key, value: Buffer.from(key) })),
      upTo(1),
    )
    const options = { name: 'kept', key: string, value: string, engine, clock: storeClock, digest: true }
    return new TransactionalStore(options)
  }
  const check = (store: TransactionalStore<string, string>, metadata: string): Promise<void> => {
    const kept = { definition: { name: 'kept' }, store, changelog: { name: 'kept-changelog' }, identity }
    const inputs = [{ topic: 'in', partition: 0 }]
    const task = {
      plan: { id: '0_0', partition: 0, inputs },
      stores: new Map([['kept', kept]]),
      task: undefined,
    }
    return checkDigests([task as never], new Map([['in-0', { offset: 7, metadata } as never]]), {
      ports: nodePorts,
      settings: { guarantee: 'exactly_once', stateDigest: 'on' } as never,
      log: silentLogger,
      observer: { turned: () => {}, storeDiverged: () => {} } as never,
      interrupted: () => false,
      rebuild: () => Promise.reject(new Error('nothing is to be rebuilt')),
    })
  }
  const committedAs = (digest: string): string =>
    encodeWitness({
      transactionalId: 'app.one.0',
      incarnation: 'abc',
      transaction: 2,
      streamTime: 1,
      partitionTime: 1,
      stores: [{ store: 'kept', changelogEnd: 1, digest, layout: '' }],
    })

  it('is doubted where it holds something and no commit says what', async () => {
    const store = restored(['a'])
    await check(store, '')
    expect(store.doubted).toBe(true)
    const empty = restored([])
    await check(empty, '')
    expect(empty.doubted).toBe(false)
    await check(store, committedAs(store.digest ?? ''))
    expect(store.doubted).toBe(false)
  })
})
