// A schema that is met while tasks are made ready: it is waited for however long it takes, and what runs goes on.
import { expect, it } from 'vitest'
import { output, type Serde, store, string, topic, topology } from '../../../src/index.ts'
import { MillstreamError } from '../../../src/errors.ts'
import { keyIn, tasksOf, WorkerStand } from './worker-stand.ts'

/** Keeps the last value of each key; a task begins by looking one up. */
const lookingUp = () => {
  const schema = { isHere: true }
  const late: Serde<string> = {
    ...string,
    primitive: false,
    decode(bytes) {
      if (!schema.isHere) throw new MillstreamError('SCHEMA_PENDING', { what: 'schema 7 is being fetched' })
      return string.decode(bytes)
    },
    decodeFrom: (source, start, end) => late.decode(source.subarray(start, end)),
  }
  const last = store('last', { key: string, value: late, engine: 'memory' })
  const built = topology('looking-up', (t) => {
    t.stream(topic('in', { key: string, value: string }))
      .process({
        stores: { last },
        outputs: output<string, string>(),
        init: ({ stores }) => void [...stores.last.all()],
        process(record, { stores, forward }) {
          stores.last.put(record.key, record.value)
          forward(record)
        },
      })
      .to(topic('out', { key: string, value: string }))
  })
  return { schema, built }
}

it('a worker that starts waits for it longer than any row of faults may last', async () => {
  await using stand = new WorkerStand()
  stand.createTopic('in')
  stand.createTopic('out')
  const { schema, built } = lookingUp()
  const first = stand.start('w1', built)
  stand.send('in', 'k', 'one')
  await stand.until('a record passes', () => stand.committed('out').length === 1)
  first.process.enter(() => void first.worker.close({ leave: true }))
  await stand.until('it is closed', () => first.worker.state === 'closed')

  schema.isHere = false
  const next = stand.start('w1', built)
  await stand.pass(15 * 60_000)
  expect(next.failure).toBe(undefined)
  expect(next.worker.state).not.toBe('running')
  schema.isHere = true
  await stand.until('it runs', () => next.worker.state === 'running', 10_000)
})

it('tasks that come are tried again, while those that run go on undisturbed', async () => {
  await using stand = new WorkerStand()
  stand.createTopic('in', 2)
  stand.createTopic('out')
  const { schema, built } = lookingUp()
  const one = stand.start('w1', built)
  const other = stand.start('w2', built)
  await stand.until('each has a task', () => [one, other].every((each) => tasksOf(each).length === 1))
  for (const partition of [0, 1]) stand.send('in', keyIn(partition), 'one')
  await stand.until('both work', () => stand.committed('out').length === 2)

  schema.isHere = false
  const own = Number(tasksOf(other)[0]?.at(-1))
  one.process.enter(() => void one.worker.close({ leave: true }))
  await stand.until('it is told', () => other.worker.status().assignedTasks === 2)
  await stand.pass(20_000)
  stand.send('in', keyIn(own), 'two')
  await stand.until('the other task works', () => stand.committed('out').length === 3)
  expect(tasksOf(other)).toEqual([`0_${own}`])
  expect(other.worker.state).toBe('running')
  expect(other.worker.status().counts).toMatchObject({ aborted: 0, recovered: 0 })
  schema.isHere = true
  await stand.until('both tasks run', () => tasksOf(other).length === 2, 5000)
})
