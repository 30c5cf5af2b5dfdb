// A grace that is raised over a store whose windows were told as closed. The walk that tells windows has passed them: what were
// added there would never be told, and never removed. So a record that the new grace would take is late.
import { expect, it } from 'vitest'
import {
  int64,
  sessions,
  sliding,
  string,
  type TimeWindows,
  topic,
  topology,
  tumbling,
  windowStore,
} from '../../../src/index.ts'
import { type RunningWorker, WorkerStand } from './worker-stand.ts'

const text = { key: string, value: string }
/** A record says its time. */
const times = topic('in', { ...text, timestamp: ({ value }) => Number(value) })
const counts = windowStore('counts', { key: string, value: int64, engine: 'memory' })

const counting = (windows: unknown) =>
  topology('counting', (t) => {
    const table = t
      .stream(times)
      .groupByKey()
      .windowedBy(windows as TimeWindows)
      .count(counts, { emit: 'on-close' })
    table.late().to(topic('late', text))
    table
      .toStream()
      .map(({ key, value }) => ({ key: key.key, value: `${key.start}-${key.end}: ${value}` }))
      .to(topic('out', text))
  })

it.each([
  ['tumbling', (graceMs: number) => tumbling({ sizeMs: 10, graceMs }), '90-100: 1'],
  ['sliding', (graceMs: number) => sliding({ sizeMs: 10, graceMs }), '85-95: 1'],
  ['session', (graceMs: number) => sessions({ gapMs: 10, graceMs }), '95-95: 1'],
] as const)('%s windows that were told are not opened again', async (_, windows, told) => {
  await using stand = new WorkerStand()
  for (const name of ['in', 'out', 'late']) stand.createTopic(name)
  const sent = (value: string): void => stand.send('in', 'k', value)
  const closed = async ({ process, worker }: RunningWorker): Promise<void> => {
    process.enter(() => void worker.close({ leave: true }))
    await stand.until('it is closed', () => worker.state === 'closed')
  }

  const first = stand.start('w1', counting(windows(0)))
  sent('95')
  sent('120')
  await stand.until('the window is told', () => stand.committed('out').length === 1)
  await closed(first)

  const next = stand.start('w1', counting(windows(50)))
  sent('96')
  sent('400')
  await stand.until('it is late', () => stand.committed('late').length > 0)
  await closed(next)
  expect(stand.committed('late')).toEqual(['96'])
  expect(stand.committed('out').filter((line) => Number(line.split('-')[0]) < 100)).toEqual([told])
})
