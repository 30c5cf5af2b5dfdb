import { describe, expect, it } from 'vitest'
import { importInstance, isWorkerOf, transactionalIdOf } from '../../../src/runtime/transactional-id.ts'

describe('isWorkerOf', () => {
  it('knows the workers of an application', () => {
    for (const instance of ['pod-0', 'A_1', '0b6f1c52-9b6e-4a55-8a55-0a1d6d7a3a11'])
      expect(isWorkerOf('orders', transactionalIdOf('orders', instance))).toBe(true)
  })

  it.each([
    transactionalIdOf('orders-eu', 'pod-0'),
    transactionalIdOf('order', 's'),
    transactionalIdOf('Orders', 'pod-0'),
    'orders',
    'orders.',
    'orders.pod-0',
    'orders.pod-0.',
    'orders..0',
    'orders.pod-0.x',
    'orders.eu.pod-0.0',
    'orders.pod 0.0',
    'x.orders.pod-0.0',
    transactionalIdOf('orders', importInstance),
  ])('leaves %j alone', (transactionalId) => {
    expect(isWorkerOf('orders', transactionalId)).toBe(false)
  })
})
