// SIGINT and SIGTERM: the first asks for an orderly end, the second ends the process at once.
import os from 'node:os'
import process from 'node:process'

/** Ctrl-C reaches a process from the terminal and once more from npm, which passes on its own. */
const sameKeyMs = 500

export interface StopSignals {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal
  /** Back to what signals do by themselves. */
  release(): void
}

export const listenForStop = (onStop: (name: NodeJS.Signals) => void): StopSignals => {
  const controller = new AbortController()
  let firstAt = 0
  const listen = (name: NodeJS.Signals): void => {
    const now = performance.now()
    if (!controller.signal.aborted) {
      firstAt = now
      onStop(name)
      controller.abort()
    } else if (name !== 'SIGINT' || now - firstAt > sameKeyMs) {
      process.exit(128 + os.constants.signals[name])
    }
  }
  const names: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const name of names) process.on(name, listen)
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) process.off(name, listen)
    },
  }
}
