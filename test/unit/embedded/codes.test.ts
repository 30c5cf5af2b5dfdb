import { expect, it } from 'vitest'
import { codes } from '../../../src/embedded/codes.ts'
import { brokerError } from '../../../src/protocol/error-codes.ts'

it('names each code as the protocol does', () => {
  const named = Object.values(codes).map((code) => brokerError(code).name)
  expect(named).toEqual(Object.keys(codes))
})
