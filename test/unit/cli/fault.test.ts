import { describe, expect, it } from 'vitest'
import { armFault } from '../../../src/cli/fault.ts'

// What an armed fault does is seen by the system tests: it ends the process.
describe('armFault', () => {
  it('does nothing without a fault', () => {
    expect(() => armFault(undefined)).not.toThrow()
    expect(() => armFault('')).not.toThrow()
  })

  it.each([
    'after-poll',
    'after-poll:0:kill',
    'after-poll:x:kill',
    'nowhere:1:kill',
    'after-poll:1:burn',
    'after-poll:1:kill:1',
  ])('refuses %s', (text) =>
    expect(() => armFault(text)).toThrow(/SETTING_INVALID: MILLSTREAM_FAULT is .* The points are after-poll/),
  )
})
