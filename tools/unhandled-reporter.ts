// A reporter of vitest for what failed outside all tests (a process of tests that died, a rejection that nobody handled):
// vitest's JSON report leaves that out. It writes one line each, into `--outputFile.unhandled=FILE`.
import { writeFileSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule, Vitest } from 'vitest/node'

/** The error and its causes: which file a dead process was running stands in the cause. */
const lineOf = (error: SerializedError): string => {
  const { message, cause } = error as { message?: unknown; cause?: SerializedError }
  const line = String(message).replaceAll('\n', ' ')
  return cause === undefined ? line : `${line} ${lineOf(cause)}`
}

export default class UnhandledReporter implements Reporter {
  #file: string | undefined

  onInit(vitest: Vitest): void {
    const { outputFile } = vitest.config
    this.#file = typeof outputFile === 'object' ? outputFile['unhandled'] : undefined
  }

  onTestRunEnd(_modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    if (this.#file === undefined || errors.length === 0) return
    writeFileSync(this.#file, errors.map((error) => `${lineOf(error)}\n`).join(''))
  }
}
