import { spawn } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../../support/cli.ts'

const root = path.resolve(import.meta.dirname, '../../..')

/** A project of a user, with a way to write its files. */
const project = () => {
  const folder = temporaryFolder()
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(root, path.join(folder, 'node_modules', 'millstream'))
  const write = (name: string, text: string): void => {
    // As editors do: nobody sees half of it.
    writeFileSync(path.join(folder, 'next'), text)
    renameSync(path.join(folder, 'next'), path.join(folder, name))
  }
  const remove = (name: string): void => rmSync(path.join(folder, name))
  /** What each load comes to: the name of the topology, or the error. */
  const watch = (name: string): AsyncIterator<string> => {
    const program = path.join(root, 'test/support/watch-names.ts')
    const child = spawn(
      process.execPath,
      ['--conditions=millstream-source', program, path.join(folder, name)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    return createInterface(child.stdout)[Symbol.asyncIterator]()
  }
  return { write, remove, watch }
}

const body =
  "topology(name, (t) => { t.stream(topic('a', { key: string, value: string })).to(topic('b', { key: string, value: string })) })"

const sources = {
  'index.mjs': `import { string, topic, topology } from 'millstream'\nimport { name } from './name.mjs'\nexport default ${body}\n`,
  'name.mjs': (name: string) => `export const name = '${name}'\n`,
  'index.cjs': `const { string, topic, topology } = require('millstream')\nconst { name } = require('./name.cjs')\nexports.default = ${body}\n`,
  'name.cjs': (name: string) => `exports.name = '${name}'\n`,
}

const next = async (loads: AsyncIterator<string>): Promise<string> => (await loads.next()).value

/** A project whose module was loaded once, and the name that it has from its import. */
const loadedProject = async (kind: 'mjs' | 'cjs', name: string) => {
  const { write, remove, watch } = project()
  write(`index.${kind}`, sources[`index.${kind}`])
  write(`name.${kind}`, sources[`name.${kind}`](name))
  const loads = watch(`index.${kind}`)
  expect(await next(loads)).toBe(name)
  return { write, remove, loads }
}

it.each(['mjs', 'cjs'] as const)('loads a module (%s) again as often as its import changes', async (kind) => {
  const { write, loads } = await loadedProject(kind, 'one')
  for (const name of ['second', 'the-third']) {
    write(`name.${kind}`, sources[`name.${kind}`](name))
    expect(await next(loads)).toBe(name)
  }
})

it('waits for the file that an import did not find', async () => {
  const { write, watch } = project()
  write('index.mjs', sources['index.mjs'])
  const loads = watch('index.mjs')
  expect(await next(loads)).toMatch(/MODULE_NOT_FOUND: its import of .*name\.mjs cannot be found/)
  write('name.mjs', sources['name.mjs']('late'))
  expect(await next(loads)).toBe('late')
})

it('says once that the module is gone, and takes it when it is back', async () => {
  const { write, remove, loads } = await loadedProject('mjs', 'there')
  remove('index.mjs')
  expect(await next(loads)).toMatch(/MODULE_NOT_FOUND: there is no such file/)
  await sleep(700)
  write('index.mjs', sources['index.mjs'])
  expect(await next(loads)).toBe('there')
})

it('loads a file that is written piece by piece once, when it is whole', async () => {
  const { write, remove, loads } = await loadedProject('mjs', 'before')
  // Without a pause, since a pause of the machine would make it long; each piece is a module.
  let pieces = 0
  for (const until = performance.now() + 1000; performance.now() < until; )
    write('name.mjs', sources['name.mjs'](`piece-${pieces++}`))
  write('name.mjs', sources['name.mjs']('whole'))
  expect(pieces).toBeGreaterThan(2)
  expect(await next(loads)).toBe('whole')
  remove('name.mjs')
  expect(await next(loads)).toMatch(/MODULE_NOT_FOUND/)
})

it('sees the mending of a file that could not be loaded', async () => {
  const { write, loads } = await loadedProject('mjs', 'whole')
  write('name.mjs', 'export const name = (\n')
  expect(await next(loads)).toMatch(/MODULE_NOT_FOUND: it cannot be read/)
  write('name.mjs', sources['name.mjs']('whole-again'))
  expect(await next(loads)).toBe('whole-again')
})
