import { describe, expect, it } from 'vitest'
import { parseCommandLine, UsageError } from '../../sim/command-line.ts'

describe('the arguments of npm run sim', () => {
  it('are read', () => {
    expect(parseCommandLine(['--seeds', '20', '--from', '7', '--threads', '1'])).toMatchObject({
      seeds: 20,
      from: 7,
      threads: 1,
      trace: false,
    })
    expect(parseCommandLine(['--for', '1h'])).toMatchObject({ forMs: 3_600_000 })
    expect(parseCommandLine(['--for', '1.5m'])).toMatchObject({ forMs: 90_000 })
    expect(parseCommandLine(['--seed', '3', '--trace'])).toMatchObject({ seed: 3, trace: true })
    expect(parseCommandLine(['--controls', '--build', 'no-generation'])).toMatchObject({
      controls: true,
      build: 'no-generation',
    })
    expect(parseCommandLine(['--help'])).toBe('help')
  })

  it.each([
    [['--seeds', 'many'], '--seeds is a whole number, not "many"'],
    [['--seeds', ''], '--seeds is a whole number, not ""'],
    [['--for', '1'], '--for is like 30s, 10m or 1h, not "1"'],
    [['--trace'], '--trace goes with --seed'],
    [['--seeds', '5', '--for', '1h'], 'exclude each other'],
    [['--build', 'none'], 'there is no wrong build "none"'],
    [['--threads', '0'], 'at least 1'],
    [['--fast'], "Unknown option '--fast'"],
  ])('%j is refused', (args, why) => {
    expect(() => parseCommandLine(args)).toThrow(UsageError)
    expect(() => parseCommandLine(args)).toThrow(why)
  })
})
