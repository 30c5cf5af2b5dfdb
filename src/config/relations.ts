// Limits between settings: each holds one timeout, size or credential against another.
import type { FlatSettings, SettingName } from './settings-table.ts'

export interface Relation {
  /** It is looked at only where each of these was read without a mistake. */
  readonly of: readonly SettingName[]
  readonly holds: (settings: FlatSettings) => boolean
  /** What must be, and why. */
  readonly text: (settings: FlatSettings) => string
}

type NumberName = { [Name in SettingName]: FlatSettings[Name] extends number ? Name : never }[SettingName]

interface Comparison {
  readonly factor?: number
  /** The left side may be equal. */
  readonly orEqual?: true
  readonly when?: (settings: FlatSettings) => boolean
  readonly because: string
}

/** factor x left < right */
const less = (left: NumberName, right: NumberName, comparison: Comparison): Relation => {
  const { factor = 1, orEqual = false, when = () => true, because } = comparison
  return {
    of: [left, right],
    holds: (settings) => {
      const small = settings[left] * factor
      return !when(settings) || small < settings[right] || (orEqual && small === settings[right])
    },
    text: (settings) => {
      const times = factor === 1 ? '' : `${factor} x `
      return `${times}${left} (${settings[left]}) must ${orEqual ? 'not be more than' : 'be less than'} ${right} (${settings[right]}): ${because}`
    },
  }
}

const exactlyOnce = (settings: FlatSettings): boolean => settings.guarantee === 'exactly_once'

export const relations: readonly Relation[] = [
  less('heartbeatIntervalMs', 'sessionTimeoutMs', {
    factor: 3,
    orEqual: true,
    because: 'two lost heartbeats must not end the membership',
  }),
  less('sessionTimeoutMs', 'maxPollIntervalMs', {
    orEqual: true,
    because: 'a worker whose processor takes long is not given up sooner than one that is dead',
  }),
  less('commitIntervalMs', 'rebalanceTimeoutMs', {
    factor: 2,
    because: 'a worker that gives up tasks has to commit before the group goes on without it',
  }),
  less('rebalanceTimeoutMs', 'sessionTimeoutMs', {
    because: 'a member must not lose its session while it waits for a rebalance',
  }),
  less('commitIntervalMs', 'transactionTimeoutMs', {
    when: exactlyOnce,
    because: 'else the coordinator aborts a transaction before its commit is due',
  }),
  less('retryBackoffMs', 'retryBackoffMaxMs', {
    orEqual: true,
    because: 'it is the first wait of a growing row',
  }),
  less('partitionFetchBytesMax', 'fetchBytesMax', { orEqual: true, because: 'it is a share of it' }),
  less('fetchBytesMax', 'bufferedBytesMax', {
    orEqual: true,
    because: 'an answer has to fit into the buffer',
  }),
  less('batchBytes', 'uncommittedBytesMax', {
    orEqual: true,
    because: 'a batch is a part of the transaction',
  }),
  less('fetchWaitMs', 'requestTimeoutMs', {
    because: 'else a fetch that waits for records looks like a lost request',
  }),
  {
    of: ['saslMechanism', 'saslUsername', 'saslPassword'],
    holds: ({ saslMechanism: mechanism, saslUsername: user, saslPassword: password }) =>
      [mechanism, user, password].every((value) => value === undefined) ||
      [mechanism, user, password].every((value) => value !== undefined),
    text: (settings) => {
      const names = ['saslMechanism', 'saslUsername', 'saslPassword'] as const
      const missing = names.filter((name) => settings[name] === undefined)
      return `saslMechanism, saslUsername and saslPassword go together, but ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} missing`
    },
  },
  {
    of: ['saslMechanism', 'tls', 'allowPlaintextPassword'],
    holds: ({ saslMechanism, tls, allowPlaintextPassword }) =>
      saslMechanism !== 'plain' || tls || allowPlaintextPassword,
    text: () =>
      'saslMechanism plain without tls sends the password readable over the network: turn on tls, use scram-sha-512, or set allowPlaintextPassword',
  },
  {
    of: ['tls', 'tlsCaFile', 'tlsCertFile', 'tlsKeyFile', 'tlsServerName'],
    holds: ({ tls, tlsCaFile, tlsCertFile, tlsKeyFile, tlsServerName }) =>
      tls || [tlsCaFile, tlsCertFile, tlsKeyFile, tlsServerName].every((value) => value === undefined),
    text: (settings) => {
      const given = (['tlsCaFile', 'tlsCertFile', 'tlsKeyFile', 'tlsServerName'] as const).filter(
        (name) => settings[name] !== undefined,
      )
      return `${given.join(' and ')} ${given.length > 1 ? 'have' : 'has'} no effect while tls is false`
    },
  },
  {
    of: ['tlsCertFile', 'tlsKeyFile'],
    holds: ({ tlsCertFile, tlsKeyFile }) => (tlsCertFile === undefined) === (tlsKeyFile === undefined),
    text: ({ tlsCertFile }) =>
      `tlsCertFile and tlsKeyFile go together, but ${tlsCertFile === undefined ? 'tlsCertFile' : 'tlsKeyFile'} is missing`,
  },
]
