// The tidy rules: each takes files and answers with what is wrong, one line each, the place first.
import path from 'node:path'
import type { Import, Node, SourceFile } from './source-files.ts'
import { lineAt, walk } from './source-files.ts'
import {
  fileLinesMax,
  functionLinesMax,
  homeOf,
  layerOf,
  layerOfFile,
  portFiles,
  schemaLibraries,
} from './tables.ts'

const isUnder = (file: string, places: readonly string[]): boolean =>
  places.some((place) => (place.endsWith('/') ? file.startsWith(place) : file === place))

const isRelative = (specifier: string): boolean => specifier.startsWith('.')

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

const targetOf = (file: SourceFile, specifier: string): string =>
  path.posix.normalize(path.posix.join(path.posix.dirname(file.path), specifier))

const folderOf = (file: string): string => file.split('/')[1] ?? ''

const rankOf = (file: string): number | undefined => layerOfFile[file] ?? layerOf[folderOf(file)]

const layerProblem = (file: SourceFile, { specifier, line }: Import): string | undefined => {
  const target = targetOf(file, specifier)
  const place = `${file.path}:${line}`
  if (!target.startsWith('src/')) return `${place} leaves src/: ${specifier}`
  if (folderOf(target) === folderOf(file.path)) return undefined
  const from = rankOf(file.path)
  const to = rankOf(target)
  if (from === undefined) return `${file.path} lies in a folder without a layer`
  if (to === undefined) return `${place} imports ${target}, which has no layer`
  if (to < from || layerOfFile[target] === 0) return undefined
  return `${place} imports ${target}: layer ${from} imports lower layers only, not ${to}`
}

/** Imports inside src/ go to the own folder or to a lower layer. */
export const layers = (files: readonly SourceFile[]): string[] =>
  files
    .filter((file) => file.path.startsWith('src/'))
    .flatMap((file) =>
      file.imports
        .filter(({ specifier }) => isRelative(specifier))
        .flatMap((one) => layerProblem(file, one) ?? []),
    )

/** Each third-party package is imported in its home only. */
export const homes = (files: readonly SourceFile[]): string[] =>
  files
    .filter((file) => file.path.startsWith('src/'))
    .flatMap((file) =>
      file.imports.flatMap(({ specifier, line }) => {
        if (isRelative(specifier) || specifier.startsWith('node:')) return []
        const home = homeOf[packageOf(specifier)]
        if (!home) return [`${file.path}:${line} imports ${specifier}, which has no home`]
        return isUnder(file.path, home)
          ? []
          : [`${file.path}:${line} imports ${specifier} outside ${home.join(', ')}`]
      }),
    )

const portModules = new Set(
  ['child_process', 'dgram', 'dns', 'fs', 'fs/promises', 'http', 'http2', 'https', 'net', 'timers'].map(
    (name) => `node:${name}`,
  ),
)
for (const name of ['timers/promises', 'tls', 'worker_threads']) portModules.add(`node:${name}`)

const portMembers = new Set([
  'Date.now',
  'performance.now',
  'Math.random',
  'process.hrtime',
  'crypto.randomUUID',
])
const portFunctions = new Set(['setTimeout', 'setInterval', 'setImmediate', 'fetch'])

const nameOf = (node: unknown): string | undefined => {
  const { type, name } = node as Node
  return (type === 'Identifier' || type === 'PrivateIdentifier') && typeof name === 'string'
    ? name
    : undefined
}

const portUse = (node: Node): string | undefined => {
  if (node.type === 'MemberExpression' && node.computed === false) {
    const member = `${nameOf(node.object) ?? ''}.${nameOf(node.property) ?? ''}`
    return portMembers.has(member) ? member : undefined
  }
  if (node.type === 'CallExpression') {
    const callee = nameOf(node.callee)
    return callee !== undefined && portFunctions.has(callee) ? callee : undefined
  }
  const withoutArguments = (node.arguments as unknown[] | undefined)?.length === 0
  if (node.type === 'NewExpression' && nameOf(node.callee) === 'Date' && withoutArguments) return 'new Date()'
  return undefined
}

/** The clock, timers, randomness, network, disk and processes are reached through the ports of base. */
export const ports = (files: readonly SourceFile[]): string[] =>
  files
    .filter((file) => file.path.startsWith('src/') && !isUnder(file.path, portFiles))
    .flatMap((file) => {
      const found = file.imports
        .filter(({ specifier, typeOnly }) => !typeOnly && portModules.has(specifier))
        .map(({ specifier, line }) => `${file.path}:${line} imports ${specifier}: use a port of base`)
      walk(file.tree, (node) => {
        const use = portUse(node)
        if (use) found.push(`${file.path}:${lineAt(file.text, node.start)} uses ${use}: use a port of base`)
      })
      return found
    })

/** Built-in modules are named with `node:`, so that the other rules see them. */
export const nodePrefix = (files: readonly SourceFile[], builtins: readonly string[]): string[] =>
  files.flatMap((file) =>
    file.imports
      .filter(({ specifier }) => builtins.includes(specifier) && !specifier.startsWith('node:'))
      .map(({ specifier, line }) => `${file.path}:${line} imports ${specifier} without node:`),
  )

/** Public names are listed one by one. */
export const noExportAll = (files: readonly SourceFile[]): string[] =>
  files.flatMap((file) => {
    const found: string[] = []
    walk(file.tree, (node) => {
      if (node.type === 'ExportAllDeclaration')
        found.push(
          `${file.path}:${lineAt(file.text, node.start)} exports everything of a module: name what is public`,
        )
    })
    return found
  })

