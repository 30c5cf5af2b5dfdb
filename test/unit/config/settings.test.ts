import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type ResolveOptions, resolveSettings, type SettingsSources } from '../../../src/config/settings.ts'
import { flagOf, settingNames, settingsTable, variableOf } from '../../../src/config/settings-table.ts'
import type { WorkerSettings } from '../../../src/config/worker-settings.ts'
import { MillstreamError } from '../../../src/errors.ts'

const brokers = ['localhost:9092']
const resolve = (sources: SettingsSources = {}, options?: ResolveOptions): WorkerSettings =>
  resolveSettings({ ...sources, given: { brokers, ...sources.given } }, 'word-count', options)

const refusal = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof MillstreamError && error.code === 'SETTING_INVALID') return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

describe('the table of settings', () => {
  it('has a default that its own limits allow', () => {
    expect(() => resolve()).not.toThrow()
    for (const name of settingNames) {
      const setting = settingsTable[name]
      if (setting.type !== 'integer' || setting.default === undefined) continue
      expect(setting.default, name).toBeGreaterThanOrEqual(setting.min)
      expect(setting.default, name).toBeLessThanOrEqual(setting.max)
    }
  })

  it('gives each setting a text, a flag and a variable of its own', () => {
    expect(new Set(settingNames.map(flagOf)).size).toBe(settingNames.length)
    expect(new Set(settingNames.map(variableOf)).size).toBe(settingNames.length)
    for (const name of settingNames) expect(settingsTable[name].text, name).toMatch(/\.$/)
    expect(flagOf('commitIntervalMs')).toBe('commit-interval-ms')
    expect(variableOf('commitIntervalMs')).toBe('MILLSTREAM_COMMIT_INTERVAL_MS')
  })

  it('reaches every field of WorkerSettings', () => {
    const all = resolve({
      given: {
        instanceId: 'a',
        tls: true,
        saslMechanism: 'plain',
        saslUsername: 'u',
        saslPassword: 'p',
        tlsServerName: 'broker',
        httpPort: 0,
        hostId: 'rack-1',
      },
    })
    expect(Object.keys(all).sort()).toEqual(
      [...settingNames.filter((name) => !/^(tls.|sasl|allow)/.test(name)), 'sasl'].sort(),
    )
    expect(Object.values(all)).not.toContain(undefined)
  })
})

