import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/cli/arguments.ts'
import { store } from '../../../src/cli/store.ts'
import { processTerminal } from '../../../src/cli/terminal.ts'

// Inside the project, so that 'millstream' is found as it is in a user's project.
const parent = path.resolve(import.meta.dirname, '../../../.millstream')

it.each(['export', 'import'])(
  '%s takes a module with one topology, since a savepoint is of one',
  async (what) => {
    mkdirSync(parent, { recursive: true })
    const folder = mkdtempSync(path.join(parent, 'store-'))
    try {
      const file = path.join(folder, 'two.ts')
      writeFileSync(
        file,
        `import { string, topic, topology } from 'millstream'
export default ['one', 'two'].map((name) =>
  topology(name, (t) => t.stream(topic('a', { key: string, value: string })).foreach(() => undefined)))`,
      )
      const line = await parseCommandLine(
        [
          'store',
          what,
          file,
          what === 'export' ? '--to' : '--from',
          path.join(folder, 'x'),
          '--brokers',
          'nowhere:1',
        ],
        {},
      )
      if (line === undefined) throw new Error('it asked for help')
      const done = store(
        line,
        (write) => processTerminal('human', false, write),
        () => undefined,
      )
      await expect(done).rejects.toThrow(
        'MODULE_WITHOUT_TOPOLOGY: it has 2 topologies (one, two), and a savepoint is of one',
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)
