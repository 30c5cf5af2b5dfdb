// Settings as the command line finds them: flags, environment, settings file.
import path from 'node:path'
import process from 'node:process'
import { nodePorts } from '../base/node-ports.ts'
import {
  type ResolveOptions,
  resolveSettings,
  type SettingsInput,
  type SettingsSources,
} from '../config/settings.ts'
import { defaultSettingsFile, parseSettingsFile } from '../config/settings-file.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError, MillstreamError } from '../errors.ts'

type SettingsFile = NonNullable<SettingsSources['file']>

const readFile = (file: string): string | undefined => {
  try {
    return nodePorts.disk.readText(file)
  } catch (error) {
    throw new MillstreamError('SETTING_INVALID', {
      what: `the settings file cannot be read: ${ensureError(error).message}`,
      where: { file },
      cause: error,
    })
  }
}

/**
 * The settings file: the one named (--config, MILLSTREAM_CONFIG), which must exist, else millstream.yaml where it exists.
 * @throws MillstreamError SETTING_INVALID
 */
const findFile = (named: string | undefined, folder: string): SettingsFile | undefined => {
  const file = path.resolve(folder, named ?? defaultSettingsFile)
  const text = readFile(file)
  if (text !== undefined)
    return { path: path.basename(file), values: parseSettingsFile(path.basename(file), text) }
  if (named === undefined) return undefined
  throw new MillstreamError('SETTING_INVALID', {
    what: 'the settings file does not exist',
    where: { file },
    fix: 'Correct --config.',
  })
}

export interface SettingsRequest extends ResolveOptions {
  readonly flags: Readonly<Record<string, unknown>>
  /** Of --config. */
  readonly config: string | undefined
  /** What the command supplies where no source has it. */
  readonly given?: SettingsInput | undefined
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly folder?: string
}

/**
 * The settings of a worker of this topology.
 * @throws MillstreamError SETTING_INVALID with every mistake at once
 */
export const loadSettings = (request: SettingsRequest, topologyName: string): WorkerSettings => {
  const { flags, config, given, environment = process.env, folder = process.cwd(), ...options } = request
  const file = findFile(config ?? environment['MILLSTREAM_CONFIG'], folder)
  return resolveSettings({ flags, environment, file, given }, topologyName, options)
}
