// Progress of long work: a bar on a terminal, else a line now and then.
import type { Screen } from './screen.ts'
import type { Terminal } from './terminal.ts'

const barCells = 30
const drawEveryMs = 100
const lineEveryMs = 2000

/** `reading  [=========>          ]  45%  450 of 1000`: nothing of nothing is all of it. */
export const progressBar = (step: string, done: number, total: number): string => {
  const share = total <= 0 ? 1 : Math.min(1, done / total)
  const full = Math.floor(share * barCells)
  const bar = `${'='.repeat(full)}${full < barCells ? '>' : ''}`.padEnd(barCells)
  return `${step.padEnd(9)} [${bar}] ${String(Math.floor(share * 100)).padStart(3)}%  ${done} of ${total}`
}

/** @returns what is to be called on each step forward, as often as one likes */
export const showProgress = (
  screen: Screen,
  terminal: Terminal,
): ((step: string, done: number, total: number) => void) => {
  let shownStep = ''
  let shownMs = Number.NEGATIVE_INFINITY
  return (step, done, total) => {
    const now = performance.now()
    const everyMs = screen.drawn ? drawEveryMs : lineEveryMs
    if (step === shownStep && done < total && now - shownMs < everyMs) return
    // Without a terminal the begin of a step is a line, and its end is not: short work stays short.
    if (!screen.drawn && step === shownStep && now - shownMs < everyMs) return
    shownStep = step
    shownMs = now
    if (screen.drawn) screen.draw([progressBar(step, done, total)])
    else terminal.info(step, { done, total })
  }
}
