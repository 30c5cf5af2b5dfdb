// By which module a savepoint may be taken: the one that committed last, and no other version of its stores.
import { expect, it } from 'vitest'
import { int64, json, store, string, topic, topology } from '../../../src/index.ts'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { resolveSettings } from '../../../src/config/settings.ts'
import { exportSavepoint } from '../../../src/savepoint/export.ts'
import type { Manifest } from '../../../src/savepoint/manifest.ts'
import type { Topology } from '../../../src/topology/contracts.ts'
import { temporaryFolder } from '../../support/cli.ts'
import { WorkerStand } from '../runtime/worker-stand.ts'

const counting = (options: object): Topology =>
  topology('counting', (t) => {
    const counts = store('counts', { key: string, value: int64, ...options })
    t.stream(topic('in', { key: string, value: string }))
      .groupByKey()
      .count(counts as never)
  })

const second = { version: 2, migrate: () => 0 }

/** What comes of an export with the second after the first has committed a record. */
const exported = async (first: Topology, module: Topology): Promise<Manifest> => {
  await using stand = new WorkerStand()
  stand.createTopic('in')
  const { worker, process } = stand.start('w1', first)
  stand.send('in', 'k', 'one')
  await stand.until('it works', () => worker.counts.processed === 1 && worker.counts.committed > 0)
  process.enter(() => void worker.close({ leave: true }))
  await stand.until('it is closed', () => worker.state === 'closed')

  const given = { brokers: [...stand.simulation.brokers] }
  const { process: exporter, ports } = stand.simulation.spawn('operator', 'operator')
  const outcome: { manifest?: Manifest; error?: unknown } = {}
  const options = {
    ports: { ...ports, disk: nodePorts.disk },
    settings: resolveSettings({ given }, 'counting'),
    log: silentLogger,
    stop: new AbortController().signal,
    directory: `${temporaryFolder()}/savepoint`,
  }
  exporter.enter(() => {
    exportSavepoint(module, options).then(
      (manifest) => (outcome.manifest = manifest),
      (error: unknown) => (outcome.error = error),
    )
  })
  await stand.until('it has ended', () => Object.keys(outcome).length > 0)
  if (outcome.manifest === undefined) throw outcome.error
  return outcome.manifest
}

it('is exported by the module that ran', async () => {
  for (const module of [counting({}), counting(second)])
    expect((await exported(module, module)).stores).toMatchObject([{ store: 'counts', records: 1 }])
})

it.each([
  ['in version 1', counting({}), counting(second), 'declares version 2'],
  ['in version 2', counting(second), counting({}), 'declares version 1'],
  [
    'values with timestamps (string, int64)',
    counting({}),
    counting({ value: json<number>() }),
    'declares version 1',
  ],
])('is not exported by another one: committed %s', async (committed, first, module, declared) => {
  const refused = await exported(first, module).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'SAVEPOINT_MISMATCH', where: { store: 'counts' } })
  expect(String(refused)).toContain(declared)
  expect(String(refused)).toContain(committed)
})
