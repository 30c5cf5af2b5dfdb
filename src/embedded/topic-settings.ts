// The settings of a topic: names, defaults and limits as Kafka 4.3 has them, so that what a tool writes to a topic is
// taken or refused here as it is there. The embedded broker acts upon those of retention, compaction, sizes and
// timestamps; the others (replication, tiered storage, flushing) are kept and shown, and change nothing.

/** The numbers by which DescribeConfigs names the types (KIP-569). */
export const settingTypes = { BOOLEAN: 1, STRING: 2, INT: 3, LONG: 5, DOUBLE: 6, LIST: 7 } as const

type SettingType = keyof typeof settingTypes

interface TopicSetting {
  readonly type: SettingType
  readonly default: string
  readonly min?: number
  readonly max?: number
  readonly oneOf?: readonly string[]
  /** Beside the range from min to max. */
  readonly orEqual?: number
  /** As a setting of the broker, where it has another name there: shown among the synonyms. */
  readonly ofBroker?: string
}

const longMax = '9223372036854775807'
const intMax = 2_147_483_647

export const topicSettings: Readonly<Record<string, TopicSetting>> = {
  'cleanup.policy': {
    type: 'LIST',
    default: 'delete',
    oneOf: ['compact', 'delete'],
    ofBroker: 'log.cleanup.policy',
  },
  'compression.gzip.level': {
    type: 'INT',
    default: '-1',
    min: 1,
    max: 9,
    orEqual: -1,
    ofBroker: 'compression.gzip.level',
  },
  'compression.lz4.level': { type: 'INT', default: '9', min: 1, max: 17, ofBroker: 'compression.lz4.level' },
  'compression.type': {
    type: 'STRING',
    default: 'producer',
    oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    ofBroker: 'compression.type',
  },
  'compression.zstd.level': {
    type: 'INT',
    default: '3',
    min: -131_072,
    max: 22,
    ofBroker: 'compression.zstd.level',
  },
  'delete.retention.ms': {
    type: 'LONG',
    default: '86400000',
    min: 0,
    ofBroker: 'log.cleaner.delete.retention.ms',
  },
  'file.delete.delay.ms': { type: 'LONG', default: '60000', min: 0, ofBroker: 'log.segment.delete.delay.ms' },
  'flush.messages': { type: 'LONG', default: longMax, min: 1, ofBroker: 'log.flush.interval.messages' },
  'flush.ms': { type: 'LONG', default: longMax, min: 0 },
  'follower.replication.throttled.replicas': { type: 'LIST', default: '' },
  'index.interval.bytes': { type: 'INT', default: '4096', min: 0, ofBroker: 'log.index.interval.bytes' },
  'leader.replication.throttled.replicas': { type: 'LIST', default: '' },
  'local.retention.bytes': { type: 'LONG', default: '-2', min: -2, ofBroker: 'log.local.retention.bytes' },
  'local.retention.ms': { type: 'LONG', default: '-2', min: -2, ofBroker: 'log.local.retention.ms' },
  'max.compaction.lag.ms': {
    type: 'LONG',
    default: longMax,
    min: 1,
    ofBroker: 'log.cleaner.max.compaction.lag.ms',
  },
  'max.message.bytes': { type: 'INT', default: '1048588', min: 0, ofBroker: 'message.max.bytes' },
  'message.timestamp.after.max.ms': {
    type: 'LONG',
    default: '3600000',
    min: 0,
    ofBroker: 'log.message.timestamp.after.max.ms',
  },
  'message.timestamp.before.max.ms': {
    type: 'LONG',
    default: longMax,
    min: 0,
    ofBroker: 'log.message.timestamp.before.max.ms',
  },
  'message.timestamp.type': {
    type: 'STRING',
    default: 'CreateTime',
    oneOf: ['CreateTime', 'LogAppendTime'],
    ofBroker: 'log.message.timestamp.type',
  },
  'min.cleanable.dirty.ratio': {
    type: 'DOUBLE',
    default: '0.5',
    min: 0,
    max: 1,
    ofBroker: 'log.cleaner.min.cleanable.ratio',
  },
  'min.compaction.lag.ms': {
    type: 'LONG',
    default: '0',
    min: 0,
    ofBroker: 'log.cleaner.min.compaction.lag.ms',
  },
  'min.insync.replicas': { type: 'INT', default: '1', min: 1, ofBroker: 'min.insync.replicas' },
  preallocate: { type: 'BOOLEAN', default: 'false', ofBroker: 'log.preallocate' },
  'remote.log.copy.disable': { type: 'BOOLEAN', default: 'false' },
  'remote.log.delete.on.disable': { type: 'BOOLEAN', default: 'false' },
  'remote.storage.enable': { type: 'BOOLEAN', default: 'false' },
  'retention.bytes': { type: 'LONG', default: '-1', ofBroker: 'log.retention.bytes' },
  'retention.ms': { type: 'LONG', default: '604800000', min: -1 },
  'segment.bytes': { type: 'INT', default: '1073741824', min: 1_048_576, ofBroker: 'log.segment.bytes' },
  'segment.index.bytes': { type: 'INT', default: '10485760', min: 4, ofBroker: 'log.index.size.max.bytes' },
  'segment.jitter.ms': { type: 'LONG', default: '0', min: 0 },
  'segment.ms': { type: 'LONG', default: '604800000', min: 1 },
  'unclean.leader.election.enable': {
    type: 'BOOLEAN',
    default: 'false',
    ofBroker: 'unclean.leader.election.enable',
  },
}

