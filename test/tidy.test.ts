// The rules of the project that no linter knows, held by a test: import direction, homes of packages, ports, sizes,
// docs equal to code. Each rule is also shown a file that breaks it, so that a rule that sees nothing is noticed.
import { existsSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { generatedPages } from '../tools/generated-pages.ts'
import * as rules from './tidy/rules.ts'
import { listFiles, parseSource, readSources } from './tidy/source-files.ts'
import { sizeExceptions } from './tidy/tables.ts'

const root = path.dirname(import.meta.dirname)
const code = readSources(root, ['{src,processors,bench,tools,test}/**/*.{ts,mjs}', '*.ts'])
const texts = listFiles(root, [
  '{src,processors,bench,tools,test,docs,helm,.ci}/**/*.{ts,mjs,js,java,xml,md,yaml,yml,json,tpl,txt,sh}',
  '{*,.*}.{ts,md,json,yml,yaml}',
  'Dockerfile',
  '.ci/run',
])
  .filter((file) => file !== 'package-lock.json')
  .map((file) => ({ path: file, text: readFileSync(path.join(root, file), 'utf8') }))

const inFile = (file: string, text: string) => [parseSource(file, text)]

describe('the project', () => {
  it('is seen by the rules', () => {
    const folders = new Set(code.map((file) => file.path.split('/')[0]))
    expect([...folders]).toEqual(expect.arrayContaining(['src', 'test', 'tools']))
    expect(code.length).toBeGreaterThan(40)
    expect(texts.some((file) => file.path === 'package.json')).toBe(true)
  })

  it('imports lower layers only', () => {
    expect(rules.layers(code)).toEqual([])
  })

  it('imports each third-party package in its home only', () => {
    expect(rules.homes(code)).toEqual([])
  })

  it('reaches the machine through ports only', () => {
    expect(rules.ports(code)).toEqual([])
  })

  it('names built-in modules with node:', () => {
    expect(rules.nodePrefix(code, builtinModules)).toEqual([])
  })

  it('exports by name', () => {
    expect(rules.noExportAll(code)).toEqual([])
  })

  it('has processors that import the package and their own files', () => {
    expect(rules.processorImports(code)).toEqual([])
  })

  it('runs every test', () => {
    expect(rules.noSwitchedOffTests(code)).toEqual([])
  })

  it('has short files and functions', () => {
    expect(rules.sizes(code, sizeExceptions)).toEqual([])
  })

  it('leaves no work behind', () => {
    expect(rules.noLeftovers(texts)).toEqual([])
  })

  it('names no machine and no registry', () => {
    expect(rules.noMachinePaths(texts)).toEqual([])
    const lockfile = {
      path: 'package-lock.json',
      text: readFileSync(path.join(root, 'package-lock.json'), 'utf8'),
    }
    expect(rules.noRegistries([...texts, lockfile])).toEqual([])
  })

  it('has a lockfile that names the binaries of every platform', () => {
    const lockfile = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'))
    expect(Object.keys(lockfile.packages).length).toBeGreaterThan(100)
    expect(rules.completeLockfile(lockfile)).toEqual([])
  })

  it('has the generated pages that its code asks for', async () => {
    for (const page of await generatedPages()) {
      const file = path.join(root, page.path)
      expect(existsSync(file) ? readFileSync(file, 'utf8') : '', `${page.path}: run npm run docs`).toBe(
        page.text,
      )
    }
  })
})

describe('each rule sees what breaks it', () => {
  const breaks: readonly (readonly [string, string[], string])[] = [
    [
      'a lower layer that imports a higher one',
      rules.layers(inFile('src/record/a.ts', "import { b } from '../client/b.ts'")),
      'src/record/a.ts:1 imports src/client/b.ts',
    ],
    [
      'a layer that imports its neighbour, in a type only',
      rules.layers(inFile('src/state/a.ts', "\nexport type { B } from '../client/b.ts'")),
      'src/state/a.ts:2 imports src/client/b.ts',
    ],
    [
      'a dynamic import of the public entry',
      rules.layers(inFile('src/cli/a.ts', "await import('../index.ts')")),
      'src/cli/a.ts:1 imports src/index.ts',
    ],
    ['testing that imports cli', rules.layers(inFile('src/testing/a.ts', "import '../cli/b.ts'")), 'layer 7'],
    [
      'a folder without a layer',
      rules.layers(inFile('src/other/a.ts', "import '../base/b.ts'")),
      'without a layer',
    ],
    [
      'an import out of src',
      rules.layers(inFile('src/base/a.ts', "import '../../test/b.ts'")),
      'leaves src/',
    ],
    [
      'a package outside its home',
      rules.homes(inFile('src/runtime/a.ts', "import { Kafka } from 'kafkajs'")),
      'outside src/client/connection.ts',
    ],
    [
      'a deep import outside the home',
      rules.homes(inFile('src/runtime/a.ts', "import 'kafkajs/src/broker/index.js'")),
      'outside src/client/connection.ts',
    ],
    ['a package without a home', rules.homes(inFile('src/base/a.ts', "import x from 'left-pad'")), 'no home'],
    [
      'the clock',
      rules.ports(inFile('src/task/a.ts', 'export const now = () => Date.now()')),
      'uses Date.now',
    ],
    [
      'the monotonic clock',
      rules.ports(inFile('src/task/a.ts', 'performance.now()')),
      'uses performance.now',
    ],
    ['a date of now', rules.ports(inFile('src/task/a.ts', 'export const d = new Date()')), 'uses new Date()'],
    ['a timer', rules.ports(inFile('src/task/a.ts', 'setTimeout(() => {}, 1)')), 'uses setTimeout'],
    ['an interval', rules.ports(inFile('src/task/a.ts', 'setInterval(() => {}, 1)')), 'uses setInterval'],
    ['an immediate', rules.ports(inFile('src/task/a.ts', 'setImmediate(() => {})')), 'uses setImmediate'],
    [
      'randomness',
      rules.ports(inFile('src/task/a.ts', 'export const r = Math.random()')),
      'uses Math.random',
    ],
    ...['net', 'tls', 'fs', 'child_process', 'fs/promises', 'timers/promises'].map(
      (name) =>
        [
          `node:${name}`,
          rules.ports(inFile('src/state/a.ts', `import x from 'node:${name}'`)),
          `imports node:${name}`,
        ] as const,
    ),
    ['a bare built-in', rules.nodePrefix(inFile('src/a.ts', "import 'fs'"), builtinModules), 'without node:'],
    ['export *', rules.noExportAll(inFile('src/index.ts', "export * from './a.ts'")), 'exports everything'],
    [
      'a processor that imports the sources',
      rules.processorImports(inFile('processors/x/index.ts', "import '../../src/index.ts'")),
      'processors/x/index.ts:1',
    ],
    [
      'a processor that imports a test library',
      rules.processorImports(inFile('processors/x/index.ts', "import 'vitest'")),
      'processors/x/index.ts:1',
    ],
    [
      'a processor that imports its neighbour',
      rules.processorImports(inFile('processors/x/index.ts', "import '../y/index.ts'")),
      'processors/x/index.ts:1',
    ],
    ...['it.skip', 'test.only', 'describe.todo', 'it.concurrent.skip', 'it.skipIf(true)'].map(
      (call) =>
        [
          call,
          rules.noSwitchedOffTests(inFile('test/unit/a.test.ts', `${call}('x', () => {})`)),
          'every test runs',
        ] as const,
    ),
    [
      'a long file',
      rules.sizes(inFile('src/base/a.ts', 'a()\n'.repeat(501)), {}),
      'src/base/a.ts: 501 lines',
    ],
    [
      'a long function',
      rules.sizes(inFile('src/base/a.ts', `const long = () => {\n${'a()\n'.repeat(69)}}`), {}),
      'src/base/a.ts long: 71 lines',
    ],
    [
      'a long method',
      rules.sizes(inFile('src/base/a.ts', `class A {\n  long() {\n${'a()\n'.repeat(69)}}\n}`), {}),
      'src/base/a.ts long: 71 lines',
    ],
    [
      'an exception that nothing needs',
      rules.sizes(inFile('src/base/a.ts', 'a()'), { 'src/base/a.ts': 'reason' }),
      'remove the exception',
    ],
    [
      'work left',
      rules.noLeftovers([{ path: 'src/a.ts', text: `// ${'TO'}DO later` }]),
      'src/a.ts:1 leaves work',
    ],
    ['a machine', rules.noMachinePaths([{ path: 'docs/a.md', text: `see /${'work'}/x` }]), 'names a machine'],
    [
      'a scratch folder',
      rules.noMachinePaths([{ path: 'src/a.ts', text: `'/${'tmp'}/x'` }]),
      'names a scratch',
    ],
    [
      'a registry in the lockfile',
      rules.noRegistries([{ path: 'package-lock.json', text: `"resolved": "${'http'}s://host/x.tgz"` }]),
      'names a registry',
    ],
    [
      'a lockfile made for one platform',
      rules.completeLockfile({
        packages: {
          'node_modules/a': { optionalDependencies: { 'a-linux': '1.0.0', 'a-darwin': '1.0.0' } },
          'node_modules/a-linux': {},
        },
      }),
      'a-darwin is missing',
    ],
  ]

  it.each(breaks)('%s', (_what, problems, expected) => {
    expect(problems.join('\n')).toContain(expected)
    expect(problems).toHaveLength(1)
  })

  it('and lets through what is right', () => {
    const good = inFile(
      'src/client/good.ts',
      "import type net from 'node:net'\nimport { a } from '../base/a.ts'\nimport { b } from './b.ts'\nimport { c } from '../errors.ts'\nexport const d = (): Date => new Date(1)\n",
    )
    expect(rules.layers(good)).toEqual([])
    expect(rules.ports(good)).toEqual([])
    expect(rules.homes(good)).toEqual([])
    expect(rules.homes(inFile('src/client/connection.ts', "import 'kafkajs/src/cluster/index.js'"))).toEqual(
      [],
    )
    expect(rules.ports(inFile('src/base/node-ports.ts', 'Date.now()'))).toEqual([])
    expect(
      rules.processorImports(
        inFile('processors/x/index.ts', "import 'millstream'\nimport 'zod'\nimport './y.ts'"),
      ),
    ).toEqual([])
    expect(
      rules.processorImports(
        inFile('processors/x/x.test.ts', "import 'millstream/testing'\nimport 'vitest'\nimport './index.ts'"),
      ),
    ).toEqual([])
    expect(rules.sizes(inFile('src/a.ts', 'a()\n'.repeat(500)), {})).toEqual([])
    expect(rules.sizes(inFile('src/a.ts', 'a()\n'.repeat(501)), { 'src/a.ts': 'a reason' })).toEqual([])
  })
})
