// Writes to an LMDB store and kills itself: between two transactions, or inside one.
import process from 'node:process'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { LmdbEngine } from '../../../src/state/lmdb-engine.ts'
import { at, identity } from './support.ts'

const [directory = '', where = ''] = process.argv.slice(2)
const engine = new LmdbEngine({ directory, disk: nodePorts.disk })
engine.reset(identity)
const entries = (from: number): { key: string; value: Buffer }[] =>
  Array.from({ length: 500 }, (_, index) => ({
    key: `k${String(from + index).padStart(6, '0')}`,
    value: Buffer.from(`v${from + index}`),
  }))
engine.write(entries(0), at(10))
engine.get('k000001')
engine.write(entries(500), at(20))
if (where === 'between') process.kill(process.pid, 'SIGKILL')
engine.write(
  {
    *[Symbol.iterator]() {
      yield* entries(1000)
      process.kill(process.pid, 'SIGKILL')
      // The signal may take a moment: the transaction must not end before it.
      for (;;) yield { key: 'k9', value: null }
    },
  } as never,
  at(30),
)
