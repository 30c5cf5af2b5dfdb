// Reads settings from all their sources, checks them, and makes the WorkerSettings that the runtime gets. Every
// mistake of every source is found before anything is refused, so that one start shows them all.
import type { ConnectionOptions } from 'node:tls'
import { nodePorts } from '../base/node-ports.ts'
import { ensureError, MillstreamError } from '../errors.ts'
import { relations } from './relations.ts'
import { withSecrets } from './secret.ts'
import { type Read, readFromData, readFromText, type SettingValue } from './setting.ts'
import {
  type FlatSettings,
  flagOf,
  type SettingName,
  settingNames,
  settingsTable,
  variableOf,
} from './settings-table.ts'
import { nearest } from './suggestion.ts'
import type { WorkerSettings } from './worker-settings.ts'

/** What createWorker takes: any of the settings, with `tls` and `sasl` also as objects. */
export type SettingsInput = {
  readonly [Name in Exclude<SettingName, 'tls'>]?: FlatSettings[Name] | undefined
} & {
  /** true, false, or options of Node's tls.connect. */
  readonly tls?: ConnectionOptions | boolean | undefined
  /** Instead of saslMechanism, saslUsername and saslPassword. */
  readonly sasl?: WorkerSettings['sasl']
}

export interface SettingsSources {
  /** Of the command line, by name without dashes in front: `{ 'commit-interval-ms': '50' }`. */
  readonly flags?: Readonly<Record<string, unknown>> | undefined
  /** Variables that begin with MILLSTREAM_ are looked at. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
  /** What a settings file holds, and its path for errors. */
  readonly file?: { readonly path: string; readonly values: Readonly<Record<string, unknown>> } | undefined
  /** Of the program. */
  readonly given?: SettingsInput | undefined
}

export interface ResolveOptions {
  /** Reads the files of tls*File; default: from the disk. Undefined where there is none. */
  readonly readText?: (path: string) => string | undefined
  /** Nothing will be connected: brokers may be missing. */
  readonly withoutBrokers?: boolean
}

/** Variables with our prefix that are no settings. */
const otherVariables = ['MILLSTREAM_CONFIG', 'MILLSTREAM_LOG_FORMAT', 'MILLSTREAM_FAULT']

// Kubernetes describes each Service to each pod of its namespace; for one called millstream-... these look like ours.
// One called millstream-http even takes the name of a setting (MILLSTREAM_HTTP_PORT), with an address as its value.
const ofKubernetes = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/
const addressOfKubernetes = /^(tcp|udp|sctp):\/\//

const saslParts: Readonly<Record<string, SettingName>> = {
  mechanism: 'saslMechanism',
  username: 'saslUsername',
  password: 'saslPassword',
}

/** One value as some source gives it. */
interface Entry {
  readonly name: SettingName
  /** Where it stands: a flag, a variable, a place in a file. */
  readonly place: string
  readonly read: () => Read
}

class Mistakes {
  readonly texts: string[] = []
  readonly names = new Set<string>()

  add(name: string, text: string): void {
    this.names.add(name)
    this.texts.push(text)
  }

