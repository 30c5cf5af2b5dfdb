import { describe, expect, it } from 'vitest'
import { parseCommandLine, parseDuration, UsageError } from '../../../src/cli/arguments.ts'

const parse = (text: string, environment: Record<string, string> = {}) =>
  parseCommandLine(text === '' ? [] : text.split(' '), environment)

describe('parseCommandLine', () => {
  it('reads run with settings and hands them on unread', async () => {
    const line = await parse(
      'run a.ts --commit-interval-ms 0050 --tls b.ts --brokers x:1 --nope=3 --no-create-internal-topics',
    )
    expect(line).toMatchObject({
      command: 'run',
      modules: ['a.ts', 'b.ts'],
      logFormat: 'human',
      verbose: false,
    })
    expect(line?.flags).toEqual({
      'commit-interval-ms': '0050',
      tls: true,
      brokers: 'x:1',
      nope: '3',
      'create-internal-topics': false,
    })
  })

  it('reads describe and dev', async () => {
    expect(await parse('describe a.ts --format mermaid --config c.yaml --verbose')).toMatchObject({
      command: 'describe',
      format: 'mermaid',
      config: 'c.yaml',
      verbose: true,
      flags: {},
    })
    expect(await parse('dev a.ts --for 15s')).toMatchObject({
      command: 'dev',
      modules: ['a.ts'],
      forMs: 15_000,
      broker: undefined,
      port: undefined,
      data: undefined,
    })
    expect(await parse('dev a.ts --broker embedded --port 9192 --data d --brokers b:1')).toMatchObject({
      broker: 'embedded',
      port: 9192,
      data: 'd',
      flags: { brokers: 'b:1' },
    })
    // A setting that was misspelt is not taken for an option of dev.
    expect(await parse('run a.ts --broker b:1')).toMatchObject({ flags: { broker: 'b:1' } })
  })

  it('reads members and store', async () => {
    expect(await parse('members list --application-id a --json')).toMatchObject({
      command: 'members list',
      modules: [],
      json: true,
      flags: { 'application-id': 'a' },
    })
    expect(await parse('members remove a-3 a-4 --application-id a')).toMatchObject({
      command: 'members remove',
      instances: ['a-3', 'a-4'],
      missingFrom: undefined,
    })
    expect(await parse('members remove --missing-from 0')).toMatchObject({ instances: [], missingFrom: 0 })
    expect(await parse('store export a.ts --to x --brokers b:1')).toMatchObject({
      command: 'store export',
      modules: ['a.ts'],
      directory: 'x',
      flags: { brokers: 'b:1' },
    })
    expect(await parse('store import a.ts --from y')).toMatchObject({
      command: 'store import',
      directory: 'y',
    })
  })

  it('takes the log format from the flag, else from the environment', async () => {
    expect(await parse('run a', { MILLSTREAM_LOG_FORMAT: 'json' })).toMatchObject({ logFormat: 'json' })
    expect(await parse('run a --log-format human', { MILLSTREAM_LOG_FORMAT: 'json' })).toMatchObject({
      logFormat: 'human',
    })
    await expect(parse('run a', { MILLSTREAM_LOG_FORMAT: 'xml' })).rejects.toThrow(
      'must be one of human, json',
    )
  })

  it.each([
    ['', 'A command is missing'],
    ['rum a.ts', 'there is no command "rum". Did you mean run?'],
    ['run', 'a module is missing: millstream run MODULE'],
    ['describe a --format xml', 'format'],
    ['run a --brokers', 'brokers'],
    ['run a --tls=yes', '--tls is "yes", but must be true or false'],
    ['members', 'A command is missing: members list, members remove'],
    ['members remove --missing-from -1', '--missing-from is "-1", but must be a number of replicas'],
    ['members remove --missing-from 1.5', '--missing-from is "1.5"'],
    ['store', 'A command is missing: store export, store import'],
    ['store export --to x', 'a module is missing: millstream store export MODULE'],
    ['store export a', 'to'],
    ['dev a --broker b:1', 'broker'],
    ['dev a --port 99999', '--port is "99999", but must be a number from 1 to 65535'],
    ['dev a --for soon', '--for is "soon", but must be a time like 15s'],
  ])('refuses "%s"', async (text, expected) => {
    await expect(parse(text)).rejects.toThrow(expected)
    await expect(parse(text)).rejects.toBeInstanceOf(UsageError)
  })
})

describe('parseDuration', () => {
  it.each([
    ['15s', 15_000],
    ['500ms', 500],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
  ])('%s', (text, expected) => expect(parseDuration(text)).toBe(expected))
  it.each(['15', '0s', '-1s', 's', '1d', '999h'])('refuses %s', (text) =>
    expect(() => parseDuration(text)).toThrow(UsageError),
  )
})
