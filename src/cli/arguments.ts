// The command line as data. yargs reads it and writes the help; the settings among the flags are handed on unread, so
// that their mistakes are reported together with those of the environment and the file.
import process from 'node:process'
import yargs, { type Argv, type Options } from 'yargs'
import { limitsOf, type Setting } from '../config/setting.ts'
import { flagOf, settingNames, settingsTable } from '../config/settings-table.ts'
import type { DescriptionFormat } from '../topology/describe.ts'
import { type LogFormat, logFormats } from './terminal.ts'

export type CommandName =
  | 'run'
  | 'describe'
  | 'dev'
  | 'members list'
  | 'members remove'
  | 'store export'
  | 'store import'

export interface CommandLine {
  readonly command: CommandName
  readonly modules: readonly string[]
  /** Everything that is no option of the command line itself: settings, and what is none. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly config: string | undefined
  readonly logFormat: LogFormat
  readonly verbose: boolean
  /** Of describe. */
  readonly format: DescriptionFormat
  /** Of describe: file with the description of an earlier version. */
  readonly against: string | undefined
  /** Of dev: ends by itself after this time. */
  readonly forMs: number | undefined
  /** Of dev: undefined where it is to be found out. */
  readonly broker: DevBrokerKind | undefined
  /** Of dev: port of the embedded broker. */
  readonly port: number | undefined
  /** Of dev: where the embedded broker and the stores keep what they have. */
  readonly data: string | undefined
  /** Of members list. */
  readonly json: boolean
  /** Of members remove. */
  readonly instances: readonly string[]
  /** Of members remove: ordinals from here on are gone. */
  readonly missingFrom: number | undefined
  /** Of store export and import. */
  readonly directory: string | undefined
}

const devBrokerKinds = ['embedded', 'real'] as const
export type DevBrokerKind = (typeof devBrokerKinds)[number]

/** The command line itself is wrong (exit code 2). */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** @throws UsageError */
const parseOrdinal = (text: string): number => {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new UsageError(`--missing-from is ${JSON.stringify(text)}, but must be a number of replicas like 3`)
}

/** @throws UsageError */
const parsePort = (text: string): number => {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port >= 1 && port <= 65_535) return port
  throw new UsageError(`--port is ${JSON.stringify(text)}, but must be a number from 1 to 65535`)
}

/** `15s` -> 15000. @throws UsageError */
export const parseDuration = (text: string): number => {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim()) ?? []
  const durationMs = Number(amount) * (unitMs[unit] ?? 0)
  // setTimeout of Node takes 2^31 ms at most.
  if (durationMs > 0 && durationMs < 2 ** 31) return durationMs
  throw new UsageError(`--for is ${JSON.stringify(text)}, but must be a time like 15s, 500ms, 2m or 1h`)
}

const ownNames = new Set([
  '_',
  '$0',
  'module',
  'config',
  'verbose',
  'log-format',
  'format',
  'json',
  'instance',
  'missing-from',
  'to',
  'from',
  'help',
  'version',
])

/** Elsewhere they are no options, and are told to be no settings either. */
const namesOfDev = new Set(['for', 'broker', 'port', 'data'])
const namesOfDescribe = new Set(['against'])

const isOption = (name: string, command: CommandName): boolean =>
  ownNames.has(name) ||
  name === 'h' ||
  (command === 'dev' && namesOfDev.has(name)) ||
  (command === 'describe' && namesOfDescribe.has(name))

const limits = (setting: Setting): string => {
  if (setting.type === 'integer') return ` (${limitsOf(setting)})`
  return setting.type === 'choice' ? ` (${setting.choices.join(', ')})` : ''
}

const defaultOf = ({ default: value, defaultText }: Setting): string | undefined =>
  defaultText ?? (value === undefined ? undefined : String(value))

const settingOptions = (): Record<string, Options> =>
  Object.fromEntries(
    settingNames.map((name): [string, Options] => {
      const setting = settingsTable[name]
      const description = `${setting.text}${limits(setting)}${defaultOf(setting) === undefined ? '' : ` [${defaultOf(setting)}]`}`
      const type = setting.type === 'boolean' ? 'boolean' : 'string'
      return [flagOf(name), { type, description, requiresArg: type === 'string', group: 'Settings:' }]
    }),
  )

