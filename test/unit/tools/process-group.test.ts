import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const folder = mkdtempSync(path.join(os.tmpdir(), 'millstream-group-'))
const tool = pathToFileURL(path.resolve(import.meta.dirname, '../../../tools/process-group.ts')).href

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A program that starts a grandchild, writes its pid to a file and then waits for it. */
const startGroup = (name: string, limitMs: number) => {
  const pidFile = path.join(folder, `${name}.pid`)
  const main = path.join(folder, `${name}.mjs`)
  writeFileSync(
    main,
    `import { runToEnd } from ${JSON.stringify(tool)}
     const script = 'sleep 60 & echo $! > "$0"; wait'
     const outcome = await runToEnd('sh', ['-c', script, ${JSON.stringify(pidFile)}], { cwd: '.', limitMs: ${limitMs} })
     process.stdout.write(JSON.stringify(outcome))`,
  )
  const child = spawn(process.execPath, [main], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const exited = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
  return { child, pidFile, exited, output: () => output }
}

const readPid = async (file: string): Promise<number> => {
  for (;;) {
    try {
      const pid = Number(readFileSync(file, 'utf8'))
      if (pid > 0) return pid
    } catch {
      // Not written yet; the time limit of the test ends the wait.
    }
    await sleep(20)
  }
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  // On Linux a process that has ended and that nobody has waited for still takes signals: look at its state.
  const stat = `/proc/${pid}/stat`
  return !(existsSync(stat) && /^\d+ \(.*\) Z/.test(readFileSync(stat, 'utf8')))
}

const ended = async (pid: number): Promise<boolean> => {
  for (let i = 0; i < 100 && isRunning(pid); i++) await sleep(20)
  return !isRunning(pid)
}

describe('a group of processes', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('ends with the tool on %s, grandchildren too', async (signal) => {
    const group = startGroup(signal, 60_000)
    const pid = await readPid(group.pidFile)
    expect(isRunning(pid)).toBe(true)
    group.child.kill(signal)
    expect(await group.exited).toBe(128 + os.constants.signals[signal])
    expect(await ended(pid)).toBe(true)
  })

  it('is ended at its time limit', async () => {
    const group = startGroup('limit', 1500)
    const pid = await readPid(group.pidFile)
    expect(await group.exited).toBe(0)
    expect(JSON.parse(group.output())).toMatchObject({ timedOut: true, code: 143 })
    expect(await ended(pid)).toBe(true)
  })
})
