// `millstream members` and `millstream store` as their users run them: processes of their own, also ones that are killed.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli, startCli, temporaryFolder, testModule } from '../support/cli.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'

const words = testModule('words.ts')
let judge: Judge
beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})
afterAll(() => judge?.stop())

const brokers = (): string[] => ['--brokers', kafkaBrokers().join(',')]

const lastCounts = async (name: string): Promise<Record<string, number>> => {
  const { records } = await judge.dump(`${name}-counts`)
  return Object.fromEntries(
    records.map(({ key, value }) => [key?.toString(), Number(value?.readBigInt64BE())]),
  )
}

interface Stopped {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly run: (...args: string[]) => Promise<Awaited<ReturnType<typeof runCli>>>
}

/** A word count that ran as instance `words-3`, was stopped by a signal, and so is still in its group. */
const stoppedWordCount = async (): Promise<Stopped> => {
  const name = uniqueTopic('cli-savepoint')
  await judge.createTopics(
    { name: `${name}-lines`, partitions: 2 },
    { name: `${name}-counts`, partitions: 2 },
  )
  await judge.produce(`${name}-lines`, [{ key: '1', value: 'a b a' }])
  const env = { TEST_NAME: name }
  const args = ['run', words, ...brokers(), '--state-dir', temporaryFolder(), '--instance-id', 'words-3']
  const worker = startCli(args, { env })
  await expect.poll(() => lastCounts(name), { timeout: 30_000 }).toEqual({ a: 2, b: 1 })
  worker.child.kill('SIGTERM')
  expect((await worker.ended).code).toBe(0)
  return { name, env, run: (...given) => runCli([...given, ...brokers()], { env }) }
}

describe('millstream members', () => {
  it('lists who is in the group with the tasks of each, and takes out instances that are gone', async () => {
    const { name, run } = await stoppedWordCount()
    const group = ['--application-id', name]
    const { code, stdout } = await run('members', 'list', ...group)
    expect(code).toBe(0)
    expect(stdout).toContain(`group ${name}: Stable, 1 member\n`)
    // Of a broker in a container it is the bridge.
    const host = (await judge.describeGroup(name)).members[0]?.host.slice(1) ?? ''
    expect(host).toMatch(/^\d+(\.\d+){3}$/)
    const row = new RegExp(
      `^words-3 +words-3-\\S+ +\\S+ +${host.replaceAll('.', '\\.')} +Stable +0_0 0_1 1_0 1_1$`,
      'm',
    )
    expect(stdout).toMatch(row)
    const json = await run('members', 'list', '--json', ...group)
    expect(JSON.parse(json.stdout)).toMatchObject({
      group: name,
      state: 'Stable',
      members: [{ instance: 'words-3', client: name, tasks: ['0_0', '0_1', '1_0', '1_1'] }],
    })

    const stranger = await run('members', 'remove', 'words-3', 'words-9', ...group)
    expect(stranger).toMatchObject({ code: 1, stdout: '' })
    expect(stranger.stderr).toMatch(/MEMBER_UNKNOWN\n.*words-9/)
    expect(stranger.stderr).toContain('Its instances: words-3. Nothing was removed.')
    expect(await run('members', 'remove', '--missing-from', '4', ...group)).toMatchObject({
      code: 0,
      stdout: 'nothing to remove\n',
    })
    expect(await run('members', 'remove', '--missing-from', '3', ...group)).toMatchObject({
      code: 0,
      stdout: 'removed words-3\n',
    })
    const empty = await run('members', 'list', ...group)
    expect(empty.stdout).toBe(`group ${name}: Empty, 0 members\n`)
    expect((await judge.describeGroup(name)).members).toEqual([])
  })

  it('tells what is missing with 2', async () => {
    const { code, stderr } = await runCli(['members', 'list', ...brokers()])
    expect(code).toBe(2)
    expect(stderr).toContain('applicationId is missing')
    const nobody = await runCli(['members', 'remove', '--application-id', 'none', ...brokers()])
    expect(nobody.code).toBe(2)
    expect(nobody.stderr).toContain('no member to remove was named')
    const strange = await runCli(['members', 'remove', '--missing-from', 'x'])
    expect(strange.code).toBe(2)
  })
})

describe('millstream store', () => {
  it('exports, imports after a crash of the import at any place, and the copy goes on', async () => {
    const { name, env, run } = await stoppedWordCount()
    const directory = path.join(temporaryFolder(), 'savepoint')
    const refused = await run('store', 'export', words, '--to', directory)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/GROUP_ACTIVE\n.*words-3/)
    expect(refused.stderr).toContain('millstream members remove')
    expect(existsSync(path.join(directory, 'savepoint.json'))).toBe(false)
    await run('members', 'remove', 'words-3', '--application-id', name)
    const exported = await run('store', 'export', words, '--to', directory)
    expect(exported.stdout).toMatch(
      /^exported \S+ to \S+: 4 input partitions, 2 store entries, 0 waiting records, /,
    )
    expect(exported.code).toBe(0)

    const copy = `${name}-copy`
    const into = ['store', 'import', words, '--from', directory, '--application-id', copy]
    for (const point of ['after-produce', 'before-offset-commit', 'after-offset-commit', 'before-end-txn']) {
      const killed = await runCli([...into, ...brokers()], {
        env: { ...env, MILLSTREAM_FAULT: `${point}:1:kill` },
      })
      expect(killed.code, point).toBe(137)
      expect((await judge.groupOffsets(copy)).map(({ offset }) => offset)).toEqual([])
    }
    const imported = await run(...into)
    expect(imported.stderr).not.toContain('error')
    expect(imported).toMatchObject({ code: 0 })
    expect(imported.stdout).toContain(`as ${copy}: 4 input partitions, 2 store entries`)
    const twice = await run(...into)
    expect(twice.code).toBe(1)
    expect(twice.stderr).toContain('APPLICATION_NOT_EMPTY')

    await judge.produce(`${name}-lines`, [{ key: '2', value: 'b c' }])
    const worker = startCli(
      ['run', words, ...brokers(), '--state-dir', temporaryFolder(), '--application-id', copy],
      { env },
    )
    await expect.poll(() => lastCounts(name), { timeout: 30_000 }).toEqual({ a: 2, b: 2, c: 1 })
    worker.child.kill('SIGTERM')
    expect((await worker.ended).code).toBe(0)
  })

  it('knows an import that was committed and not answered', async () => {
    const { name, env, run } = await stoppedWordCount()
    await run('members', 'remove', 'words-3', '--application-id', name)
    const directory = path.join(temporaryFolder(), 'savepoint')
    await run('store', 'export', words, '--to', directory)
    const into = ['store', 'import', words, '--from', directory, '--application-id', `${name}-copy`]
    const killed = await runCli([...into, ...brokers()], {
      env: { ...env, MILLSTREAM_FAULT: 'end-txn-acked:1:kill' },
    })
    expect(killed.code).toBe(137)
    const again = await run(...into)
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('APPLICATION_NOT_EMPTY')
    expect(again.stderr).toContain('was imported already')
  })

  it('tells what is missing with 2', async () => {
    expect((await runCli(['store', 'export', words, ...brokers()])).code).toBe(2)
    expect((await runCli(['store', 'import', ...brokers(), '--from', 'x'])).stderr).toContain(
      'a module is missing: millstream store import MODULE',
    )
  })
})
