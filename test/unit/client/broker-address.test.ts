import { describe, expect, it } from 'vitest'
import { parseBrokers, unreachable } from '../../../src/client/broker-address.ts'
import { MillstreamError } from '../../../src/errors.ts'

describe('parseBrokers', () => {
  it('reads names, addresses and IPv6, with 9092 as the port where none is given', () => {
    expect(parseBrokers(['kafka-1', 'kafka-2:9093', ' 10.0.0.1:1 ', '[::1]:9094', '[fe80::1]'])).toEqual([
      { host: 'kafka-1', port: 9092 },
      { host: 'kafka-2', port: 9093 },
      { host: '10.0.0.1', port: 1 },
      { host: '::1', port: 9094 },
      { host: 'fe80::1', port: 9092 },
    ])
  })

  it('takes an address once', () => {
    expect(parseBrokers(['a:9092', 'a', 'b'])).toHaveLength(2)
  })

  it.each([['a:b'], ['a:0'], ['a:70000'], ['kafka://a:9092'], ['::1:9092'], [''], ['a b']])(
    'refuses %j',
    (text) => {
      expect(() => parseBrokers(['good:1', text])).toThrow(
        expect.objectContaining({
          code: 'SETTING_INVALID',
          message: expect.stringContaining(JSON.stringify(text)) as string,
        }),
      )
    },
  )

  it('names all wrong entries at once, and an empty list', () => {
    expect(() => parseBrokers(['a:b', 'good:1', 'c:d'])).toThrow(/"a:b", "c:d" is no broker address/)
    expect(() => parseBrokers([])).toThrow(/no broker is given/)
  })
})

describe('unreachable', () => {
  const failure = (cause: Error) =>
    new MillstreamError('CONNECTION_LOST', { what: 'no connection could be opened', cause })
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  const settings = { clientId: 'c', connectionTimeoutMs: 1 }

  it('names each address with its own reason', () => {
    const addresses = [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]
    const error = unreachable(addresses, [failure(refused), failure(new Error('closed'))], settings)
    expect(error.code).toBe('BROKER_UNREACHABLE')
    expect(error.message).toContain('a:1 (connect ECONNREFUSED), b:2 (closed)')
  })

  it('thinks of TLS and SASL only where somebody answered and none is set', () => {
    const addresses = [{ host: 'a', port: 1 }]
    expect(unreachable(addresses, [failure(new Error('closed'))], settings).fix).toMatch(/wants TLS or SASL/)
    expect(unreachable(addresses, [failure(refused)], settings).fix).not.toMatch(/wants TLS or SASL/)
    expect(
      unreachable(addresses, [failure(new Error('closed'))], { ...settings, tls: true }).fix,
    ).not.toMatch(/wants/)
  })
})