  unknown(what: string, name: string, suggestion: string | undefined): void {
    const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`
    this.add(name, `${what} is no setting${hint}`)
  }

  throwIfAny(): void {
    if (this.texts.length === 0) return
    const [only = ''] = this.texts
    const one = this.texts.length === 1
    throw new MillstreamError('SETTING_INVALID', {
      what: one
        ? only
        : `${this.texts.length} mistakes in the settings:${this.texts.map((text) => `\n  - ${text}`).join('')}`,
      where: one ? { setting: [...this.names].join() } : {},
      fix: `${one ? '' : '\n'}docs/settings.md lists every setting with its limits.`,
    })
  }
}

const fromFlags = (flags: Readonly<Record<string, unknown>>, mistakes: Mistakes): Entry[] => {
  const byFlag = new Map(settingNames.map((name) => [flagOf(name), name]))
  return Object.entries(flags).flatMap(([flag, given]): Entry[] => {
    if (given === undefined) return []
    const place = `--${flag}`
    const name = byFlag.get(flag)
    if (name === undefined) {
      const suggestion = nearest(flag, [...byFlag.keys()])
      mistakes.unknown(place, place, suggestion && `--${suggestion}`)
      return []
    }
    if (Array.isArray(given) && settingsTable[name].type !== 'list') {
      mistakes.add(name, `${name} is given ${given.length} times (${place})`)
      return []
    }
    const text = Array.isArray(given) ? given.join(',') : String(given)
    return [{ name, place, read: () => readFromText(settingsTable[name], text) }]
  })
}

const fromEnvironment = (
  environment: Readonly<Record<string, string | undefined>>,
  mistakes: Mistakes,
): Entry[] => {
  const byVariable = new Map(settingNames.map((name) => [variableOf(name), name]))
  return Object.entries(environment).flatMap(([variable, given]): Entry[] => {
    if (given === undefined || !variable.startsWith('MILLSTREAM_')) return []
    const name = byVariable.get(variable)
    const foreign = name === undefined || addressOfKubernetes.test(given)
    if (otherVariables.includes(variable) || (foreign && ofKubernetes.test(variable))) return []
    if (name === undefined) {
      mistakes.unknown(variable, variable, nearest(variable, [...byVariable.keys(), ...otherVariables]))
      return []
    }
    return [{ name, place: variable, read: () => readFromText(settingsTable[name], given) }]
  })
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Files and objects: the same names; `sasl` may be an object. Undefined counts as not given. */
const fromData = (values: Readonly<Record<string, unknown>>, source: string, mistakes: Mistakes): Entry[] => {
  const entry = (name: SettingName, place: string, given: unknown): Entry => ({
    name,
    place,
    read: () => readFromData(settingsTable[name], given),
  })
  return Object.entries(values).flatMap(([name, given]): Entry[] => {
    if (given === undefined) return []
    if (name === 'sasl' && isObject(given)) {
      return Object.entries(given).flatMap(([part, value]): Entry[] => {
        const found = Object.hasOwn(saslParts, part) ? saslParts[part] : undefined
        if (found !== undefined)
          return value === undefined ? [] : [entry(found, `sasl.${part} in ${source}`, value)]
        mistakes.unknown(`sasl.${part} in ${source}`, `sasl.${part}`, nearest(part, Object.keys(saslParts)))
        return []
      })
    }
    if (Object.hasOwn(settingsTable, name)) return [entry(name as SettingName, source, given)]
    mistakes.unknown(`${JSON.stringify(name)} in ${source}`, name, nearest(name, settingNames))
    return []
  })
}

/** The entries of all sources, the strongest last. */
const collect = (sources: SettingsSources, mistakes: Mistakes): Entry[] => {
  const { tls, ...given } = sources.given ?? {}
  return [
    ...fromData({ ...given, tls: isObject(tls) ? true : tls }, 'the settings of the program', mistakes),
    ...fromData(sources.file?.values ?? {}, sources.file?.path ?? '', mistakes),
    ...fromEnvironment(sources.environment ?? {}, mistakes),
    ...fromFlags(sources.flags ?? {}, mistakes),
  ]
}

/** Every entry is read, also one that a stronger source replaces: a mistake in it would strike later. */
const readAll = (entries: readonly Entry[], mistakes: Mistakes): Map<SettingName, SettingValue> => {
  const values = new Map<SettingName, SettingValue>()
  for (const { name, place, read } of entries) {
    const answer = read()
    if ('value' in answer) values.set(name, answer.value)
    else mistakes.add(name, `${name} ${answer.problem} (${place})`)
  }
  return values
}

const complete = (values: ReadonlyMap<SettingName, SettingValue>): FlatSettings =>
  Object.fromEntries(
    settingNames.map((name) => [name, values.get(name) ?? settingsTable[name].default]),
  ) as unknown as FlatSettings

const checkRelations = (settings: FlatSettings, mistakes: Mistakes): void => {
  const misread = new Set(mistakes.names)
  for (const { of, holds, text } of relations) {
    if (of.some((name) => misread.has(name)) || holds(settings)) continue
    mistakes.add(of[0] as string, text(settings))
  }
}

const tlsFiles = { tlsCaFile: 'ca', tlsCertFile: 'cert', tlsKeyFile: 'key' } as const

const tlsOf = (
  settings: FlatSettings,
  given: ConnectionOptions | boolean | undefined,
  readText: (path: string) => string | undefined,
  mistakes: Mistakes,
): ConnectionOptions | boolean => {
  if (!settings.tls) return false
  const options: ConnectionOptions = typeof given === 'object' ? { ...given } : {}
  for (const [name, option] of Object.entries(tlsFiles) as [keyof typeof tlsFiles, 'ca' | 'cert' | 'key'][]) {
    const path = settings[name]
    if (path === undefined) continue
    try {
      const text = readText(path)
      if (text === undefined) mistakes.add(name, `${name} names a file that does not exist: ${path}`)
      else options[option] = text
    } catch (error) {
      mistakes.add(name, `${name} names a file that cannot be read: ${path} (${ensureError(error).message})`)
    }
  }
  if (settings.tlsServerName !== undefined) options.servername = settings.tlsServerName
  return Object.keys(options).length === 0 ? true : withSecrets(options, ['key', 'passphrase', 'pfx'])
}

const saslOf = ({ saslMechanism, saslUsername, saslPassword }: FlatSettings): WorkerSettings['sasl'] =>
  saslMechanism === undefined || saslUsername === undefined || saslPassword === undefined
    ? undefined
    : withSecrets({ mechanism: saslMechanism, username: saslUsername, password: saslPassword }, ['password'])

// What was resolved is not resolved again: it no longer says where its values come from, nor allowPlaintextPassword.
const resolved = new WeakSet<object>()

/**
 * The settings of a worker. Of several sources the strongest wins: flags, then environment, then file, then what the
 * program gives, then the default. Settings that were resolved already are answered as they are.
 * @throws MillstreamError SETTING_INVALID that names every mistake: unknown names, wrong types, values out of range,
 * settings that contradict each other.
 */
export const resolveSettings = (
  sources: SettingsSources,
  topologyName: string,
  options: ResolveOptions = {},
): WorkerSettings => {
  if (sources.given !== undefined && resolved.has(sources.given)) return sources.given as WorkerSettings
  const mistakes = new Mistakes()
  const values = readAll(collect(sources, mistakes), mistakes)
  if (!values.has('applicationId') && !mistakes.names.has('applicationId')) {
    const answer = readFromData(settingsTable.applicationId, topologyName)
    if ('value' in answer) values.set('applicationId', answer.value)
    else mistakes.add('applicationId', `applicationId ${answer.problem} (the name of the topology)`)
  }
  const settings = complete(values)
  if (settings.brokers === undefined && !options.withoutBrokers && !mistakes.names.has('brokers')) {
    mistakes.add(
      'brokers',
      `brokers is missing: give --brokers, ${variableOf('brokers')}, or brokers in the settings file`,
    )
  }
  checkRelations(settings, mistakes)
  const readText = options.readText ?? nodePorts.disk.readText
  const tls = tlsOf(settings, sources.given?.tls, readText, mistakes)
  mistakes.throwIfAny()

  const {
    tlsCaFile,
    tlsCertFile,
    tlsKeyFile,
    tlsServerName,
    saslMechanism,
    saslUsername,
    saslPassword,
    allowPlaintextPassword,
    ...plain
  } = settings
  const worker: WorkerSettings = Object.freeze({
    ...plain,
    brokers: Object.freeze([...(settings.brokers ?? [])]),
    clientId: settings.clientId ?? settings.applicationId,
    tls,
    sasl: saslOf(settings),
  })
  resolved.add(worker)
  return worker
}
