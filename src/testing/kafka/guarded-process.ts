// Owns the life of a long child process: it is stopped by its pid, and it never outlives us. Three layers:
// stop() for the ordinary end; an 'exit' hook for a program that ends without calling it; and a watcher (a shell
// blocked in `read` on a pipe that only we hold) for the case that we are killed: the kernel closes the pipe, the
// read ends, the watcher kills the child and ends itself. No signal handlers are installed: SIGINT keeps the
// meaning that the program gives it.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'

export interface GuardedOptions {
  readonly cwd?: string | undefined
  readonly env?: NodeJS.ProcessEnv | undefined
  readonly stdio?: StdioOptions | undefined
  /** A temporary directory that goes with the process: removed when we die without stopping it. */
  readonly removeWithUs?: string | undefined
}

/** How the process ended. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface GuardedProcess {
  readonly child: ChildProcess
  readonly pid: number
  /** Settles when the process has ended; never rejects. */
  readonly ended: Promise<ProcessEnd>
  isRunning(): boolean
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, and SIGKILL after `graceMs`; resolves when the process is gone. */
  stop(graceMs: number): Promise<ProcessEnd>
}

// $1 = pid, $2 = directory to remove or ''. "done" on standard input means that all is well.
const watcherScript = `read -r word
[ "$word" = done ] && exit 0
if [ -z "$2" ]; then
  kill -TERM "$1" 2>/dev/null
  n=0
  while [ $n -lt 10 ] && kill -0 "$1" 2>/dev/null; do sleep 1; n=$((n+1)); done
fi
kill -KILL "$1" 2>/dev/null
[ -n "$2" ] && { sleep 1; rm -rf "$2"; }
exit 0`

const startWatcher = (pid: number, directory: string | undefined): (() => void) => {
  const watcher = spawn('sh', ['-c', watcherScript, 'watcher', String(pid), directory ?? ''], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // A watcher that cannot start or has gone costs only the protection against our own SIGKILL.
  watcher.on('error', () => undefined)
  watcher.stdin.on('error', () => undefined)
  watcher.unref()
  ;(watcher.stdin as unknown as { unref?: () => void }).unref?.()
  return () => watcher.stdin.end('done\n')
}

/**
 * Starts a process in a session of its own (Ctrl-C in the terminal reaches us alone, so that what still needs the
 * child can end before it) and guards it. The child does not keep our event loop alive.
 * @throws the spawn error, for instance ENOENT.
 */
export async function spawnGuarded(
  command: string,
  args: readonly string[],
  options: GuardedOptions = {},
): Promise<GuardedProcess> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: options.stdio ?? 'ignore',
    detached: true,
  })
  await once(child, 'spawn')
  const pid = child.pid as number
  let end: ProcessEnd | undefined
  const releaseWatcher = startWatcher(pid, options.removeWithUs)
  const onExit = (): void => {
    child.kill('SIGKILL')
    if (options.removeWithUs !== undefined) fs.rmSync(options.removeWithUs, { recursive: true, force: true })
  }
  process.on('exit', onExit)
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (code, signal) => {
      end = { code, signal }
      process.off('exit', onExit)
      releaseWatcher()
      resolve(end)
    })
  })
  child.on('error', () => undefined)
  child.unref()
  return {
    child,
    pid,
    ended,
    isRunning: () => end === undefined,
    kill: (signal) => {
      if (end === undefined) child.kill(signal)
    },
    stop: async (graceMs) => {
      if (end !== undefined) return end
      child.ref()
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      const result = await ended
      clearTimeout(timer)
      return result
    },
  }
}
