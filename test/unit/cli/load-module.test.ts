import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModule, loadModules } from '../../../src/cli/load-module.ts'
import { ensureError } from '../../../src/errors.ts'

// Inside the project, so that 'millstream' is found as it is in a user's project, and where no other test looks.
const parent = path.resolve(import.meta.dirname, '../../../.millstream')
let folder = ''
beforeAll(() => {
  mkdirSync(parent, { recursive: true })
  folder = mkdtempSync(path.join(parent, 'modules-'))
  mkdirSync(path.join(folder, 'empty'))
  mkdirSync(path.join(folder, 'app'))
  const mirror =
    "(t) => t.stream(topic('a', { key: string, value: string })).to(topic('b', { key: string, value: string })))"
  const imports = "import { string, topic, topology } from 'millstream'\n"
  const files: Record<string, string> = {
    'good.ts': `${imports}export const extra: number = 1\nexport default topology('good', ${mirror}`,
    'app/index.ts': `${imports}export default topology('good', ${mirror}`,
    'nothing.ts': 'export {}',
    'number.ts': 'export default 42\nexport const other = 1',
    'function.ts': 'export default () => undefined',
    'named.ts': `${imports}export const mine = topology('mine', ${mirror}\nexport const other = 1`,
    'no-package.ts': "import 'no-such-package-anywhere'",
    'no-file.ts': "import './deeper.ts'",
    'deeper.ts': "import './not-there.ts'",
    'several.ts': `${imports}export default ['one', 'two'].map((name) => topology(name, ${mirror})`,
    'mixed.ts': `${imports}export default [topology('one', ${mirror}, { name: 'two' }]`,
    'twice.ts': `${imports}export default ['one', 'one'].map((name) => topology(name, ${mirror})`,
    'other-two.ts': `${imports}export default topology('two', ${mirror}`,
    'none.ts': 'export default []',
    'throws.ts': "throw new TypeError('not today')",
    'lost.ts': `${imports}export default topology('lost', (t) => void t.stream(topic('a', { key: string, value: string })).filter(() => true))`,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text)
  symlinkSync(path.join(folder, 'good.ts'), path.join(folder, 'link.ts'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const failure = async (name: string): Promise<string> => {
  try {
    await loadModule(path.join(folder, name))
  } catch (error) {
    return ensureError(error).message
  }
  throw new Error('it was loaded')
}

describe('loadModule', () => {
  it('takes the default export', async () => {
    const module = await loadModule(path.join(folder, 'good.ts'))
    expect(module.topologies.map(({ name }) => name)).toEqual(['good'])
    expect(module.exports.extra).toBe(1)
  })

  it('follows links and finds the index of a folder', async () => {
    const real = realpathSync(folder)
    expect((await loadModule(path.join(folder, 'link.ts'))).path).toBe(path.join(real, 'good.ts'))
    expect((await loadModule(path.join(folder, 'app'))).path).toBe(path.join(real, 'app/index.ts'))
  })

  it.each([
    ['nope.ts', /^MODULE_NOT_FOUND: there is no such file \(module .*nope\.ts\)/],
    ['empty', /^MODULE_NOT_FOUND: the folder holds none of index\.ts/],
    [
      'nothing.ts',
      /^MODULE_WITHOUT_TOPOLOGY: there is no default export; it exports nothing \(module .*nothing\.ts\)/,
    ],
    ['number.ts', /^MODULE_WITHOUT_TOPOLOGY: the default export is a number; it also exports other/],
    [
      'function.ts',
      /^MODULE_WITHOUT_TOPOLOGY: the default export is a function.*Write: export default topology/,
    ],
    [
      'named.ts',
      /^MODULE_WITHOUT_TOPOLOGY: there is no default export; it exports mine, other.*mine is a topology/,
    ],
    [
      'mixed.ts',
      /^MODULE_WITHOUT_TOPOLOGY: element 1 of its default export is an object that is no topology \(module .*mixed\.ts\)/,
    ],
    ['none.ts', /^MODULE_WITHOUT_TOPOLOGY: the default export is an empty array/],
    ['twice.ts', /^TOPOLOGY_INVALID: two topologies are named one \(module .*twice\.ts\)/],
    ['no-package.ts', /^MODULE_NOT_FOUND: .*no-such-package-anywhere/],
    ['no-file.ts', /^MODULE_NOT_FOUND: .*not-there\.ts/],
    ['throws.ts', /^MODULE_NOT_FOUND: it threw while it was loaded: not today \(module .*throws\.ts/],
    ['lost.ts', /^TOPOLOGY_INVALID: .*leads nowhere.*\(module .*lost\.ts/],
  ])('refuses %s', async (name, expected) => {
    expect(await failure(name)).toMatch(expected)
  })
})

describe('loadModules', () => {
  it('takes all topologies of an array, and holds their names against those of other modules', async () => {
    const [module] = await loadModules([path.join(folder, 'several.ts')])
    expect(module?.topologies.map(({ name }) => name)).toEqual(['one', 'two'])
    const both = ['several.ts', 'other-two.ts'].map((name) => path.join(folder, name))
    await expect(loadModules(both)).rejects.toThrow('TOPOLOGY_INVALID: two topologies are named two')
  })

  it('refuses two topologies of one name', async () => {
    const modules = [path.join(folder, 'good.ts'), path.join(folder, 'app')]
    await expect(loadModules(modules)).rejects.toThrow('TOPOLOGY_INVALID: two topologies are named good')
  })
})
