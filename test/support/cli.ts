// Runs the command line as its users do: a process of its own, judged by what it writes and how it ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { onTestFinished } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')

/** A module of test/support/modules. */
export const testModule = (name: string): string => path.join(import.meta.dirname, 'modules', name)

export interface CliEnd {
  /** 128 + n where signal n ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliProcess {
  readonly child: ChildProcess
  readonly ended: Promise<CliEnd>
  readonly stderr: string
  /** Waits until standard error has this text. */
  said(text: string, timeoutMs?: number): Promise<void>
}

/** A folder that goes with the test. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'millstream-cli-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Variables of our own that the runner of the tests may have are left out. */
const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(MILLSTREAM_|NO_COLOR|FORCE_COLOR)/.test(name)),
  )

export const startCli = (
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly cwd?: string
    readonly stdin?: string
  } = {},
): CliProcess => {
  const child = spawn(
    process.execPath,
    [
      '--conditions=millstream-source',
      '--no-memory-protection-keys',
      path.join(root, 'src/cli/main.ts'),
      ...args,
    ],
    { cwd: options.cwd ?? root, env: { ...cleanEnvironment(), ...options.env } },
  )
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let stdout = ''
  let stderr = ''
  const waiting = new Set<() => void>()
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString()
  })
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString()
    for (const look of waiting) look()
  })
  child.stdin.end(options.stdin ?? '')
  const ended = new Promise<CliEnd>((resolve) => {
    child.on('close', (code, signal) =>
      resolve({ code: code ?? 128 + (signal === null ? 0 : os.constants.signals[signal]), stdout, stderr }),
    )
  })
  return {
    child,
    ended,
    get stderr() {
      return stderr
    },
    said: (text, timeoutMs = 30_000) =>
      new Promise((resolve, reject) => {
        const fail = (why: string): void => {
          finish()
          reject(new Error(`"${text}" was not said (${why}):\n${stderr}`))
        }
        const timer = setTimeout(() => fail(`in ${timeoutMs} ms`), timeoutMs)
        const look = (): void => {
          if (!stderr.includes(text)) return
          finish()
          resolve()
        }
        const finish = (): void => {
          clearTimeout(timer)
          waiting.delete(look)
        }
        waiting.add(look)
        look()
        void ended.then((end) => fail(`it ended with ${end.code}`))
      }),
  }
}

export const runCli = (args: readonly string[], options?: Parameters<typeof startCli>[1]): Promise<CliEnd> =>
  startCli(args, options).ended
