// The projects: unit (no broker, no network), integration and language (one real broker for the whole run), contract (the same cases on
// a real broker and on the embedded one), controls (wrong builds that must be noticed), system (real processes on a real
// broker), rotation (a command of its own). docs/testing.md says what belongs where.
import path from 'node:path'
import process from 'node:process'
import { defineConfig } from 'vitest/config'

// The package imports itself by name (processors/, type tests): the condition leads to src/ instead of dist/.
const source = 'millstream-source'
const conditions = [source, 'module', 'node', 'development|production']

// V8 keeps the pages of compiled code of all threads in one map. Where a look-up there misses, the process ends: "Check
// failed: jit_page.has_value()", or SIGSEGV. Two things lead to it: memory protection keys (nodejs/node#64500), which are
// switched off here, and WebAssembly whose shared wrappers are freed while another thread compiles its own. Our threads
// have WebAssembly only where Node strips types from the sources, so they find their sources stripped in this cache.
process.env['NODE_COMPILE_CACHE'] ??= path.join(import.meta.dirname, 'node_modules', '.cache', 'compiled')
const execArgv = [`--conditions=${source}`, '--no-memory-protection-keys']

/** Of the projects that start threads. */
const threads = 'test/support/threads.ts'

const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: [source, 'node'] } },
}

export default defineConfig({
  ...shared,
  test: {
    // Never a green run in which nothing ran.
    passWithNoTests: false,
    // A test that leaves a rejection behind has failed, whatever its assertions say.
    dangerouslyIgnoreUnhandledErrors: false,
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: [
            'test/unit/**/*.test.ts',
            'test/types/**/*.test.ts',
            'test/tidy.test.ts',
            'processors/**/*.test.ts',
          ],
          execArgv,
          testTimeout: 20_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: [threads, 'test/support/kafka.ts'],
          execArgv,
          // Each file has topics and groups of its own; more than two at once would only wait for the broker.
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'language',
          include: ['test/language/**/*.test.ts'],
          globalSetup: [threads, 'test/support/kafka.ts', 'test/support/language-parts.ts'],
          execArgv,
          // Each file has topics and groups of its own; more than two at once would only wait for the broker.
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          globalSetup: [threads, 'test/support/contract/brokers.ts'],
          execArgv,
          maxWorkers: 2,
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'controls',
          include: ['test/controls/**/*.test.ts'],
          globalSetup: [threads, 'test/support/kafka.ts'],
          execArgv,
          testTimeout: 90_000,
          hookTimeout: 180_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          globalSetup: [threads, 'test/support/kafka.ts'],
          execArgv,
          // Processes are killed and timed here: one file at a time.
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'rotation',
          include: ['test/rotation/**/*.test.ts'],
          globalSetup: [threads, 'test/support/kafka.ts'],
          execArgv,
          testTimeout: 1_800_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
