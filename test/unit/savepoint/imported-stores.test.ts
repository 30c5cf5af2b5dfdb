// Which versions of stores an import puts beside an offset: those of the task that owns it.
import { int64, store, string, topic, topology } from 'millstream'
import { describe, expect, it } from 'vitest'
import { planTasks } from '../../../src/runtime/task-plan.ts'
import { importedStores } from '../../../src/savepoint/import.ts'
import { witnessedStores } from '../../../src/runtime/witness.ts'

const manyStores = 40
const options = { key: string, value: int64, version: 2, previous: int64, migrate: (old: number) => old }

/** As many inputs, each with a store of its own that has a version; and one behind a repartition topic. */
const app = topology('app', (t) => {
  const plain = { key: string, value: string }
  for (let index = 0; index < manyStores; index++) {
    const stream = t.stream(topic(`in-${index}`, plain))
    stream.groupByKey().count(store(`count-${index}-${'x'.repeat(80)}`, options))
    if (index === 0)
      stream.groupBy(({ value }) => value, { name: 'again', ...plain }).count(store('again', options))
    if (index === 1) stream.groupByKey().count(store('without', { key: string, value: int64 }))
  }
})

describe('the stores beside an imported offset', () => {
  const { graph } = app
  const plan = { subtopologies: Object.fromEntries(graph.subtopologies.map(({ id }) => [id, 1])) }
  const tasks = planTasks(graph, 'app', plan as never, () => 1)
  const stores = importedStores(tasks.values())
  const namesOf = (topic: string) => stores.get(`${topic}-0`)?.map(({ store }) => store.split('-x')[0])

  it('are those of its task that have a version', () => {
    expect(namesOf('in-0')).toEqual(['count-0'])
    expect(namesOf('in-1')).toEqual(['count-1'])
    expect(namesOf('app-again-repartition')).toEqual(['again'])
    expect(stores.get('in-0-0')?.[0]).toMatchObject({ changelogEnd: 0, digest: '', layout: '2tsl' })
  })

  it('have room in a witness, however many the topology has', () => {
    const all = graph.subtopologies.flatMap((part) => part.stores.map(({ name }) => name))
    expect(witnessedStores(all)).toBeLessThan(all.length)
    for (const some of stores.values())
      expect(witnessedStores(some.map(({ store }) => store))).toBe(some.length)
  })
})
