// Loads the modules that the user names and takes their topologies. Every way in which that goes wrong has an error
// that names the module, and inside of it the import, that is at fault.
import { realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import type { Topology } from '../topology/contracts.ts'
import { isTopology, refuseSameNames } from '../topology/topology.ts'

export interface LoadedModule {
  /** Absolute, links followed. */
  readonly path: string
  /** One, or those of the array that it exports; at least one. */
  readonly topologies: readonly Topology[]
  /** All that it exports. */
  readonly exports: Readonly<Record<string, unknown>>
}

const indexNames = ['index.ts', 'index.mts', 'index.js', 'index.mjs']

const isFile = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isFile() ?? false

/**
 * The file behind the name: links are followed, since Node strips no types from what lies below node_modules.
 * @throws MillstreamError MODULE_NOT_FOUND
 */
export const locate = (given: string): string => {
  const wanted = given.startsWith('file:') ? fileURLToPath(given) : path.resolve(given)
  const file = [wanted, ...indexNames.map((name) => path.join(wanted, name))].find(isFile)
  if (file !== undefined) return realpathSync(file)
  const isDirectory = statSync(wanted, { throwIfNoEntry: false }) !== undefined
  throw new MillstreamError('MODULE_NOT_FOUND', {
    what: isDirectory ? `the folder holds none of ${indexNames.join(', ')}` : 'there is no such file',
    where: { module: wanted },
    fix: 'Give the path of a TypeScript or JavaScript module, with its extension.',
  })
}

const shortPath = (file: string): string => {
  const relative = path.relative(process.cwd(), file)
  return relative.startsWith('..') ? file : relative
}

/** What Node says of an import that it cannot resolve, as a sentence and a way out. */
const explainImport = (error: Error & { code?: string }): { what: string; fix: string } | undefined => {
  const [, kind, name = '', importer = ''] =
    /Cannot find (module|package) '(.+?)'(?: imported from (.+))?/.exec(error.message) ?? []
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || kind === undefined) return undefined
  const from = importer === '' ? '' : ` (imported by ${shortPath(importer)})`
  return kind === 'package'
    ? {
        what: `its import of the package ${name} cannot be found${from}`,
        fix: `Install it: npm install ${name}`,
      }
    : {
        what: `its import of ${shortPath(name)} cannot be found${from}`,
        fix: 'Correct the path; imports carry the extension of the file (.ts, .js).',
      }
}

/** Node prints the place of a syntax error in front of the stack: `file:///path:12`. */
const syntaxPlace = (error: Error): string | undefined => {
  const [first = ''] = error.stack?.split('\n') ?? []
  const [, url, line] = /^(file:.+?):(\d+)$/.exec(first.trim()) ?? []
  return url === undefined ? undefined : `${shortPath(fileURLToPath(url))}:${line}`
}

const importFailure = (file: string, thrown: unknown): MillstreamError => {
  if (isMillstreamError(thrown)) return thrown.relocated({ module: shortPath(file) })
  const error = ensureError(thrown) as Error & { code?: string }
  const where = { module: shortPath(file) }
  const unresolved = explainImport(error)
  if (unresolved !== undefined) return new MillstreamError('MODULE_NOT_FOUND', { ...unresolved, where })
  if (error.code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return new MillstreamError('MODULE_NOT_FOUND', {
      what: `Node ${process.version} cannot run it: ${error.message}`,
      where,
      fix: 'TypeScript runs on Node 22.18 or later; else compile the module to JavaScript.',
      cause: error,
    })
  }
  const place = error instanceof SyntaxError ? syntaxPlace(error) : undefined
  return new MillstreamError('MODULE_NOT_FOUND', {
    what:
      error instanceof SyntaxError
        ? `it cannot be read: ${error.message}`
        : `it threw while it was loaded: ${error.message}`,
    where: { ...where, at: place },
    cause: error,
  })
}

const kindOf = (value: unknown): string => {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array'
  if (typeof value === 'function') return value.toString().startsWith('class') ? 'a class' : 'a function'
  return typeof value === 'object' ? 'an object that is no topology' : `a ${typeof value}`
}

const withoutTopology = (file: string, exports: Readonly<Record<string, unknown>>): MillstreamError => {
  const names = Object.keys(exports).filter((name) => name !== 'default')
  const named = names.find((name) => isTopology(exports[name]))
  const others = names.length === 0 ? 'it exports nothing else' : `it also exports ${names.join(', ')}`
  const what = Object.hasOwn(exports, 'default')
    ? `the default export is ${kindOf(exports['default'])}`
    : `there is no default export; ${names.length === 0 ? 'it exports nothing' : `it exports ${names.join(', ')}`}`
  return new MillstreamError('MODULE_WITHOUT_TOPOLOGY', {
    what: Object.hasOwn(exports, 'default') && named === undefined ? `${what}; ${others}` : what,
    where: { module: shortPath(file) },
    fix:
      named === undefined
        ? "Write: export default topology('name', (t) => { ... }), or an array of topologies."
        : `${named} is a topology: make it the default export (export default ${named}).`,
  })
}

/** A topology, or those of an array; none, where it is neither. @throws MODULE_WITHOUT_TOPOLOGY where an array has something else in it */
const topologiesIn = (file: string, value: unknown): readonly Topology[] => {
  if (isTopology(value)) return [value]
  if (!Array.isArray(value)) return []
  const stranger = value.findIndex((one) => !isTopology(one))
  if (stranger < 0) return value as Topology[]
  throw new MillstreamError('MODULE_WITHOUT_TOPOLOGY', {
    what: `element ${stranger} of its default export is ${kindOf(value[stranger])}`,
    where: { module: shortPath(file) },
    fix: 'An array that is the default export holds topologies only.',
  })
}

/**
 * Loads a module and takes its default export: a topology, or an array of them with different names.
 * @param url of it, where it is to be imported under another one than its own
 * @throws MillstreamError MODULE_NOT_FOUND, MODULE_WITHOUT_TOPOLOGY, TOPOLOGY_INVALID (with the module)
 */
export const loadModule = async (given: string, url?: string): Promise<LoadedModule> => {
  const file = locate(given)
  let exports: Readonly<Record<string, unknown>>
  try {
    exports = (await import(url ?? pathToFileURL(file).href)) as Record<string, unknown>
  } catch (error) {
    throw importFailure(file, error)
  }
  // A CommonJS module that was compiled from `export default` has it one level deeper.
  const candidates = [
    exports['default'],
    (exports['default'] as { default?: unknown } | undefined | null)?.default,
  ]
  const topologies = candidates.map((one) => topologiesIn(file, one)).find(({ length }) => length > 0)
  if (topologies === undefined) throw withoutTopology(file, exports)
  try {
    refuseSameNames(topologies)
  } catch (error) {
    throw importFailure(file, error)
  }
  return { path: file, topologies, exports }
}

/**
 * Loads several modules, which must have topologies of different names.
 * @throws MillstreamError as loadModule, and TOPOLOGY_INVALID where two have one name
 */
export const loadModules = async (given: readonly string[]): Promise<readonly LoadedModule[]> => {
  const modules: LoadedModule[] = []
  for (const one of given) modules.push(await loadModule(one))
  refuseSameNames(modules.flatMap(({ topologies }) => topologies))
  return modules
}