const invalid = (name: string, value: string, why: string): string =>
  `Invalid value ${value} for configuration ${name}: ${why}`

const integerProblem = (name: string, value: string, type: 'INT' | 'LONG'): string | undefined => {
  const text = value.trim()
  const isInRange =
    /^[+-]?\d+$/.test(text) &&
    (type === 'INT'
      ? Math.abs(Number(text)) <= intMax
      : BigInt.asIntN(64, BigInt(text.replace('+', ''))) === BigInt(text.replace('+', '')))
  return isInRange ? undefined : invalid(name, value, `Not a number of type ${type}`)
}

const rangeProblem = (
  name: string,
  value: string,
  { type, min, max, orEqual }: TopicSetting,
): string | undefined => {
  const number = Number(value)
  const shown = type === 'DOUBLE' && Number.isInteger(number) ? `${number}.0` : value.trim()
  if (orEqual !== undefined) {
    const isIn = number === orEqual || (number >= (min ?? number) && number <= (max ?? number))
    return isIn
      ? undefined
      : invalid(name, shown, `Value must be between ${min} and ${max} or equal to ${orEqual}`)
  }
  if (min !== undefined && number < min) return invalid(name, shown, `Value must be at least ${min}`)
  if (max !== undefined && number > max) return invalid(name, shown, `Value must be no more than ${max}`)
  return undefined
}

const listProblem = (name: string, value: string, { oneOf }: TopicSetting): string | undefined => {
  const items = value === '' ? [] : value.split(',').map((item) => item.trim())
  if (oneOf === undefined) {
    const isValid =
      items.length === 1 && items[0] === '*' ? true : items.every((item) => /^\d+:\d+$/.test(item))
    const text = `${name} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...`
    return isValid ? undefined : invalid(name, `[${items.join(', ')}]`, text)
  }
  const wrong = items.find((item) => !oneOf.includes(item))
  return wrong === undefined ? undefined : invalid(name, wrong, `String must be one of: ${oneOf.join(', ')}`)
}

const valueProblem = (name: string, value: string, setting: TopicSetting): string | undefined => {
  switch (setting.type) {
    case 'BOOLEAN':
      return /^(true|false)$/i.test(value.trim())
        ? undefined
        : invalid(name, value, 'Expected value to be either true or false')
    case 'STRING':
      return setting.oneOf?.includes(value) === false
        ? invalid(name, value, `String must be one of: ${setting.oneOf.join(', ')}`)
        : undefined
    case 'LIST':
      return listProblem(name, value, setting)
    case 'DOUBLE':
      return value.trim() === '' || Number.isNaN(Number(value))
        ? invalid(name, value, 'Not a number of type DOUBLE')
        : rangeProblem(name, value, setting)
    default:
      return integerProblem(name, value, setting.type) ?? rangeProblem(name, value, setting)
  }
}

/**
 * What is wrong with the settings that a topic would have, in the words of Kafka.
 * @param settings those that are set for the topic alone
 */
export const settingsProblem = (settings: ReadonlyMap<string, string>): string | undefined => {
  for (const [name, value] of settings) {
    const setting = topicSettings[name]
    if (setting === undefined || !Object.hasOwn(topicSettings, name))
      return `Unknown topic config name: ${name}`
    const problem = valueProblem(name, value, setting)
    if (problem !== undefined) return problem
  }
  if (settings.get('remote.storage.enable')?.trim().toLowerCase() === 'true')
    return 'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.'
  const min = settingOf(settings, 'min.compaction.lag.ms')
  const max = settingOf(settings, 'max.compaction.lag.ms')
  if (Number(min) > Number(max))
    return `conflict topic config setting min.compaction.lag.ms (${min}) > max.compaction.lag.ms (${max})`
  return undefined
}

/** The value in force; '' for a name that is no setting. */
export const settingOf = (settings: ReadonlyMap<string, string>, name: string): string =>
  settings.get(name) ?? topicSettings[name]?.default ?? ''

/** A setting as the protocol describes it. */
export interface DescribedSetting {
  readonly name: string
  readonly value: string
  /** The numbers of KIP-226: 1 set for the topic, 5 a default. */
  readonly source: number
  readonly type: number
  readonly synonyms: readonly { readonly name: string; readonly value: string; readonly source: number }[]
}

const ofTopic = 1
const ofDefaults = 5

/** All settings of a topic, also those that are not set. */
export const describeTopic = (settings: ReadonlyMap<string, string>): DescribedSetting[] =>
  Object.entries(topicSettings).map(([name, { type, ofBroker, default: defaultValue }]) => {
    const own = settings.get(name)
    const synonyms = own === undefined ? [] : [{ name, value: own, source: ofTopic }]
    if (ofBroker !== undefined) synonyms.push({ name: ofBroker, value: defaultValue, source: ofDefaults })
    const source = own === undefined ? ofDefaults : ofTopic
    return { name, value: own ?? defaultValue, source, type: settingTypes[type], synonyms }
  })
