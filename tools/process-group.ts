// Child processes of the tools, each in a process group of its own: when a run is interrupted or takes too long, the
// whole group is ended, so that nothing that a test started stays behind.
import { spawn } from 'node:child_process'
import os from 'node:os'
import process from 'node:process'

export interface Outcome {
  /** Exit code; 128 + n when signal n ended the process. */
  readonly code: number
  readonly seconds: number
  readonly timedOut: boolean
}

/** How long a group may take to end by itself before it is killed. */
const graceMs = 8_000

const signalGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal)
  } catch {
    // The group has ended already.
  }
}

let interruptedBy: NodeJS.Signals | undefined
const running = new Set<() => void>()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interruptedBy) return
    interruptedBy = signal
    for (const end of running) end()
    if (running.size === 0) process.exit(128 + os.constants.signals[signal])
  })
}

/**
 * Runs a program to its end, with this process's standard streams.
 *
 * @param limitMs the group is ended after this time, and the outcome says `timedOut`
 * An interrupt ends the group, then this process (exit code 128 + signal).
 */
export const runToEnd = (
  command: string,
  args: readonly string[],
  options: { readonly limitMs: number; readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now()
    let timedOut = false
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      // Standard input stays with the terminal: a group in the background that reads it would be stopped.
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    })
    const { pid } = child
    let killTimer: NodeJS.Timeout | undefined
    const end = (): void => {
      if (pid === undefined) return
      signalGroup(pid, 'SIGTERM')
      killTimer ??= setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs)
    }
    const limit = setTimeout(() => {
      timedOut = true
      end()
    }, options.limitMs)
    running.add(end)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      clearTimeout(killTimer)
      running.delete(end)
      // Whatever the program left in its group goes with it.
      if (pid !== undefined) signalGroup(pid, 'SIGKILL')
      if (interruptedBy) process.exit(128 + os.constants.signals[interruptedBy])
      resolve({
        code: code ?? 128 + (signal ? os.constants.signals[signal] : 1),
        seconds: (performance.now() - startedAt) / 1000,
        timedOut,
      })
    })
  })
