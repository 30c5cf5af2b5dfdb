import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli, startCli, temporaryFolder, testModule } from '../support/cli.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'

const words = testModule('words.ts')
let judge: Judge
beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})
afterAll(() => judge.stop())

/** A word count of its own, with topics and five lines of text, and the arguments to run it. */
const prepare = async (lines = ['a b a', 'c', 'b a', 'd e f', 'a']) => {
  const name = uniqueTopic('cli')
  await judge.createTopics(
    { name: `${name}-lines`, partitions: 2 },
    { name: `${name}-counts`, partitions: 2 },
  )
  const records = lines.map((value, index) => ({ key: String(index), value }))
  if (records.length > 0) await judge.produce(`${name}-lines`, records)
  const args = ['run', words, '--brokers', kafkaBrokers().join(','), '--state-dir', temporaryFolder()]
  return { name, args, env: { TEST_NAME: name } }
}

const finalCounts = async (name: string): Promise<Record<string, number>> => {
  const { records } = await judge.dump(`${name}-counts`)
  return Object.fromEntries(
    records.map(({ key, value }) => [key?.toString(), Number(value?.readBigInt64BE())]),
  )
}

const untilCounted = async (name: string, wanted: number): Promise<void> => {
  await expect
    .poll(async () => (await judge.dump(`${name}-counts`)).records.length, { timeout: 30_000 })
    .toBe(wanted)
}

describe('millstream run', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('commits and ends with 0 on %s', async (signal) => {
    const { name, args, env } = await prepare()
    const cli = startCli(args, { env })
    await untilCounted(name, 10)
    cli.child.kill(signal)
    const { code, stdout, stderr } = await cli.ended
    expect(stderr).toContain(`signal=${signal}`)
    expect(stderr).toMatch(/info {2}stopped state=closed processed=15 skipped=0 /)
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(await finalCounts(name)).toEqual({ a: 4, b: 2, c: 1, d: 1, e: 1, f: 1 })
    const inGroup = await judge.describeGroup(name)
    expect(inGroup.members).toEqual([])
  })

  it('ends at once on a second SIGTERM, and a restart finds the rest', async () => {
    const { name, args, env: test } = await prepare()
    // Static: the restart takes the place of the one that could not say goodbye.
    const env = { ...test, MILLSTREAM_INSTANCE_ID: 'one' }
    const cli = startCli(args, { env })
    await cli.said('to=running')
    cli.child.kill('SIGTERM')
    await cli.said('stopping')
    cli.child.kill('SIGTERM')
    const { code } = await cli.ended
    // The orderly end takes milliseconds and may have been first.
    expect([0, 143]).toContain(code)
    const again = startCli(args, { env })
    await untilCounted(name, 10)
    again.child.kill('SIGTERM')
    expect((await again.ended).code).toBe(0)
    expect(await finalCounts(name)).toEqual({ a: 4, b: 2, c: 1, d: 1, e: 1, f: 1 })
  })

  it('tells of a processor that throws: code, place, cause, line of the user, no stack; and ends with 1', async () => {
    const { args, env } = await prepare(['a', 'b', 'broken', 'c'])
    const { code, stderr } = await runCli(args, { env: { ...env, TEST_THROWS_AT: 'broken' } })
    expect(code).toBe(1)
    expect(stderr).toContain('PROCESSING_FAILED\n')
    expect(stderr).toMatch(/ {2}where {2}.*topic \S+-lines, partition \d, offset \d/)
    expect(stderr).toContain('RangeError: the word broken is not liked')
    expect(stderr).toMatch(/ {2}at {5}.*modules\/words\.ts:\d+/)
    expect(stderr).not.toMatch(/^\s+at \S+ \(/m)
  })

  it('writes JSON lines only, when asked to', async () => {
    const { args, env } = await prepare(['broken'])
    const { code, stderr } = await runCli([...args, '--log-format', 'json'], {
      env: { ...env, TEST_THROWS_AT: 'broken' },
    })
    const lines = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.at(-1)).toMatchObject({ level: 'error', code: 'PROCESSING_FAILED' })
    expect(lines.every(({ time, level, text }) => Boolean(time && level && text))).toBe(true)
    expect(code).toBe(1)
  })

  it('kills itself at a fault point, and says so', async () => {
    const { name, args, env } = await prepare()
    const { code, stderr } = await runCli(args, {
      env: { ...env, MILLSTREAM_FAULT: 'before-end-txn:1:kill' },
    })
    expect(code).toBe(137)
    expect(stderr.trimEnd()).toMatch(/fault point before-end-txn, time 1: SIGKILL$/)
    expect(await finalCounts(name)).toEqual({})
  })

  it('runs all topologies of a module, one worker each', async () => {
    const { name, args, env } = await prepare(['to be', 'or not', 'to be'])
    await judge.createTopics({ name: `${name}-words`, partitions: 1 })
    const steps = args.map((arg) => (arg === words ? testModule('steps.ts') : arg))
    const cli = startCli(steps, { env })
    await untilCounted(name, 6)
    cli.child.kill('SIGTERM')
    const { code, stderr } = await cli.ended
    expect(stderr).toMatch(new RegExp(`stopped topology=${name}-split state=closed processed=3 `))
    expect(stderr).toMatch(new RegExp(`stopped topology=${name}-shout state=closed processed=6 `))
    expect(code).toBe(0)
  })
})

