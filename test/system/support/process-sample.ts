// What a process holds, as the kernel says it (/proc, so Linux alone): memory, file handles, threads.
import fs from 'node:fs'

export interface ProcessSample {
  /** Since the run began, ms. */
  readonly atMs: number
  /** Resident and its own: without mapped files, which LMDB has of its stores. */
  readonly memoryBytes: number
  /** Open files and sockets. */
  readonly handles: number
  readonly threads: number
}

const field = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN)

export const canSample = (): boolean => fs.existsSync('/proc/self/status')

/** undefined where the process has just ended. */
export const sampleProcess = (pid: number, atMs: number): ProcessSample | undefined => {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
    const handles = fs.readdirSync(`/proc/${pid}/fd`).length
    return {
      atMs,
      memoryBytes: field(status, 'RssAnon') * 1024,
      handles,
      threads: field(status, 'Threads'),
    }
  } catch {
    return undefined
  }
}
