// Rows that tests of the other suites prove, with the command for each.
import type { TestedRow } from './row.ts'

const integration = (file: string, name?: string): readonly string[] => [
  '--project',
  'integration',
  `test/integration/${file}.test.ts`,
  ...(name === undefined ? [] : ['-t', name]),
]

export const testedRows: readonly TestedRow[] = [
  {
    id: 'F4',
    title: 'EndTxn that arrives late, after the next transaction has begun',
    tests: integration('outcome', 'late commits'),
  },
  {
    id: 'F5',
    title: 'Produce applied, its answer lost',
    tests: integration('outcome', 'lost answers of Produce'),
  },
  {
    id: 'F6',
    title: 'Produce that arrives late',
    tests: integration('outcome', 'lost requests and 20 lost answers of Produce'),
  },
  {
    id: 'F10',
    title: 'a processor that blocks the main thread',
    tests: [
      ...integration('blocked'),
      'test/integration/blocked-too-long.test.ts',
      'test/integration/heartbeat-thread.test.ts',
    ],
  },
  { id: 'F15', title: 'interleaved aborted transactions', tests: integration('abort-filter') },
  { id: 'F17', title: 'a transaction that the coordinator left behind', tests: integration('hanging') },
  {
    id: 'F19',
    title: 'the coordinator answers offsets of long ago',
    tests: integration('recovery', 'OffsetFetch, answered as of the start'),
  },
  {
    id: 'F27',
    title: 'records larger than the broker takes',
    tests: integration('bad-input', 'larger|fits'),
  },
  {
    id: 'F32',
    title: 'work of a processor that outlives its record',
    tests: integration('recovery-tasks', 'after its record has ended'),
  },
]
