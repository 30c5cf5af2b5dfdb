// A transaction whose marker a coordinator left out (KAFKA-20734), where nobody writes to the partition again: whoever is
// held up has it ended, or the worker that alone knows how it ended.
import { describe, it } from 'vitest'
import { int64, store, string, topic, topology } from '../../../src/index.ts'
import { keyIn, type RunningWorker, tasksOf, WorkerStand } from './worker-stand.ts'

const input = topic('in', { key: string, value: string })
const out = topic('out', { key: string, value: string })

const passing = topology('passing', (t) => {
  t.stream(input).repartition({ name: 'between', partitions: 2, key: string, value: string }).to(out)
})
const counting = topology('counting', (t) => {
  t.stream(input)
    .groupByKey()
    .count(store('counts', { key: string, value: int64, engine: 'memory' }))
})
const between = 'passing-between-repartition'

describe('a transaction that is left open', () => {
  it('in a repartition topic holds its readers up for moments', async () => {
    await using stand = new WorkerStand()
    stand.createTopic('in')
    stand.createTopic('out')
    const { worker } = stand.start('w1', passing)
    await stand.until('it runs', () => worker.state === 'running')
    stand.send('in', 'k', 'one')
    await stand.until('a record passes', () => stand.committed('out').length === 1)
    const left = [0, 1].map((partition) => stand.leaveOutMarker(between, partition))
    stand.send('in', 'k', 'two')
    await stand.until('a marker is left out', () => left.some(({ isLeftOut }) => isLeftOut))
    await stand.until('its records pass', () => stand.committed('out').length === 2, 6000)
  })

  it('is ended by its own worker, which began anew and alone knows how, although others wait for it', async () => {
    await using stand = new WorkerStand()
    stand.createTopic('in')
    stand.createTopic('out')
    const start = (host: string) => stand.start(host, passing, { instanceId: host })
    const workers = [start('w1'), start('w2')]
    await stand.until('both have tasks', () => workers.every((one) => tasksOf(one).length > 0))
    await stand.until('all tasks run', () => workers.flatMap(tasksOf).length === 3)
    const first = workers.find((one) => tasksOf(one).includes('0_0')) as RunningWorker
    const partition = ['1_0', '1_1'].findIndex((id) => !tasksOf(first).includes(id))

    const left = stand.leaveOutMarker(between, partition)
    stand.send('in', keyIn(partition), 'one')
    await stand.until('the marker is left out', () => left.isLeftOut)
    // Its coordinator has forgotten the end before the other worker asks.
    const host = first === workers[0] ? 'w1' : 'w2'
    first.process.kill()
    const next = start(host)
    await stand.until('it is back', () => tasksOf(next).includes('0_0'), 900)
    await stand.until('the record passes', () => stand.committed('out').length === 1, 10_000)
  })

  it('in a changelog is ended by who restores its store', async () => {
    await using stand = new WorkerStand()
    stand.createTopic('in', 2)
    const workers = [stand.start('w1', counting), stand.start('w2', counting)]
    await stand.until('each has a task', () => workers.every((one) => tasksOf(one).length === 1))
    const [one, other] = workers as [RunningWorker, RunningWorker]
    const partition = Number(tasksOf(one)[0]?.at(-1))

    const left = stand.leaveOutMarker('counting-counts-changelog', partition)
    stand.send('in', keyIn(partition), 'one')
    await stand.until('the marker is left out', () => left.isLeftOut)
    one.process.enter(() => void one.worker.close({ leave: true }))
    await stand.until('the other has both', () => tasksOf(other).length === 2, 10_000)
  })
})
