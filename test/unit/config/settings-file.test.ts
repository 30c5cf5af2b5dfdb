import { describe, expect, it } from 'vitest'
import { parseSettingsFile } from '../../../src/config/settings-file.ts'

describe('parseSettingsFile', () => {
  it('reads YAML and JSON', () => {
    expect(
      parseSettingsFile(
        'a.yaml',
        '# mine\ncommitIntervalMs: 50\nbrokers: [a:1, b:2]\nsasl:\n  username: u\n',
      ),
    ).toEqual({
      commitIntervalMs: 50,
      brokers: ['a:1', 'b:2'],
      sasl: { username: 'u' },
    })
    expect(parseSettingsFile('a.json', '{ "tls": true }')).toEqual({ tls: true })
  })

  it('takes an empty file for no settings', () => {
    expect(parseSettingsFile('a.yaml', '# nothing yet\n')).toEqual({})
  })

  it.each([
    ['a: 1\na: 2', /SETTING_INVALID.*Map keys must be unique.*line 2.*file a\.yaml/],
    ['a: [1', /SETTING_INVALID.*cannot be read.*line 1/],
    ['- a', /no mapping of names/],
    ['just text', /no mapping of names/],
    ['a: !!js/function "x"', /SETTING_INVALID.*Unresolved tag/],
  ])('refuses %j', (text, expected) => {
    expect(() => parseSettingsFile('a.yaml', text)).toThrow(expected)
  })
})
