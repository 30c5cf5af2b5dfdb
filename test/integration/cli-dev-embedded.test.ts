// `millstream dev` on its embedded broker: on a machine that has nothing but Node.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { describeTopics } from '../../src/client/topic-admin.ts'
import { startCli, temporaryFolder, testModule } from '../support/cli.ts'
import { clusterSettings } from '../support/client.ts'

/** Neither Java nor Maven nor Docker, and no broker that somebody named. */
const nothingButNode = { KAFKA_BROKERS: '', PATH: '', JAVA_HOME: '', DOCKER_HOST: 'tcp://127.0.0.1:1' }

const verdict = (stdout: string): string => stdout.trimEnd().split('\n').at(-1) ?? ''

/** A folder with two texts of 7 words, and a way to run `millstream dev` in it. */
const prepare = (module = testModule('words.ts')) => {
  const cwd = temporaryFolder()
  writeFileSync(path.join(cwd, 'a.md'), '# One two\n\nThree, two.\n')
  writeFileSync(path.join(cwd, 'b.md'), 'ÄRGER: three\ntwo\n')
  const dev = (args: readonly string[], stdin = '', env: Record<string, string> = {}) =>
    startCli(['dev', module, ...args], { cwd, stdin, env: { ...nothingButNode, ...env } })
  return { cwd, dev }
}

const addressIn = (stderr: string): string => /embedded broker at (127\.0\.0\.1:\d+)/.exec(stderr)?.[1] ?? ''

it('needs nothing but Node, keeps its counts over a restart, and other clients can connect', async () => {
  const { dev } = prepare()
  const first = await dev(['--for', '2s'], 'typed by hand\ntwo').ended
  expect(first.stderr).toContain(
    'for development only; it keeps topics and records in .millstream/dev/broker',
  )
  expect(verdict(first.stdout)).toBe('words: 11 records in, 11 counted, 0 lost, 0 duplicated')
  expect(first.code).toBe(0)

  const second = dev(['--for', '4s'])
  await second.said('running; Ctrl-C ends it')
  const settings = clusterSettings({ brokers: [addressIn(second.stderr)] })
  const cluster = await Cluster.connect(settings, nodePorts, silentLogger)
  try {
    expect(await describeTopics(cluster, ['words-lines'])).toMatchObject([{ exists: true, partitions: 3 }])
  } finally {
    await cluster.close()
  }
  const { code, stdout, stderr } = await second.ended
  expect(stderr).not.toContain('topics created')
  expect(verdict(stdout)).toBe('words: 18 records in, 18 counted, 0 lost, 0 duplicated')
  expect(code).toBe(0)
})

it('goes on where a run that was killed stood, the broker with it', async () => {
  const { dev } = prepare()
  const killed = await dev(['--for', '5s'], '', { MILLSTREAM_FAULT: 'after-offset-commit:2:kill' }).ended
  expect(killed.code).toBe(137)
  const next = await dev(['--for', '2s']).ended
  const [, recordsIn] =
    /^words: (\d+) records in, \1 counted, 0 lost, 0 duplicated$/.exec(verdict(next.stdout)) ?? []
  // Those of the killed run are among them.
  expect(Number(recordsIn)).toBeGreaterThan(7)
  expect(next.code).toBe(0)
})

it('refuses a second one in the same folder or on the same port, and says the way out', async () => {
  const { cwd, dev } = prepare()
  const first = dev([])
  await first.said('running; Ctrl-C ends it')
  const address = addressIn(first.stderr)
  const sameFolder = await dev([]).ended
  expect(sameFolder.stderr).toMatch(/STORE_LOCKED\s+what\s+another millstream dev runs in this folder/)
  expect(sameFolder.stderr).toContain(`by process ${first.child.pid}`)
  expect(sameFolder.stderr).toContain(`(KAFKA_BROKERS=${address})`)
  expect(sameFolder.stderr).toContain('--data DIR --port N')
  expect(sameFolder.code).toBe(1)

  const port = address.split(':')[1] ?? ''
  const samePort = await dev(['--data', path.join(cwd, 'other'), '--port', port]).ended
  expect(samePort.stderr).toContain('another program has the port')
  expect(samePort.stderr).toContain('choose another port (--port)')
  expect(samePort.code).toBe(1)

  // Without a port one is found, and it is said that it is not the usual one.
  const elsewhere = await dev(['--data', path.join(cwd, 'other'), '--for', '1s']).ended
  expect(elsewhere.stderr).toContain('(port 9092 is taken)')
  expect(elsewhere.code).toBe(0)

  first.child.kill('SIGINT')
  expect((await first.ended).code).toBe(0)
})