const commonOptions: Record<string, Options> = {
  config: {
    type: 'string',
    requiresArg: true,
    description: 'Settings file, YAML or JSON (MILLSTREAM_CONFIG) [millstream.yaml where it exists]',
  },
  'log-format': {
    type: 'string',
    requiresArg: true,
    choices: logFormats,
    description: 'Log lines for people or for machines (MILLSTREAM_LOG_FORMAT) [human]',
  },
  verbose: { type: 'boolean', description: 'Debug lines, and stacks of errors' },
}

const withModules = (parser: Argv, many: boolean): Argv =>
  parser
    .positional('module', {
      type: 'string',
      demandOption: true,
      description: 'TypeScript or JavaScript module whose default export is a topology, or an array of them',
      ...(many ? { array: true } : {}),
    })
    .options(commonOptions)

const describeBuilder = (parser: Argv): Argv =>
  withModules(parser, true)
    .option('format', {
      type: 'string',
      requiresArg: true,
      choices: ['text', 'json', 'mermaid'],
      default: 'text',
      description: 'What to print',
    })
    .option('against', {
      type: 'string',
      requiresArg: true,
      description:
        'File with what --format json printed for an earlier version: says which state and records the change would lose (exit code 1)',
    })
    .option('application-id', {
      type: 'string',
      requiresArg: true,
      description: settingsTable.applicationId.text,
    })

const devBuilder = (parser: Argv): Argv =>
  withModules(parser, false)
    .option('for', {
      type: 'string',
      requiresArg: true,
      description: 'End after this time (15s, 2m) and check the result, where the module can check it',
    })
    .option('broker', {
      type: 'string',
      requiresArg: true,
      choices: devBrokerKinds,
      description:
        'embedded: inside this process; real: Apache Kafka, in Docker or by Java [embedded, unless brokers or KAFKA_BROKERS names one]',
    })
    .option('port', {
      type: 'string',
      requiresArg: true,
      description: 'Port of the embedded broker [9092, or a free one near it]',
    })
    .option('data', {
      type: 'string',
      requiresArg: true,
      description: 'Where the embedded broker and the stores keep what they have [.millstream/dev]',
    })
    .options(settingOptions())

const epilogue = `Every setting can also be given as a variable (--commit-interval-ms: MILLSTREAM_COMMIT_INTERVAL_MS) or in the
settings file (commitIntervalMs). Flags win over the environment, the environment wins over the file.`

type Words = Readonly<Record<string, unknown>>

const membersBuilder = (parser: Argv, found: (command: CommandName, words: Words) => void): Argv =>
  parser
    .command(
      'list',
      'Show who is in the group of an application, and which tasks each member has',
      (list) =>
        list
          .option('json', { type: 'boolean', description: 'As JSON' })
          .options({ ...commonOptions, ...settingOptions() })
          .epilogue(epilogue),
      (words) => found('members list', words),
    )
    .command(
      'remove [instance..]',
      'Take instances that no longer run out of the group, so that others get their tasks at once',
      (remove) =>
        remove
          .positional('instance', {
            type: 'string',
            array: true,
            description: 'Instance ids, as `members list` shows them',
          })
          .option('missing-from', {
            type: 'string',
            requiresArg: true,
            description: 'Those of a StatefulSet that was scaled to so many: NAME-N and above',
          })
          .options({ ...commonOptions, ...settingOptions() })
          .epilogue(epilogue),
      (words) => found('members remove', words),
    )
    .demandCommand(1, 'A command is missing: members list, members remove.')

const storeBuilder = (parser: Argv, found: (command: CommandName, words: Words) => void): Argv =>
  parser
    .command(
      'export <module>',
      'Take a savepoint of a stopped application: offsets, stores and what waits between its tasks',
      (one) =>
        withModules(one, false)
          .option('to', {
            type: 'string',
            requiresArg: true,
            demandOption: true,
            description: 'Directory that is empty or does not exist',
          })
          .options(settingOptions())
          .epilogue(epilogue),
      (words) => found('store export', words),
    )
    .command(
      'import <module>',
      'Begin a new application with a savepoint',
      (one) =>
        withModules(one, false)
          .option('from', {
            type: 'string',
            requiresArg: true,
            demandOption: true,
            description: 'Directory of the savepoint',
          })
          .options(settingOptions())
          .epilogue(epilogue),
      (words) => found('store import', words),
    )
    .demandCommand(1, 'A command is missing: store export, store import.')

