// `millstream store export` and `import`: savepoints of whole applications (src/savepoint) on the command line.
import path from 'node:path'
import { nodePorts } from '../base/node-ports.ts'
import { MillstreamError } from '../errors.ts'
import { exportSavepoint } from '../savepoint/export.ts'
import { importSavepoint } from '../savepoint/import.ts'
import type { Manifest, RecordFile } from '../savepoint/manifest.ts'
import type { CommandLine } from './arguments.ts'
import { loadModules } from './load-module.ts'
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

/** @throws MillstreamError what exportSavepoint and importSavepoint throw */
export const store = async (
  line: CommandLine,
  createLog: (write: (text: string) => void) => Terminal,
  print: (text: string) => void,
): Promise<void> => {
  const [module] = await loadModules(line.modules)
  if (module === undefined) throw new MillstreamError('MODULE_NOT_FOUND', { what: 'no module was given' })
  const { topology } = module
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