describe('resolveSettings', () => {
  it('lets the stronger source win: flag, environment, file, program, default', () => {
    const sources: SettingsSources = {
      flags: { 'commit-interval-ms': '1' },
      environment: { MILLSTREAM_COMMIT_INTERVAL_MS: '2', MILLSTREAM_FETCH_WAIT_MS: '2' },
      file: { path: 'f.yaml', values: { commitIntervalMs: 3, fetchWaitMs: 3, batchBytes: 3000 } },
      given: { commitIntervalMs: 4, fetchWaitMs: 4, batchBytes: 4000, retryAttempts: 4 },
    }
    const { commitIntervalMs, fetchWaitMs, batchBytes, retryAttempts, retryBackoffMs } = resolve(sources)
    expect([commitIntervalMs, fetchWaitMs, batchBytes, retryAttempts, retryBackoffMs]).toEqual([
      1, 2, 3000, 4, 100,
    ])
  })

  it('reads every type from text', () => {
    const settings = resolve({
      environment: {
        MILLSTREAM_BROKERS: ' a:1 , [::1]:2,c',
        MILLSTREAM_TLS: 'yes',
        MILLSTREAM_REPLICATION_FACTOR: '-1',
        MILLSTREAM_COMPRESSION: 'zstd',
        MILLSTREAM_STATE_DIR: ' /data ',
      },
      flags: { 'create-internal-topics': false },
    })
    expect(settings).toMatchObject({
      brokers: ['a:1', '[::1]:2', 'c'],
      tls: true,
      replicationFactor: -1,
      compression: 'zstd',
      stateDir: '/data',
      createInternalTopics: false,
    })
  })

  it('takes the application id from the topology, and the client id from the application id', () => {
    expect(resolve()).toMatchObject({
      applicationId: 'word-count',
      clientId: 'word-count',
      instanceId: undefined,
    })
    expect(resolve({ given: { applicationId: 'mine' } })).toMatchObject({
      applicationId: 'mine',
      clientId: 'mine',
    })
  })

  it('names every mistake of every source at once', () => {
    const text = refusal(() =>
      resolveSettings(
        {
          flags: { 'fetch-wait-ms': '-5', comression: 'lz4' },
          environment: { MILLSTREAM_COMIT_INTERVAL_MS: '5', MILLSTREAM_GUARANTEE: 'maybe', PATH: '/bin' },
          file: {
            path: 'f.yaml',
            values: { batchBytes: '7', applicationId: 123, sasl: { user: 'x' }, colour: 'red' },
          },
          given: { replicationFactor: 0, rebalanceTimeoutMs: 50_000, instanceId: 'pod.0' },
        },
        'word-count',
      ),
    )
    for (const part of [
      '12 mistakes',
      'fetchWaitMs is "-5", but must be 0 to 86400000 ms (--fetch-wait-ms)',
      '--comression is no setting (did you mean --compression?)',
      'MILLSTREAM_COMIT_INTERVAL_MS is no setting (did you mean MILLSTREAM_COMMIT_INTERVAL_MS?)',
      'guarantee is "maybe", but must be one of exactly_once, at_least_once (MILLSTREAM_GUARANTEE)',
      'batchBytes is "7", but must be an integer (1024 to 2147483647 bytes) (f.yaml)',
      'applicationId is 123, but must be text (in quotes) (f.yaml)',
      'sasl.user in f.yaml is no setting (did you mean username?)',
      '"colour" in f.yaml is no setting\n',
      'replicationFactor is 0, but must be -1 (the default of the broker) or at least 1',
      'instanceId is "pod.0", but must be of letters, digits',
      'brokers is missing',
    ])
      expect(text).toContain(part)
  })

  it.each([
    [
      { heartbeatIntervalMs: 16_000 },
      '3 x heartbeatIntervalMs (16000) must not be more than sessionTimeoutMs (45000)',
    ],
    [
      { commitIntervalMs: 15_000, transactionTimeoutMs: 20_000 },
      '2 x commitIntervalMs (15000) must be less than reb',
    ],
    [
      { maxPollIntervalMs: 44_000 },
      'sessionTimeoutMs (45000) must not be more than maxPollIntervalMs (44000)',
    ],
    [{ rebalanceTimeoutMs: 45_000 }, 'rebalanceTimeoutMs (45000) must be less than sessionTimeoutMs (45000)'],
    [{ commitIntervalMs: 10_000 }, 'commitIntervalMs (10000) must be less than transactionTimeoutMs (10000)'],
    [{ retryBackoffMs: 10_001 }, 'retryBackoffMs (10001) must not be more than retryBackoffMaxMs (10000)'],
    [
      { partitionFetchBytesMax: 9_000_000 },
      'partitionFetchBytesMax (9000000) must not be more than fetchBytesMax',
    ],
    [{ fetchBytesMax: 40_000_000 }, 'fetchBytesMax (40000000) must not be more than bufferedBytesMax'],
    [
      { uncommittedBytesMax: 200_000 },
      'batchBytes (262144) must not be more than uncommittedBytesMax (200000)',
    ],
    [{ fetchWaitMs: 30_000 }, 'fetchWaitMs (30000) must be less than requestTimeoutMs (30000)'],
    [{ saslMechanism: 'scram-sha-256' }, 'saslUsername and saslPassword are missing'],
    [{ sasl: { mechanism: 'plain', username: 'u', password: 'p' } }, 'saslMechanism plain without tls'],
    [{ tlsCaFile: 'ca.pem' }, 'tlsCaFile has no effect while tls is false'],
    [{ tls: true, tlsCertFile: 'c.pem' }, 'tlsKeyFile is missing'],
  ] as const)('refuses settings that contradict each other: %o', (given, expected) => {
    const text = refusal(() => resolve({ given }, { readText: () => 'PEM' }))
    expect(text).toContain(expected)
    expect(text).not.toContain('mistakes')
  })

  it('looks at transactions only where there are any', () => {
    const given = { commitIntervalMs: 12_000, guarantee: 'at_least_once' } as const
    expect(resolve({ given }).guarantee).toBe('at_least_once')
  })

  it('takes a session that may end before the transaction of its worker', () => {
    const given = { sessionTimeoutMs: 6000, rebalanceTimeoutMs: 4000, heartbeatIntervalMs: 1000 }
    expect(resolve({ given })).toMatchObject({ sessionTimeoutMs: 6000, transactionTimeoutMs: 10_000 })
  })

  it.each(['localhost:0', 'localhost:70000', 'a b:1', 'http://a:1', 'a:b', '::1:2'])(
    'refuses the broker %s',
    (broker) => {
      expect(refusal(() => resolve({ given: { brokers: [broker] } }))).toContain('must be an address like')
    },
  )

  it('does not take the variables that Kubernetes makes of services for settings', () => {
    const environment = {
      MILLSTREAM_SERVICE_HOST: '10.0.0.1',
      MILLSTREAM_SERVICE_PORT_HTTP: '80',
      MILLSTREAM_PORT_8080_TCP_ADDR: '10.0.0.1',
      MILLSTREAM_UI_PORT: 'tcp://10.0.0.1:80',
    }
    expect(() => resolve({ environment })).not.toThrow()
    // A service called millstream-http.
    const service = { MILLSTREAM_HTTP_PORT: 'tcp://10.0.0.1:80' }
    expect(resolve({ environment: service }).httpPort).toBe(undefined)
    expect(resolve({ environment: { MILLSTREAM_HTTP_PORT: '9400' } }).httpPort).toBe(9400)
    expect(refusal(() => resolve({ environment: { MILLSTREAM_HTTP_PORT: '99999' } }))).toContain('httpPort')
  })

  it('refuses a flag that is given twice, and joins lists', () => {
    expect(refusal(() => resolve({ flags: { compression: ['lz4', 'zstd'] } }))).toContain(
      'compression is given 2 times',
    )
    expect(resolve({ flags: { brokers: ['a:1', 'b:2'] } }).brokers).toEqual(['a:1', 'b:2'])
  })

  it('needs brokers only where something is connected', () => {
    expect(refusal(() => resolveSettings({}, 'a'))).toContain('brokers is missing')
    expect(resolveSettings({}, 'a', { withoutBrokers: true }).brokers).toEqual([])
  })

  it('answers settings that were resolved already as they are', () => {
    const given = {
      allowPlaintextPassword: true,
      sasl: { mechanism: 'plain', username: 'u', password: 'p' },
    } as const
    const settings = resolve({ given })
    expect(resolveSettings({ given: settings }, 'other')).toBe(settings)
  })

  it('reads the files of TLS and keeps options of the program', () => {
    const files: Record<string, string> = { 'ca.pem': 'CA', 'c.pem': 'CERT', 'k.pem': 'KEY' }
    const options = { readText: (path: string) => files[path] }
    const given = {
      tls: { rejectUnauthorized: false },
      tlsCaFile: 'ca.pem',
      tlsCertFile: 'c.pem',
      tlsKeyFile: 'k.pem',
    }
    expect({ ...(resolve({ given }, options).tls as object) }).toEqual({
      rejectUnauthorized: false,
      ca: 'CA',
      cert: 'CERT',
      key: 'KEY',
    })
    expect(refusal(() => resolve({ given: { tls: true, tlsCaFile: 'no.pem' } }, options))).toContain(
      'tlsCaFile names a file that does not exist: no.pem',
    )
  })
})

describe('secrets', () => {
  const secret = 'correct-horse'

  it('are there for those who use them and show nowhere else', () => {
    const settings = resolve({
      environment: { MILLSTREAM_SASL_PASSWORD: secret },
      given: { saslMechanism: 'scram-sha-512', saslUsername: 'u', tls: { key: secret, passphrase: secret } },
    })
    expect(settings.sasl?.password).toBe(secret)
    expect({ ...settings.sasl }.password).toBe(secret)
    expect({ ...(settings.tls as object) }).toMatchObject({ key: secret, passphrase: secret })
    for (const shown of [
      JSON.stringify(settings),
      inspect(settings, { depth: 9 }),
      inspect({ a: [settings] }, { depth: 9 }),
    ]) {
      expect(shown).not.toContain(secret)
      expect(shown).toContain('(secret)')
    }
  })

  it('do not show in errors', () => {
    const text = refusal(() =>
      resolve({
        environment: { MILLSTREAM_SASL_PASSWORD: secret },
        file: { path: 'f', values: { saslPassword: [secret] } },
      }),
    )
    expect(text).toContain('saslPassword is (a secret), but must be text')
    expect(text).not.toContain(secret)
  })
})
