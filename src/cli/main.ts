#!/usr/bin/env node
// The command `millstream`. Exit codes: 0 done, 1 it failed, 2 what was given is wrong (command line, settings, module).
import process from 'node:process'
import { type ErrorCode, isMillstreamError } from '../errors.ts'
import { type CommandLine, parseCommandLine, UsageError } from './arguments.ts'
import { armFault } from './fault.ts'
import { processTerminal, type Terminal } from './terminal.ts'

const wrongInput: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SETTING_INVALID',
  'MODULE_NOT_FOUND',
  'MODULE_WITHOUT_TOPOLOGY',
  'TOPOLOGY_INVALID',
  'DESCRIPTION_INVALID',
])

const exitCodeOf = (error: unknown): number =>
  isMillstreamError(error) && wrongInput.has(error.code) ? 2 : 1

const print = (text: string): void => {
  process.stdout.write(text)
}

/** Each command loads what it needs: describing a topology starts no client, and running one no development broker. */
const perform = async (line: CommandLine, terminal: Terminal): Promise<number> => {
  armFault(process.env.MILLSTREAM_FAULT)
  switch (line.command) {
    case 'run': {
      const { run } = await import('./run.ts')
      await run(line, terminal)
      return 0
    }
    case 'describe': {
      const { describe } = await import('./describe.ts')
      return await describe(line, print)
    }
    case 'dev': {
      const { dev } = await import('./dev.ts')
      return await dev(line, (write) => processTerminal(line.logFormat, line.verbose, write), print)
    }
    case 'members list':
    case 'members remove': {
      const { members } = await import('./members.ts')
      await members(line, terminal, print)
      return 0
    }
    case 'store export':
    case 'store import': {
      const { store } = await import('./store.ts')
      await store(line, (write) => processTerminal(line.logFormat, line.verbose, write), print)
      return 0
    }
  }
}

const main = async (): Promise<number> => {
  let line: CommandLine | undefined
  try {
    line = await parseCommandLine(process.argv.slice(2), process.env)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`millstream: ${error.message}\nmillstream --help shows what there is.\n`)
    return 2
  }
  if (line === undefined) return 0
  const terminal = processTerminal(line.logFormat, line.verbose)
  const crash = (error: unknown): void => {
    terminal.failure(error)
    process.exit(1)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  try {
    return await perform(line, terminal)
  } catch (error) {
    terminal.failure(error)
    return exitCodeOf(error)
  }
}

// Whoever reads our output may stop early (`| head`): that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

// Not left to the event loop: timers or sockets of a user's module would keep the process alive.
process.exit(await main())
