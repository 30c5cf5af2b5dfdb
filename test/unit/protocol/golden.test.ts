// Every API in every version against the bytes of Kafka's own classes, both ways; and the same bytes cut short or
// damaged, which must give PROTOCOL_INVALID or a value, never anything else.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ErrorCode, isMillstreamError } from '../../../src/errors.ts'
import { Reader, Writer } from '../../../src/protocol/wire.ts'
import type { Fixture } from './fixture.ts'
import { fixtures, versionsOf } from './fixtures.ts'
import golden from './golden/golden.json' with { type: 'json' }

const bytesOf = (name: string): Buffer => {
  const hex = (golden as Record<string, string>)[name]
  if (hex === undefined) throw new Error(`golden.json has no "${name}"`)
  return Buffer.from(hex, 'hex')
}

const codeOf = (run: () => unknown): ErrorCode | 'a value' => {
  try {
    run()
    return 'a value'
  } catch (error) {
    if (isMillstreamError(error)) return error.code
    throw error
  }
}

const each = (test: (fixture: Fixture, version: number, response: Buffer) => void): void => {
  for (const fixture of fixtures) {
    for (const version of versionsOf(fixture.api)) {
      test(fixture, version, bytesOf(`${fixture.api.name} response v${version}`))
    }
  }
}

describe('golden bytes', () => {
  it('covers twenty-five APIs, each once', () => {
    expect(new Set(fixtures.map((fixture) => fixture.api.key)).size).toBe(25)
    expect(fixtures).toHaveLength(25)
  })

  for (const { api, encode, request, response } of fixtures) {
    for (const version of versionsOf(api)) {
      it(`${api.name} v${version}: the request is what Kafka would write`, () => {
        const writer = new Writer()
        encode(writer, version, request)
        expect(writer.toBuffer().toString('hex')).toBe(
          bytesOf(`${api.name} request v${version}`).toString('hex'),
        )
      })

      it(`${api.name} v${version}: the response is read as Kafka wrote it`, () => {
        const reader = new Reader(bytesOf(`${api.name} response v${version}`))
        expect(api.decode(reader, version)).toEqual(response(version))
        expect(reader.remaining).toBe(0)
      })
    }

    it(`${api.name} refuses versions next to its range`, () => {
      const [min, max] = api.versions
      for (const version of [min - 1, max + 1, min + 0.5, Number.NaN]) {
        expect(codeOf(() => encode(new Writer(), version, request))).toBe('INVARIANT_BROKEN')
        expect(codeOf(() => api.decode(new Reader(Buffer.alloc(64)), version))).toBe('INVARIANT_BROKEN')
      }
    })
  }
})

describe('bytes that do not follow the protocol', () => {
  it('gives PROTOCOL_INVALID for every response cut anywhere', () => {
    each(({ api }, version, bytes) => {
      for (let length = 0; length < bytes.length; length++) {
        const cut = codeOf(() => api.decode(new Reader(bytes.subarray(0, length)), version))
        expect(`${api.name} v${version} cut at ${length}: ${cut}`).toContain('PROTOCOL_INVALID')
      }
    })
  })

  it('reads nothing beyond the end it was given', () => {
    each(({ api }, version, bytes) => {
      const frame = Buffer.concat([Buffer.from([1, 2, 3]), bytes])
      expect(codeOf(() => api.decode(new Reader(frame, 3, frame.length - 1), version))).toBe(
        'PROTOCOL_INVALID',
      )
    })
  })

  it('gives PROTOCOL_INVALID for bytes left over', () => {
    each(({ api }, version, bytes) => {
      const longer = Buffer.concat([bytes, Buffer.from([0])])
      expect(codeOf(() => api.decode(new Reader(longer), version))).toBe('PROTOCOL_INVALID')
    })
  })

  it('names the API, the version and the byte', () => {
    const [first] = fixtures
    expect(() => first?.api.decode(new Reader(Buffer.alloc(1)), 4)).toThrow(/ApiVersions v4 .*byte 0/)
  })

  it('takes damaged responses for a value or PROTOCOL_INVALID', () => {
    each(({ api }, version, bytes) => {
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
          (damages) => {
            const damaged = Buffer.from(bytes)
            for (const [at, value] of damages) damaged[at] = value
            expect(['a value', 'PROTOCOL_INVALID']).toContain(
              codeOf(() => api.decode(new Reader(damaged), version)),
            )
          },
        ),
        { numRuns: 60 },
      )
    })
  })

  it('takes garbage for a value or PROTOCOL_INVALID', () => {
    fc.assert(
      fc.property(fc.constantFrom(...fixtures), fc.uint8Array({ maxLength: 300 }), ({ api }, bytes) => {
        for (const version of versionsOf(api)) {
          const code = codeOf(() => api.decode(new Reader(Buffer.from(bytes)), version))
          expect(['a value', 'PROTOCOL_INVALID']).toContain(code)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