const countingModule = (step: string): string => `
import { int64, store, string, topic, topology } from 'millstream'
import { named } from './named.ts'
const lines = topic('lines', { key: string, value: string })
const counts = topic('counts', { key: string, value: string })
export default topology('reloaded', (t) => {
  t.stream(lines)
    .groupByKey()
    .count(store('counts', { key: string, value: int64 }))
    .toStream()
    .mapValues((count) => ${step})
    .to(counts)
})
let shown = ''
export const dev = {
  async feed(input) {
    while (!input.stopping.aborted) {
      await input.send(lines, { key: 'k', value: 'line' })
      await input.pause(100)
    }
  },
  view: () => ({
    topic: counts,
    add: ({ value }) => { shown = value },
    table: () => [shown],
    summary: () => \`shown \${shown}\`,
  }),
}
`

it('runs a module that changed, or whose import changed, on the same state, and keeps the old one where it cannot', async () => {
  const folder = temporaryFolder()
  const file = path.join(folder, 'index.ts')
  const named = path.join(folder, 'named.ts')
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(path.resolve(import.meta.dirname, '../..'), path.join(folder, 'node_modules', 'millstream'))
  writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(named, "export const named = 'first'\n")
  writeFileSync(file, countingModule("[named, count].join(' ')"))
  const { dev } = prepare(file)
  const cli = dev([])
  await cli.said('running; Ctrl-C ends it')
  writeFileSync(file, 'export default 7\n')
  await cli.said('MODULE_WITHOUT_TOPOLOGY')
  await cli.said('what ran before goes on')
  await nodePorts.timers.sleep(500)
  expect(cli.stderr).not.toContain('from=running')

  writeFileSync(file, countingModule("[named, count].join(': ')"))
  await cli.said('running the changed module')
  const counted = Number(/shown first (\d+)/.exec(cli.stderr)?.[1])
  expect(counted).toBeGreaterThan(0)
  await cli.said('shown first: ')
  expect(Number(/shown first: (\d+)/.exec(cli.stderr)?.[1])).toBeGreaterThan(counted)

  writeFileSync(named, "export const named = 'second'\n")
  await cli.said('shown second: ')

  // A processor that throws stops its worker, not the command: the mended one meets the same record again.
  writeFileSync(file, countingModule("[count].map(() => { throw new Error('not liked') })[0]"))
  await cli.said('the worker has stopped; waiting for a change of the module')
  expect(cli.stderr).toContain('not liked')
  writeFileSync(file, countingModule("[named, count].join('; ')"))
  await cli.said('shown second; ')
  cli.child.kill('SIGINT')
  const { code, stderr } = await cli.ended
  expect(stderr.match(/starting the new one/g)).toHaveLength(4)
  expect(code).toBe(0)
})

it('runs all topologies of a module, and waits for each before it checks', async () => {
  const { dev } = prepare(testModule('steps.ts'))
  const { code, stdout, stderr } = await dev(['--for', '1s']).ended
  expect(verdict(stdout)).toBe('steps-shout, steps-split: 6 records in, 6 counted, 0 lost, 0 duplicated')
  expect(stderr).toMatch(/stopped topology=steps-shout processed=6 /)
  expect(stderr).toMatch(/stopped topology=steps-split processed=3 /)
  expect(code).toBe(0)
  const shared = await dev(['--for', '1s', '--application-id', 'one']).ended
  expect(shared.stderr).toContain('several topologies would run as the application one')
  expect(shared.code).toBe(2)
})