describe('what is wrong is told before anything begins', () => {
  it('every mistake in the settings at once, with 2', async () => {
    const folder = temporaryFolder()
    writeFileSync(path.join(folder, 'millstream.yaml'), 'comitIntervalMs: 7\nsaslPassword: hunter2\n')
    const args = ['run', words, '--batch-bytes', '1', '--nope', 'x']
    const { code, stderr } = await runCli(args, { cwd: folder, env: { MILLSTREAM_GUARANTEE: 'maybe' } })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^SETTING_INVALID\n {2}what {3}6 mistakes in the settings:/)
    for (const part of [
      'comitIntervalMs',
      'did you mean commitIntervalMs?',
      '--nope',
      'batchBytes is "1"',
      'maybe',
      'brokers is missing',
    ])
      expect(stderr).toContain(part)
    expect(stderr).not.toContain('hunter2')
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  it('brokers that nobody answers at, with 1', async () => {
    const server = net.createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as net.AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const { code, stderr } = await runCli([
      'run',
      words,
      '--brokers',
      `127.0.0.1:${port}`,
      '--state-dir',
      temporaryFolder(),
    ])
    expect(code).toBe(1)
    expect(stderr).toMatch(/BROKER_UNREACHABLE\n {2}what {3}.*127\.0\.0\.1:\d+ \(.*ECONNREFUSED/)
  })

  it('a topic that does not exist, with its name', async () => {
    const name = uniqueTopic('cli-none')
    const args = ['run', words, '--brokers', kafkaBrokers().join(','), '--state-dir', temporaryFolder()]
    const { code, stderr } = await runCli(args, { env: { TEST_NAME: name } })
    expect(code).toBe(1)
    expect(stderr).toContain('TOPIC_MISSING')
    expect(stderr).toContain(`${name}-lines`)
  })

  it('a module that is none, with 2', async () => {
    for (const [module, text] of [
      ['nope.ts', 'MODULE_NOT_FOUND'],
      [path.join(import.meta.dirname, '../support/cli.ts'), 'MODULE_WITHOUT_TOPOLOGY'],
    ] as const) {
      const { code, stderr } = await runCli(['run', module, '--brokers', 'localhost:1'])
      expect(code).toBe(2)
      expect(stderr).toContain(text)
    }
  })

  it('two topologies that would be one application, with 2', async () => {
    const args = [
      'run',
      words,
      'processors/word-count',
      '--brokers',
      'localhost:1',
      '--application-id',
      'same',
    ]
    const { code, stderr } = await runCli(args)
    expect(code).toBe(2)
    expect(stderr).toContain('several topologies would run as the application same')
  })
})

describe('millstream describe', () => {
  it('prints topologies without a broker', async () => {
    const { code, stdout, stderr } = await runCli([
      'describe',
      'processors/word-count',
      'processors/account-balances',
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('topology word-count, application id word-count')
    expect(stdout).toContain('word-count-by-word-repartition')
    expect(stdout).toContain('account-balances-accounts-changelog')
  })

  it('takes the application id, and prints JSON and Mermaid', async () => {
    const json = await runCli([
      'describe',
      'processors/word-count/index.ts',
      '--format',
      'json',
      '--application-id',
      'mine',
    ])
    expect(JSON.parse(json.stdout)).toMatchObject({ topology: 'word-count', applicationId: 'mine' })
    expect((await runCli(['describe', words, '--format', 'mermaid'])).stdout).toMatch(/^flowchart /)
  })
})

it('runs inside of a program, as the README shows it', async () => {
  const { name } = await prepare([])
  const env = { ...process.env, TEST_NAME: name, TEST_BROKERS: kafkaBrokers().join(',') }
  const args = ['--conditions=millstream-source', testModule('embedding.ts')]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, cwd: temporaryFolder() })
  expect(stdout.split('\n').slice(-3)).toEqual(['the worker is closing', 'the worker is closed', ''])
  expect((await judge.dump(`${name}-lines`)).records.map(({ value }) => value?.toString())).toEqual([
    'hello again, hello',
  ])
})

it('shows help and version on standard output, with 0', async () => {
  const help = await runCli(['run', '--help'])
  expect(help.code).toBe(0)
  expect(help.stdout).toContain('--commit-interval-ms')
  expect((await runCli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect(await runCli(['fly'])).toMatchObject({ code: 2, stdout: '' })
})