/** Processors are examples: they import the package, their own files and a schema library. */
export const processorImports = (files: readonly SourceFile[]): string[] =>
  files
    .filter((file) => file.path.startsWith('processors/'))
    .flatMap((file) =>
      file.imports.flatMap(({ specifier, line }) => {
        const name = packageOf(specifier)
        if (name === 'millstream' || schemaLibraries.includes(name)) return []
        if (name === 'vitest' && file.path.endsWith('.test.ts')) return []
        const own = `processors/${folderOf(file.path)}/`
        if (isRelative(specifier) && targetOf(file, specifier).startsWith(own)) return []
        return [
          `${file.path}:${line} imports ${specifier}: a processor imports 'millstream' and its own files`,
        ]
      }),
    )

const testFunctions = new Set(['describe', 'it', 'suite', 'test'])
const offSwitches = new Set(['only', 'runIf', 'skip', 'skipIf', 'todo'])

const rootName = (node: unknown): string | undefined => {
  let current = node as Node
  while (current.type === 'MemberExpression') current = current.object as Node
  return nameOf(current)
}

/** No test is switched off, and none switches off others. */
export const noSwitchedOffTests = (files: readonly SourceFile[]): string[] =>
  files
    .filter((file) => file.path.endsWith('.test.ts'))
    .flatMap((file) => {
      const found: string[] = []
      walk(file.tree, (node) => {
        const property = node.type === 'MemberExpression' ? nameOf(node.property) : undefined
        if (property === undefined || !offSwitches.has(property)) return
        if (testFunctions.has(rootName(node.object) ?? ''))
          found.push(`${file.path}:${lineAt(file.text, node.start)} has .${property}: every test runs`)
      })
      return found
    })

const functionTypes = new Set(['ArrowFunctionExpression', 'FunctionDeclaration', 'FunctionExpression'])

/** Name of each function: its own, or that of the variable, property or method that holds it. */
const functionNames = (tree: Node): Map<Node, string> => {
  const names = new Map<Node, string>()
  walk(tree, (node) => {
    const value = (node.init ?? node.value) as Node | null | undefined
    const name = nameOf(node.id ?? node.key ?? {})
    if (name === undefined) return
    if (functionTypes.has(node.type)) names.set(node, name)
    else if (value && functionTypes.has(value.type)) names.set(value, name)
  })
  return names
}

/** Files and functions stay short; in tests only files are measured, since a describe block is one function. */
export const sizes = (
  files: readonly SourceFile[],
  exceptions: Readonly<Record<string, string>>,
): string[] => {
  const unused = new Set(Object.keys(exceptions))
  const problems: string[] = []
  const measure = (key: string, lines: number, max: number): void => {
    if (lines <= max) return
    if (!unused.delete(key) && !(key in exceptions)) problems.push(`${key}: ${lines} lines, at most ${max}`)
  }
  for (const file of files) {
    measure(file.path, file.text.trimEnd().split('\n').length, fileLinesMax)
    if (file.path.startsWith('test/')) continue
    const names = functionNames(file.tree)
    walk(file.tree, (node) => {
      if (!functionTypes.has(node.type)) return
      const lines = file.text.slice(node.start, node.end).split('\n').length
      measure(
        `${file.path} ${names.get(node) ?? `line ${lineAt(file.text, node.start)}`}`,
        lines,
        functionLinesMax,
      )
    })
  }
  return [...problems, ...[...unused].map((key) => `${key}: within the limit, remove the exception`)]
}

export interface TextFile {
  readonly path: string
  readonly text: string
}

const findLines = (files: readonly TextFile[], pattern: RegExp, what: string): string[] =>
  files.flatMap((file) =>
    file.text
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file.path}:${index + 1} ${what}: ${line.trim()}`] : [],
      ),
  )

/** Nothing is left for later. The words are put together here, so that this file does not hold them. */
export const noLeftovers = (files: readonly TextFile[]): string[] =>
  findLines(files, new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`), 'leaves work')

/** Files speak of the product, never of a machine: no absolute path of a home, a work folder or a scratch folder. */
export const noMachinePaths = (files: readonly TextFile[]): string[] =>
  findLines(
    files,
    /(?<![\w.$}-])\/(work|farm|root|home\/\w+|Users\/\w+|var\/folders)\//,
    'names a machine',
  ).concat(
    findLines(
      files.filter(({ path: file }) => /^(src|test|bench|tools|processors)\//.test(file)),
      /(?<![\w.$}-])\/tmp\//,
      'names a scratch folder (os.tmpdir() knows it)',
    ),
  )

/** Registries are a matter of the user's npm settings. */
export const noRegistries = (files: readonly TextFile[]): string[] =>
  findLines(
    files,
    /"resolved": "[h]ttp|\bregistry\.(?:npmjs|yarnpkg)\b|\brepo1?\.maven\.apache\b/,
    'names a registry',
  )

interface Lockfile {
  readonly packages: Readonly<
    Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >
}

/**
 * The lockfile names the binaries of every platform. `npm install` leaves out those that its registry does not have,
 * and from then on `npm ci` refuses the lockfile everywhere.
 */
export const completeLockfile = (lockfile: Lockfile): string[] =>
  Object.entries(lockfile.packages).flatMap(([place, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !(`${place}/node_modules/${name}` in lockfile.packages))
      .filter((name) => !(`node_modules/${name}` in lockfile.packages))
      .map((name) => `package-lock.json: ${name} is missing (an optional dependency of ${place})`),
  )
