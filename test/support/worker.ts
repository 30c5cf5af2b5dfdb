// Runs a worker inside a test: short times, a state directory of its own, and its log kept for the assertions.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { LogFields, Logger, LogLevel } from '../../src/base/log.ts'
import type { SettingsInput } from '../../src/config/settings.ts'
import { ensureError, isMillstreamError, type MillstreamError } from '../../src/errors.ts'
import { createWorker, type Worker } from '../../src/runtime/create-worker.ts'
import type { Topology } from '../../src/topology/contracts.ts'

export interface LogLine {
  readonly level: LogLevel
  readonly text: string
  readonly fields: LogFields
}

/** Keeps every line. */
export class KeptLog implements Logger {
  readonly lines: LogLine[] = []

  debug(text: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'debug', text, fields })
  }

  info(text: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'info', text, fields })
  }

  warn(text: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'warn', text, fields })
  }

  error(text: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'error', text, fields })
  }

  /** The lines with this text in them. */
  with(text: string): LogLine[] {
    return this.lines.filter((line) => line.text.includes(text))
  }
}

export interface TestWorker extends AsyncDisposable {
  readonly worker: Worker
  readonly log: KeptLog
  /** The error that stopped the worker, once it has. */
  readonly failure: () => MillstreamError | undefined
  /** Waits until an error has stopped the worker. @throws when it closes or goes on */
  failed(timeoutMs?: number): Promise<MillstreamError>
}

/** A directory that is removed at the end of the test that asks `using` for it. */
export const temporaryDirectory = (): Disposable & { readonly path: string } => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-test-'))
  return {
    path: directory,
    [Symbol.dispose]: () => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 }),
  }
}

/** Makes a worker and does not start it. `stateDir` is the caller's: a restart on the same disk is its business. */
export const testWorker = (
  topology: Topology,
  settings: SettingsInput & { stateDir: string },
): TestWorker => {
  const log = new KeptLog()
  const worker = createWorker(
    topology,
    { clientId: 'millstream-test', requestTimeoutMs: 10_000, ...settings },
    { log },
  )
  let failure: MillstreamError | undefined
  const ended = worker.finished.catch((error: unknown) => {
    if (!isMillstreamError(error)) throw error
    failure = error
  })
  ended.catch(() => {})
  return {
    worker,
    log,
    failure: () => failure,
    failed: async (timeoutMs = 20_000) => {
      const timer = Promise.withResolvers<never>()
      const handle = setTimeout(
        () => timer.reject(new Error(`no error stopped the worker (${worker.state})`)),
        timeoutMs,
      )
      try {
        await Promise.race([ended, timer.promise])
      } finally {
        clearTimeout(handle)
      }
      if (failure === undefined) throw new Error(`the worker ended without an error (${worker.state})`)
      return failure
    },
    [Symbol.asyncDispose]: () =>
      worker.close().catch((error: unknown) => {
        failure ??= isMillstreamError(error) ? error : undefined
        if (failure === undefined) throw ensureError(error)
      }),
  }
}

/** Makes a worker and starts it. */
export const startWorker = async (
  topology: Topology,
  settings: SettingsInput & { stateDir: string },
): Promise<TestWorker> => {
  const test = testWorker(topology, settings)
  await test.worker.start()
  return test
}
