// `millstream store export` and `import`: savepoints of whole applications (src/savepoint) on the command line.
import path from 'node:path'
import { nodePorts } from '../base/node-ports.ts'
import { MillstreamError } from '../errors.ts'
import { exportSavepoint } from '../savepoint/export.ts'
import { importSavepoint } from '../savepoint/import.ts'
import type { Manifest, RecordFile } from '../savepoint/manifest.ts'
import type { Topology } from '../topology/contracts.ts'
import type { CommandLine } from './arguments.ts'
import { type LoadedModule, loadModules } from './load-module.ts'
import { loadSettings } from './load-settings.ts'
import { showProgress } from './progress.ts'
import { createScreen } from './screen.ts'
import { listenForStop } from './stop-signals.ts'
import type { Terminal } from './terminal.ts'

const recordsOf = (files: readonly RecordFile[]): number =>
  files.reduce((sum, { records }) => sum + records, 0)

const summary = ({ inputs, stores, waiting }: Manifest): string => {
  const bytes = [...stores, ...waiting].reduce((sum, file) => sum + file.bytes, 0)
  return `${inputs.length} input partitions, ${recordsOf(stores)} store entries, ${recordsOf(waiting)} waiting records, ${bytes} bytes`
}

/** @throws MODULE_WITHOUT_TOPOLOGY where the module has several: a savepoint is of one application */
const onlyTopology = ({ path: file, topologies }: LoadedModule): Topology => {
  const [topology, ...others] = topologies
  if (topology !== undefined && others.length === 0) return topology
  throw new MillstreamError('MODULE_WITHOUT_TOPOLOGY', {
    what: `it has ${topologies.length} topologies (${topologies.map(({ name }) => name).join(', ')}), and a savepoint is of one`,
    where: { module: file },
    fix: 'Give a module whose default export is that topology alone; it may import it from this one.',
  })
}

/** @throws MillstreamError what exportSavepoint and importSavepoint throw */
export const store = async (
  line: CommandLine,
  createLog: (write: (text: string) => void) => Terminal,
  print: (text: string) => void,
): Promise<void> => {
  const [module] = await loadModules(line.modules)
  if (module === undefined) throw new MillstreamError('MODULE_NOT_FOUND', { what: 'no module was given' })
  const topology = onlyTopology(module)
  const settings = loadSettings(line, topology.name)
  const screen = createScreen()
  const log = createLog((text) => screen.print(text))
  const signals = listenForStop((name) => log.info('stopping', { signal: name }))
  const directory = path.resolve(line.directory ?? '')
  const onProgress = showProgress(screen, log)
  const options = { ports: nodePorts, settings, log, stop: signals.signal, directory, onProgress }
  const exporting = line.command === 'store export'
  let manifest: Manifest
  try {
    manifest = await (exporting ? exportSavepoint : importSavepoint)(topology, options)
  } finally {
    screen.close()
    signals.release()
  }
  const what = exporting
    ? `exported ${settings.applicationId} to ${directory}`
    : `imported ${directory} as ${settings.applicationId}`
  print(`${what}: ${summary(manifest)}\n`)
}
