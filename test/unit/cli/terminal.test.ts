import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createTerminal, type TerminalOptions, wantsColour } from '../../../src/cli/terminal.ts'
import { MillstreamError } from '../../../src/errors.ts'

const open = (options: Partial<TerminalOptions> = {}) => {
  let text = ''
  const terminal = createTerminal({
    format: 'human',
    verbose: false,
    colour: false,
    write: (part) => {
      text += part
    },
    now: () => new Date(2026, 10, 21, 9, 8, 7, 6),
    ...options,
  })
  return { terminal, text: () => text }
}

const circle: { self?: unknown } = {}
circle.self = circle

describe('log lines for people', () => {
  it('are one line each, with time and level', () => {
    const { terminal, text } = open()
    terminal.info('task running', {
      task: '0_1',
      offset: 12,
      none: undefined,
      words: 'two words',
      list: [1, 'a'],
      empty: '',
    })
    terminal.warn('odd', { cause: new Error('line one\nline two'), big: 10n, circle })
    terminal.debug('not shown')
    expect(text()).toBe(
      '09:08:07.006 info  task running task=0_1 offset=12 words="two words" list=[1,"a"] empty=""\n' +
        '09:08:07.006 warn  odd cause="line one\\nline two" big=10 circle="[object Object]"\n',
    )
  })

  it('have colours only when asked for, and the same text', () => {
    const { terminal, text } = open({ colour: true, verbose: true })
    terminal.debug('a', { b: 1 })
    expect(text()).not.toBe(stripVTControlCharacters(text()))
    expect(stripVTControlCharacters(text())).toBe('09:08:07.006 debug a b=1\n')
  })

  it('want colours at a terminal without NO_COLOR', () => {
    expect(wantsColour({ isTTY: true }, {})).toBe(true)
    expect(wantsColour({ isTTY: true }, { NO_COLOR: '1' })).toBe(false)
    expect(wantsColour({ isTTY: true }, { TERM: 'dumb' })).toBe(false)
    expect(wantsColour({}, {})).toBe(false)
  })
})

describe('log lines for machines', () => {
  it('are JSON whose own fields cannot be replaced', () => {
    const { terminal, text } = open({ format: 'json' })
    terminal.error('bad', {
      level: 'fine',
      time: 0,
      text: 'good',
      offset: 1,
      error: new Error('why'),
      big: 10n,
    })
    expect(JSON.parse(text())).toEqual({
      time: new Date(2026, 10, 21, 9, 8, 7, 6).toISOString(),
      level: 'error',
      text: 'bad',
      offset: 1,
      error: 'why',
      big: '10',
    })
  })
})

const thrown = new MillstreamError('PROCESSING_FAILED', {
  what: 'the processor filter-1 threw',
  where: { topic: 'lines', partition: 2, offset: 17, none: undefined },
  fix: 'Correct it.',
  cause: new RangeError('out of words'),
})

describe('failures', () => {
  it('show code, what, where, cause, place and fix, and no stack', () => {
    const { terminal, text } = open()
    terminal.failure(thrown)
    expect(text().replace(/ {2}at .*\n/, '')).toBe(
      'PROCESSING_FAILED\n' +
        '  what   the processor filter-1 threw\n' +
        '  where  topic lines, partition 2, offset 17\n' +
        '  cause  RangeError: out of words\n' +
        '  fix    Correct it.\n',
    )
  })

  it('show stacks when verbose, also of causes', () => {
    const { terminal, text } = open({ verbose: true })
    terminal.failure(thrown)
    expect(text()).toMatch(/at .*terminal\.test\.ts/)
    expect(text()).toContain('caused by RangeError: out of words')
  })

  it('are read by their shape, since a module may bring another copy of the package', () => {
    const { terminal, text } = open()
    const foreign = Object.assign(new Error('CLOSED: x'), {
      name: 'MillstreamError',
      code: 'CLOSED',
      what: 'x',
      where: { a: 1 },
    })
    terminal.failure(foreign)
    expect(text()).toContain('CLOSED\n  what   x\n  where  a 1\n')
  })

  it('are one JSON line for machines', () => {
    const { terminal, text } = open({ format: 'json' })
    terminal.failure(thrown)
    expect(text().trimEnd().split('\n')).toHaveLength(1)
    expect(JSON.parse(text())).toMatchObject({
      level: 'error',
      text: 'the processor filter-1 threw',
      code: 'PROCESSING_FAILED',
      where: { topic: 'lines', partition: 2, offset: 17 },
      cause: 'RangeError: out of words',
      fix: 'Correct it.',
    })
  })

  it('take whatever was thrown', () => {
    const { terminal, text } = open()
    terminal.failure('just text')
    expect(text()).toContain('just text')
  })
})