/** yargs takes every value of a switch but "true" for false, so `--tls=yes` would turn TLS off. */
const refuseOddSwitches = (args: readonly string[]): void => {
  const switches = new Set(settingNames.filter((name) => settingsTable[name].type === 'boolean').map(flagOf))
  for (const arg of args) {
    if (arg === '--') return
    const [, name = '', value = ''] = /^--([a-z-]+)=(.*)$/s.exec(arg) ?? []
    if (switches.has(name) && value !== 'true' && value !== 'false')
      throw new UsageError(`--${name} is ${JSON.stringify(value)}, but must be true or false`)
  }
}

/** What yargs says, in words that name the thing. */
const explain = (text: string, args: readonly string[]): string => {
  if (text.startsWith('Not enough non-option arguments'))
    return `a module is missing: millstream ${args.slice(0, args[0] === 'store' ? 2 : 1).join(' ')} MODULE`
  return text.startsWith('Did you mean') ? `there is no command ${JSON.stringify(args[0])}. ${text}` : text
}

const build = (args: readonly string[], found: (command: CommandName, words: Words) => void): Argv =>
  yargs([...args])
    .scriptName('millstream')
    .usage('$0 <command>\n\nExactly-once streams for Kafka.')
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .command(
      'run <module..>',
      'Run the topologies of modules, one worker each, until SIGTERM or Ctrl-C',
      (parser) => withModules(parser, true).options(settingOptions()).epilogue(epilogue),
      (words) => found('run', words),
    )
    .command(
      'dev <module>',
      'Run one module on a broker inside the command, with topics and input made for it, again after each change',
      (parser) => devBuilder(parser).epilogue(epilogue),
      (words) => found('dev', words),
    )
    .command(
      'describe <module..>',
      'Print topologies with their stores and internal topics',
      describeBuilder,
      (words) => found('describe', words),
    )
    .command('members', 'List the members of a group, or remove some', (parser) =>
      membersBuilder(parser, found),
    )
    .command('store', 'Take a savepoint of an application, or import one', (parser) =>
      storeBuilder(parser, found),
    )
    .demandCommand(1, 'A command is missing.')
    .strictCommands()
    .recommendCommands()
    .alias('help', 'h')
    .exitProcess(false)
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .fail((text, error) => {
      throw error instanceof UsageError ? error : new UsageError(explain(text ?? error.message, args))
    })

const logFormatOf = (flag: unknown, environment: Readonly<Record<string, string | undefined>>): LogFormat => {
  const wanted = flag ?? environment['MILLSTREAM_LOG_FORMAT'] ?? 'human'
  const format = logFormats.find((one) => one === wanted)
  if (format === undefined)
    throw new UsageError(
      `MILLSTREAM_LOG_FORMAT is ${JSON.stringify(wanted)}, but must be one of ${logFormats.join(', ')}`,
    )
  return format
}

/** The last one, where an option is given several times. */
const single = (value: unknown): string | undefined => {
  const last: unknown = Array.isArray(value) ? value.at(-1) : value
  return typeof last === 'string' ? last : undefined
}

/** @throws UsageError */
const formatOf = (words: Words): DescriptionFormat => {
  const format = (single(words['format']) ?? 'text') as DescriptionFormat
  if (format === 'mermaid' && words['against'] !== undefined)
    throw new UsageError('--against prints text or json, not mermaid')
  return format
}

/**
 * Reads the command line.
 * @returns undefined where it asked for help or the version, which was printed.
 * @throws UsageError
 */
export const parseCommandLine = async (
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<CommandLine | undefined> => {
  let result: CommandLine | undefined
  refuseOddSwitches(args)
  await build(args, (command, words) => {
    const { module, instance } = words
    const rest = single(words['for'])
    const port = single(words['port'])
    const missingFrom = single(words['missing-from'])
    result = {
      command,
      modules: [module ?? []].flat().map(String),
      flags: Object.fromEntries(Object.entries(words).filter(([name]) => !isOption(name, command))),
      config: single(words['config']),
      logFormat: logFormatOf(single(words['log-format']), environment),
      verbose: words['verbose'] === true,
      format: formatOf(words),
      against: single(words['against']),
      forMs: rest === undefined ? undefined : parseDuration(rest),
      broker: single(words['broker']) as DevBrokerKind | undefined,
      port: port === undefined ? undefined : parsePort(port),
      data: single(words['data']),
      json: words['json'] === true,
      instances: [instance ?? []].flat().map(String),
      missingFrom: missingFrom === undefined ? undefined : parseOrdinal(missingFrom),
      directory: single(words['to'] ?? words['from']),
    }
  }).parseAsync()
  return result
}
