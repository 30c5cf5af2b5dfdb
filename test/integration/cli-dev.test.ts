import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startCli, temporaryFolder, testModule } from '../support/cli.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'

let judge: Judge
beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})
afterAll(() => judge.stop())

const verdict = (stdout: string): string => stdout.trimEnd().split('\n').at(-1) ?? ''

/** A folder with two texts of 7 words, and a way to run `millstream dev` in it. */
const prepare = () => {
  const cwd = temporaryFolder()
  writeFileSync(path.join(cwd, 'a.md'), '# One two\n\nThree, two.\n')
  writeFileSync(path.join(cwd, 'b.md'), 'ÄRGER: three\ntwo\n')
  const name = uniqueTopic('dev')
  const dev = (args: readonly string[], stdin = '', env: Record<string, string> = {}) =>
    startCli(['dev', testModule('words.ts'), ...args], {
      cwd,
      stdin,
      env: { KAFKA_BROKERS: kafkaBrokers().join(','), TEST_NAME: name, ...env },
    })
  return { name, dev }
}

it('feeds text, counts it, and ends after a recount; also a second time on the same broker', async () => {
  const { name, dev } = prepare()
  const first = await dev(['--for', '2s'], 'typed by hand\ntwo').ended
  expect(first.stderr).toContain('because KAFKA_BROKERS is set')
  expect(first.stderr).toContain(`topics created topics="${name}-lines ${name}-counts"`)
  expect(verdict(first.stdout)).toBe(`${name}: 11 records in, 11 counted, 0 lost, 0 duplicated`)
  expect(first.code).toBe(0)
  const second = await dev(['--for', '2s', '--broker', 'real']).ended
  expect(second.stderr).toContain('because KAFKA_BROKERS is set')
  expect(second.stderr).not.toContain('topics created')
  expect(verdict(second.stdout)).toBe(`${name}: 18 records in, 18 counted, 0 lost, 0 duplicated`)
  expect(second.code).toBe(0)
  const [entry] = (await judge.dump(`${name}-counts`)).records
    .filter(({ key }) => key?.toString() === 'ärger')
    .slice(-1)
  expect(entry?.value?.readBigInt64BE()).toBe(2n)
})

it('finds what is lost and what is counted twice, and ends with 1', async () => {
  const { name, dev } = prepare()
  const lossy = await dev(['--for', '2s'], '', { TEST_LOSES: 'three' }).ended
  expect(lossy.stdout).toContain('three: 2 in the input, but the counts are none\n')
  expect(verdict(lossy.stdout)).toBe(`${name}: 7 records in, 5 counted, 2 lost, 0 duplicated`)
  expect(lossy.code).toBe(1)

  const other = prepare()
  expect((await other.dev(['--for', '3s']).ended).code).toBe(0)
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(1n)
  await judge.produce(`${other.name}-counts`, [{ key: 'one', value: bytes }])
  const twice = await other.dev(['--for', '3s'], '').ended
  expect(verdict(twice.stdout)).toMatch(/14 records in, 14 counted, 0 lost, 1 duplicated$/)
  expect(twice.code).toBe(1)
})

it('goes on where a run that was killed stood', async () => {
  const { name, dev } = prepare()
  const killed = await dev(['--for', '5s'], '', { MILLSTREAM_FAULT: 'after-offset-commit:2:kill' }).ended
  expect(killed.code).toBe(137)
  const next = await dev(['--for', '2s']).ended
  expect(verdict(next.stdout)).toMatch(
    new RegExp(`^${name}: (\\d+) records in, \\1 counted, 0 lost, 0 duplicated$`),
  )
  expect(next.code).toBe(0)
})

it('refuses what would leave open which broker is meant', async () => {
  const { dev } = prepare()
  const both = await dev(['--broker', 'embedded', '--brokers', 'b:1']).ended
  expect(both.stderr).toContain('--broker embedded contradicts the setting brokers')
  expect(both.code).toBe(2)
  const port = await dev(['--port', '9999']).ended
  expect(port.stderr).toContain('--port is that of the embedded broker, and another broker is used here')
  expect(port.code).toBe(2)
})

it('stops cleanly on Ctrl-C', async () => {
  const { name, dev } = prepare()
  const cli = dev([])
  await cli.said('running; Ctrl-C ends it')
  cli.child.kill('SIGINT')
  const { code, stderr } = await cli.ended
  expect(stderr).toMatch(/stopped processed=\d+ skipped=0/)
  expect(code).toBe(0)
  expect((await judge.describeGroup(name)).members).toEqual([])
})
