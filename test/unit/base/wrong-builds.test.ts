import { afterEach, expect, it, vi } from 'vitest'
import * as publicApi from '../../../src/index.ts'
import { KeptLog } from '../../support/worker.ts'

const load = async (environment: Readonly<Record<string, string>>) => {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  vi.resetModules()
  const builds = await import('../../../src/base/wrong-builds.ts')
  const { invariant } = await import('../../../src/base/assert.ts')
  const log = new KeptLog()
  return {
    ...builds,
    log,
    names: Object.keys(builds.wrongBuilds) as (keyof typeof builds.wrongBuilds)[],
    broken: (): void => invariant(false, 'nothing holds'),
  }
}

afterEach(() => {
  vi.unstubAllEnvs()
  vi.resetModules()
})

it('is the right build, with its assertions, unless it is told otherwise', async () => {
  const { names, wrong, broken, announceWrongBuild, log } = await load({ MILLSTREAM_ASSERTIONS: 'off' })
  expect(names.length).toBeGreaterThan(14)
  expect(names.filter((name) => wrong(name))).toEqual([])
  expect(broken).toThrow('INVARIANT_BROKEN')
  announceWrongBuild(log)
  expect(log.lines).toEqual([])
})

it('is one wrong build by the environment, and says so', async () => {
  const { names, wrong, broken, announceWrongBuild, log } = await load({
    MILLSTREAM_WRONG_BUILD: 'no-generation',
  })
  expect(names.filter((name) => wrong(name))).toEqual(['no-generation'])
  expect(broken).toThrow('INVARIANT_BROKEN')
  announceWrongBuild(log)
  expect(log.lines).toMatchObject([
    { level: 'warn', fields: { wrongBuild: 'no-generation', assertions: 'on' } },
  ])
})

it('has no assertions when both variables say so', async () => {
  const { broken, announceWrongBuild, log } = await load({
    MILLSTREAM_WRONG_BUILD: 'no-generation',
    MILLSTREAM_ASSERTIONS: 'off',
  })
  expect(broken).not.toThrow()
  announceWrongBuild(log)
  expect(log.lines).toMatchObject([{ level: 'warn', fields: { assertions: 'off' } }])
})

it('refuses to start under a name that is none', async () => {
  const { names, wrong, announceWrongBuild, log } = await load({ MILLSTREAM_WRONG_BUILD: 'no-genration' })
  expect(names.filter((name) => wrong(name))).toEqual([])
  expect(() => announceWrongBuild(log)).toThrow(/no-genration.*no-generation/)
})

it('cannot be chosen through the public API', async () => {
  const { setWrongBuild } = await load({})
  expect(Object.values<unknown>(publicApi)).not.toContain(setWrongBuild)
  expect(Object.keys(publicApi).filter((name) => /wrong/i.test(name))).toEqual([])
})
