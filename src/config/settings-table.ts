// Every setting once. Flags, environment, settings file, the object given to createWorker and docs/settings.md are all
// made from this table.
import type {
  BooleanSetting,
  ChoiceSetting,
  IntegerSetting,
  ListSetting,
  Setting,
  TextSetting,
} from './setting.ts'
import type { WorkerSettings } from './worker-settings.ts'

/** The settings by name, flat, as files and flags have them; `tls` and `sasl` of WorkerSettings are made from them. */
export interface FlatSettings extends Omit<WorkerSettings, 'tls' | 'sasl'> {
  readonly tls: boolean
  readonly tlsCaFile: string | undefined
  readonly tlsCertFile: string | undefined
  readonly tlsKeyFile: string | undefined
  readonly tlsServerName: string | undefined
  readonly saslMechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' | undefined
  readonly saslUsername: string | undefined
  readonly saslPassword: string | undefined
  readonly allowPlaintextPassword: boolean
}

export type SettingName = keyof FlatSettings

const KiB = 1024
const MiB = 1024 * KiB
/** A third of it may be read into one store, whose memory ends at 4 GiB (src/state/entry-table.ts), beside what it writes. */
const storeMemoryMax = 3072 * MiB
/** A day: whoever means more has mistaken the unit. */
const durationMax = 86_400_000
/** Beyond this a size no longer fits the 32 bits of a Kafka request. */
const sizeMax = 2_147_483_647

// A part of group ids, topic names and transactional ids. The dot separates the parts of a transactional id: inside a
// part it would let the prefix of one application catch those of another (`orders`, `orders.eu`).
const partOfNames = (value: string): string | undefined => {
  if (!/^[A-Za-z0-9_-]+$/.test(value))
    return 'must be of letters, digits, "_" and "-" only (a "." separates the parts of the transactional.id)'
  return value.length > 200 ? 'must not be longer than 200 characters' : undefined
}

const address = (value: string): string | undefined => {
  const port = Number(
    /^(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]/]+)(?::(\d{1,5}))?$/.exec(value)?.[1] ??
      (/[:/\s]/.test(value) ? 0 : 9092),
  )
  return port >= 1 && port <= 65_535 ? undefined : 'must be an address like "kafka-1:9092"'
}

const text = (meaning: string, more: Partial<TextSetting> = {}): TextSetting => ({
  type: 'text',
  default: undefined,
  text: meaning,
  ...more,
})
const duration = (value: number, min: number, meaning: string): IntegerSetting => ({
  type: 'integer',
  default: value,
  min,
  max: durationMax,
  unit: 'ms',
  text: meaning,
})
const size = (value: number, min: number, meaning: string, max = sizeMax): IntegerSetting => ({
  type: 'integer',
  default: value,
  min,
  max,
  unit: 'bytes',
  text: meaning,
})
const flag = (value: boolean, meaning: string): BooleanSetting => ({
  type: 'boolean',
  default: value,
  text: meaning,
})
const choice = (value: string | undefined, choices: readonly string[], meaning: string): ChoiceSetting => ({
  type: 'choice',
  default: value,
  choices,
  text: meaning,
})
const brokers: ListSetting = {
  type: 'list',
  default: undefined,
  defaultText: 'required',
  check: address,
  text: 'Some brokers of the cluster, host:port, separated by commas; the others are learnt from them. `millstream dev` has one of its own.',
}
const replicationFactor: IntegerSetting = {
  type: 'integer',
  default: -1,
  min: -1,
  max: 32_767,
  check: (value) => (value === 0 ? 'must be -1 (the default of the broker) or at least 1' : undefined),
  text: 'Replicas of internal topics that are created; -1: the default of the broker.',
}
const httpPort: IntegerSetting = {
  type: 'integer',
  default: undefined,
  min: 0,
  max: 65_535,
  text: 'Port on which /metrics, /live and /ready are answered over HTTP; 0: any free one, which the log names.',
}
const retryAttempts: IntegerSetting = {
  type: 'integer',
  default: 10,
  min: 1,
  max: 1_000_000,
  text: 'onFailure retry: how often a record is tried again before afterRetries decides.',
}

