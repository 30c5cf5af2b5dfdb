// The topologies of the modules that a command was given, each with the settings under which it runs.
import type { WorkerSettings } from '../config/worker-settings.ts'
import { MillstreamError } from '../errors.ts'
import type { Topology } from '../topology/contracts.ts'
import type { LoadedModule } from './load-module.ts'
import type { Terminal } from './terminal.ts'

export interface Job {
  readonly topology: Topology
  readonly settings: WorkerSettings
}

/** @throws SETTING_INVALID where several would run as one application, and what `settingsOf` throws */
export const jobsOf = (
  modules: readonly LoadedModule[],
  settingsOf: (topology: string) => WorkerSettings,
): readonly Job[] => {
  const topologies = modules.flatMap((module) => module.topologies)
  const jobs = topologies.map((topology) => ({ topology, settings: settingsOf(topology.name) }))
  const ids = jobs.map(({ settings }) => settings.applicationId)
  const shared = ids.find((id, index) => ids.indexOf(id) !== index)
  if (shared === undefined) return jobs
  throw new MillstreamError('SETTING_INVALID', {
    what: `several topologies would run as the application ${shared}`,
    where: { setting: 'applicationId' },
    fix: 'An application id belongs to one topology: run them apart, or leave it out, so that each uses its own name.',
  })
}

/** Log lines of one of several workers say which one it is. */
export const logOf = (log: Terminal, { topology }: Job, among: readonly Job[]): Terminal => {
  if (among.length === 1) return log
  const name = { topology: topology.name }
  return {
    ...log,
    debug: (text, fields) => log.debug(text, { ...name, ...fields }),
    info: (text, fields) => log.info(text, { ...name, ...fields }),
    warn: (text, fields) => log.warn(text, { ...name, ...fields }),
    error: (text, fields) => log.error(text, { ...name, ...fields }),
  }
}
