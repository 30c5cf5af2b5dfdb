import { describe, expect, it } from 'vitest'
import { progressBar, showProgress } from '../../../src/cli/progress.ts'
import type { Screen } from '../../../src/cli/screen.ts'
import { createTerminal } from '../../../src/cli/terminal.ts'

const show = (drawn: boolean) => {
  const pictures: string[] = []
  const lines: string[] = []
  const screen = {
    drawn,
    draw: (picture: readonly string[]) => pictures.push(...picture),
  } as unknown as Screen
  const write = (text: string): void => void lines.push(text)
  const terminal = createTerminal({
    format: 'json',
    verbose: false,
    colour: false,
    write,
    now: () => new Date(0),
  })
  return { step: showProgress(screen, terminal), pictures, lines }
}

describe('progress', () => {
  it.each([
    [0, 10, /\[> +\] {3}0% {2}0 of 10$/],
    [5, 10, /\[={15}> +\] {2}50% {2}5 of 10$/],
    [999, 1000, /\[={29}>\] {2}99% {2}999 of 1000$/],
    [10, 10, /\[={30}\] 100% {2}10 of 10$/],
    [0, 0, /\[={30}\] 100% {2}0 of 0$/],
  ])('%i of %i', (done, total, expected) => expect(progressBar('reading', done, total)).toMatch(expected))

  it('is a bar on a terminal, drawn now and then and at the end', () => {
    const { step, pictures, lines } = show(true)
    for (let done = 0; done <= 1000; done++) step('reading', done, 1000)
    expect(pictures.length).toBeLessThan(20)
    expect(pictures.at(-1)).toContain('1000 of 1000')
    expect(lines).toEqual([])
  })

  it('is a line for each step elsewhere', () => {
    const { step, pictures, lines } = show(false)
    for (const name of ['reading', 'writing']) for (let done = 0; done <= 1000; done++) step(name, done, 1000)
    expect(pictures).toEqual([])
    expect(lines).toHaveLength(2)
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ text: 'writing', done: 0, total: 1000 })
  })
})