export const settingsTable: { readonly [Name in SettingName]: Setting } = {
  brokers,
  applicationId: text(
    'The application.id: name of the consumer group, first part of internal topics and of the transactional.id. Workers of one id share the work.',
    { defaultText: 'the name of the topology', check: partOfNames },
  ),
  instanceId: text(
    'A name of this worker that is the same after a restart and that no other worker has (a pod of a StatefulSet: its host name). It becomes the group.instance.id, so that a restart moves no work, and a part of the transactional.id, so that a restart ends its own unfinished transaction at once.',
    { defaultText: 'made up once and kept in stateDir', check: partOfNames },
  ),
  clientId: text('Shown in logs, quotas and metrics of the brokers.', { defaultText: 'the applicationId' }),
  stateDir: text('Where stores are kept on disk. They can always be rebuilt from their changelogs.', {
    default: './.millstream/state',
  }),
  stateDigest: choice(
    'on',
    ['on', 'off', 'verify'],
    'on: each commit carries a digest of each store, and a restored store that does not come to the same is rebuilt once from its changelog; if it still differs the worker stops. verify: in addition every store is read whole when its task is opened, so that values that changed on the disk are found, too. off: neither. Only with exactly_once.',
  ),
  guarantee: choice(
    'exactly_once',
    ['exactly_once', 'at_least_once'],
    'exactly_once: outputs, state and offsets of a record are one transaction. at_least_once: no transaction; a crash may repeat records.',
  ),

  tls: flag(false, 'Encrypt connections to the brokers.'),
  tlsCaFile: text('PEM file with the authorities that may have signed the certificates of the brokers.', {
    defaultText: 'those of Node',
  }),
  tlsCertFile: text('PEM file with the certificate of this client, where brokers ask for one.'),
  tlsKeyFile: text('PEM file with the private key of tlsCertFile.'),
  tlsServerName: text('Host name that the certificate must carry, where it is not the one of the address.'),
  saslMechanism: choice(
    undefined,
    ['plain', 'scram-sha-256', 'scram-sha-512'],
    'How to authenticate, where brokers ask for it.',
  ),
  saslUsername: text('User name for saslMechanism.'),
  saslPassword: text(
    'Password for saslMechanism. Best given as MILLSTREAM_SASL_PASSWORD: flags can be read by other users of the machine.',
    { secret: true },
  ),
  allowPlaintextPassword: flag(
    false,
    'Allow saslMechanism plain without tls, which sends the password readable over the network.',
  ),

  commitIntervalMs: duration(
    100,
    1,
    'Longest time that a transaction stays open while there is input; when the input is drained it is committed at once.',
  ),
  uncommittedBytesMax: size(
    64 * MiB,
    64 * KiB,
    'Outputs and store writes of the open transaction; beyond it is committed before the interval is over.',
    Number.MAX_SAFE_INTEGER,
  ),
  storeMemoryBytesMax: size(
    128 * MiB,
    64 * KiB,
    'What all stores of a worker keep in memory together, about: what is committed and not on the disk yet, and what was read before. Stores with the engine memory are not counted.',
    storeMemoryMax,
  ),
  transactionTimeoutMs: duration(
    10_000,
    1000,
    'The coordinator aborts a transaction that is open for longer. Readers with read_committed wait that long behind a dead worker.',
  ),
  sessionTimeoutMs: duration(
    45_000,
    6000,
    'A worker that the group has not heard of for so long loses its tasks. If this is longer than transactionTimeoutMs + 10000, the broker has aborted by then what the worker left open. If it is not, the leader of the group aborts that when it assigns the tasks, so that others take over within seconds.',
  ),
  heartbeatIntervalMs: duration(3000, 100, 'How often a worker tells the group that it lives.'),
  maxPollIntervalMs: duration(
    300_000,
    10_000,
    'A processor that blocks its worker for so long loses its tasks: heartbeats end, and the session runs out. A block of 5 s is logged.',
  ),
  rebalanceTimeoutMs: duration(
    30_000,
    1000,
    'Time that members have to join again when tasks move; a dead static member delays the hand-over of its tasks that long. A record that takes longer is processed again when a rebalance meets it.',
  ),
  requestTimeoutMs: duration(
    30_000,
    100,
    'Longest wait for the answer to a request; then its outcome is unknown.',
  ),
  connectionTimeoutMs: duration(5000, 100, 'Longest wait until a connection is set up and authenticated.'),
  closeTimeoutMs: duration(
    20_000,
    1000,
    'Longest wait for brokers at a close. After half of it the last commit is given up, and its records are processed again by whoever comes next. Keep it below the time after which a process that was asked to end is killed (Kubernetes: 30 s).',
  ),

  bufferedBytesMax: size(
    32 * MiB,
    64 * KiB,
    'Fetched and not processed yet, over all partitions; beyond it nothing is fetched.',
    Number.MAX_SAFE_INTEGER,
  ),
  fetchBytesMax: size(8 * MiB, 1024, 'Largest answer to one fetch; one larger batch still comes through.'),
  partitionFetchBytesMax: size(MiB, 1024, 'Share of one partition in such an answer.'),
  maxTaskIdleMs: {
    type: 'integer',
    default: 0,
    min: -1,
    max: 2 ** 31 - 1,
    unit: 'ms',
    text: 'How long a task with several inputs waits for one that has nothing more, so that records which come later and are older are processed first. For records that are on the broker already it waits in any case. -1: it processes what is fetched, and waits for nothing.',
  },
  fetchWaitMs: duration(500, 0, 'How long a broker holds a fetch back while there is nothing new.'),
  batchBytes: size(256 * KiB, 1024, 'An output batch of this size is sent without waiting for the commit.'),
  compression: choice(
    'none',
    ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    'Compression of output and changelog batches.',
  ),

  startFrom: choice(
    'earliest',
    ['earliest', 'latest'],
    'Where an input is read from when the group has no offset for it.',
  ),
  onFailure: choice(
    'fail',
    ['fail', 'skip', 'retry'],
    'What to do with a record that fails: fail stops the worker before it, skip counts and leaves it out, retry tries again. What the record had done is undone in any case.',
  ),
  retryAttempts,
  retryBackoffMs: duration(
    100,
    1,
    'onFailure retry: wait before the second try; doubled for each further one.',
  ),
  retryBackoffMaxMs: duration(10_000, 1, 'onFailure retry: longest wait between two tries.'),
  afterRetries: choice('fail', ['fail', 'skip'], 'onFailure retry: what to do when all tries have failed.'),
  asyncInFlightMax: {
    type: 'integer',
    default: 256,
    min: 1,
    max: 1_000_000,
    text: 'Calls of asynchronous processors that are open at once, over all tasks of a worker. Each processor has a limit of its own for one task (`inFlightMax`, 20).',
  },

  standbyReplicas: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 100,
    text: 'Copies of the stores of each task on other workers, close behind its changelogs: one of them takes the task over within moments when its worker dies. Each is another copy on disk and reads the changelogs once more.',
  },
  standbyLagMax: {
    type: 'integer',
    default: 10_000,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    text: 'Changelog offsets that a worker may lack and still be given a task; beyond, whoever has more of its state works until this one has caught up.',
  },
  hostId: text(
    'The machine that this worker runs on, as far as failures go (a node, a rack, a zone): the standbys of a task are placed on other ones.',
    { defaultText: 'the host name' },
  ),

  createInternalTopics: flag(true, 'Create internal topics (repartition, changelog) that do not exist.'),
  replicationFactor,
  purgeIntervalMs: duration(30_000, 100, 'How often what is processed is deleted from repartition topics.'),
  topicRefreshMs: duration(
    60_000,
    100,
    'How often topics that match a pattern of the topology are looked for. Each worker asks for the names of all topics then.',
  ),

  httpPort,
  httpHost: text(
    'Address of httpPort: whoever reaches it can read the metrics. 0.0.0.0 is every address of the machine.',
    {
      default: '127.0.0.1',
    },
  ),
}

export const settingNames: readonly SettingName[] = Object.keys(settingsTable) as SettingName[]

const words = (name: string, separator: string): string =>
  name.replace(/[A-Z]/g, (letter) => `${separator}${letter.toLowerCase()}`)

/** commitIntervalMs -> commit-interval-ms */
export const flagOf = (name: SettingName): string => words(name, '-')

/** commitIntervalMs -> MILLSTREAM_COMMIT_INTERVAL_MS */
export const variableOf = (name: SettingName): string => `MILLSTREAM_${words(name, '_').toUpperCase()}`
