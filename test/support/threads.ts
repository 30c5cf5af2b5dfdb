// Has the types of what the thread of the heartbeats loads stripped before the tests: vitest.config.ts says why.
import { execFile } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

const program = path.join(import.meta.dirname, 'load-thread.ts')

/** Vitest calls this once per run (`globalSetup`). A cache is good for the flags of V8 with which it was filled. */
export default async function cacheThreads(project: TestProject): Promise<void> {
  await promisify(execFile)(process.execPath, [...project.config.execArgv, program])
}
