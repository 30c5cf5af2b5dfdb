// DescribeConfigs and IncrementalAlterConfigs.
import { describe, expect } from 'vitest'
import { type DescribedResource, describeConfigs } from '../../src/protocol/describe-configs.ts'
import { metadata } from '../../src/protocol/metadata.ts'
import { contract } from '../support/contract/contract.ts'
import { produceTo } from '../support/contract/log.ts'
import { nameOf, unique } from '../support/contract/names.ts'
import { incrementalAlterConfigs, type SettingChange } from '../support/contract/other-apis.ts'
import { settled } from '../support/contract/waits.ts'
import type { Wire } from '../support/contract/wire.ts'

const [set, unset, append, subtract] = [0, 1, 2, 3]

const settingsOf = async (
  wire: Wire,
  name: string,
  keys: readonly string[] | null = null,
  type = 2,
): Promise<DescribedResource> => {
  const found = (await wire.ask(describeConfigs, { resources: [{ type, name, keys }] })).resources[0]
  if (found === undefined) throw new Error('DescribeConfigs was answered without the resource')
  return found
}

const settingOf = async (
  wire: Wire,
  topic: string,
  name: string,
): Promise<[string | null, number] | undefined> => {
  const [found] = (await settingsOf(wire, topic, [name])).configs
  return found && [found.value, found.source]
}

const change = async (
  wire: Wire,
  topic: string,
  changes: readonly SettingChange[],
  validateOnly = false,
): Promise<string> =>
  nameOf((await wire.ask(incrementalAlterConfigs, { topic, changes, validateOnly }))[0]?.errorCode)

/** A change reaches the broker a little after it is answered. */
const untilIs = async (wire: Wire, topic: string, name: string, value: string | null): Promise<void> => {
  const found = await settled(
    async () => (await settingOf(wire, topic, name))?.[0],
    (one) => one === value,
  )
  expect(found).toBe(value)
}

/** Where a value comes from. */
const [ofTopic, ofDefault] = [1, 5]

describe('DescribeConfigs', () => {
  contract('knows the defaults of a topic', async (broker) => {
    const topic = await broker.topic()
    const { errorCode, configs } = await settingsOf(broker.wire, topic)
    expect(errorCode).toBe(0)
    const values = Object.fromEntries(configs.map(({ name, value }) => [name, value]))
    expect(values).toMatchObject({
      'cleanup.policy': 'delete',
      'compression.type': 'producer',
      'delete.retention.ms': '86400000',
      'max.compaction.lag.ms': '9223372036854775807',
      'max.message.bytes': '1048588',
      'message.timestamp.after.max.ms': '3600000',
      'message.timestamp.before.max.ms': '9223372036854775807',
      'message.timestamp.type': 'CreateTime',
      'min.cleanable.dirty.ratio': '0.5',
      'min.compaction.lag.ms': '0',
      'min.insync.replicas': '1',
      'retention.bytes': '-1',
      'retention.ms': '604800000',
      'segment.bytes': '1073741824',
      'segment.ms': '604800000',
    })
    expect(configs.find(({ name }) => name === 'retention.ms')).toMatchObject({
      ...{ source: ofDefault, readOnly: false, isSensitive: false },
    })
  })

  contract('tells what was set for the topic', async (broker) => {
    const topic = await broker.topic(1, { 'retention.ms': '1234567', 'cleanup.policy': 'compact,delete' })
    expect(await settingOf(broker.wire, topic, 'retention.ms')).toEqual(['1234567', ofTopic])
    expect(await settingOf(broker.wire, topic, 'cleanup.policy')).toEqual(['compact,delete', ofTopic])
    expect((await settingOf(broker.wire, topic, 'segment.ms'))?.[1]).toBe(ofDefault)
  })

  contract('answers those that are asked for, and passes over names that there are not', async (broker) => {
    const topic = await broker.topic()
    const { configs } = await settingsOf(broker.wire, topic, [
      'segment.ms',
      'no.such.setting',
      'retention.ms',
    ])
    expect(configs.map(({ name }) => name).sort()).toEqual(['retention.ms', 'segment.ms'])
    expect((await settingsOf(broker.wire, topic, [])).configs.length).toBeGreaterThanOrEqual(0)
  })

  contract('of an unknown topic', async ({ wire }) => {
    const found = await settingsOf(wire, unique('unknown'))
    expect(nameOf(found.errorCode)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(found.configs).toEqual([])
  })

  contract('of the broker', async ({ wire }) => {
    const { controllerId } = await wire.ask(metadata, { topics: [] })
    const broker = 4
    const { errorCode, configs } = await settingsOf(wire, String(controllerId), null, broker)
    expect(errorCode).toBe(0)
    const values = Object.fromEntries(configs.map(({ name, value }) => [name, value]))
    expect(values).toMatchObject({ 'auto.create.topics.enable': 'true', 'num.partitions': '3' })
  })
})

describe('IncrementalAlterConfigs', () => {
  contract('sets a value and takes it back to its default', async (broker) => {
    const { wire } = broker
    const topic = await broker.topic()
    expect(await change(wire, topic, [{ name: 'retention.ms', operation: set, value: '5000' }])).toBe('NONE')
    await untilIs(wire, topic, 'retention.ms', '5000')
    expect(await change(wire, topic, [{ name: 'retention.ms', operation: unset, value: null }])).toBe('NONE')
    await untilIs(wire, topic, 'retention.ms', '604800000')
  })

  contract('takes hold at the next produce', async (broker) => {
    const { wire } = broker
    const topic = await broker.topic()
    const big = ['x'.repeat(400)]
    expect((await produceTo(wire, topic, big)).error).toBe('NONE')
    await change(wire, topic, [{ name: 'max.message.bytes', operation: set, value: '300' }])
    await untilIs(wire, topic, 'max.message.bytes', '300')
    expect((await produceTo(wire, topic, big)).error).toBe('MESSAGE_TOO_LARGE')
  })

  contract('appends to a list and takes out of it', async (broker) => {
    const { wire } = broker
    const topic = await broker.topic(1, { 'cleanup.policy': 'delete' })
    const name = 'cleanup.policy'
    expect(await change(wire, topic, [{ name, operation: append, value: 'compact' }])).toBe('NONE')
    await untilIs(wire, topic, name, 'delete,compact')
    expect(await change(wire, topic, [{ name, operation: subtract, value: 'delete' }])).toBe('NONE')
    await untilIs(wire, topic, name, 'compact')
    expect(await change(wire, topic, [{ name: 'retention.ms', operation: append, value: '1' }])).toBe(
      'INVALID_CONFIG',
    )
  })

  contract('refuses settings that there are not, and values that they cannot have', async (broker) => {
    const { wire } = broker
    const topic = await broker.topic()
    const one = (name: string, value: string): Promise<string> =>
      change(wire, topic, [{ name, operation: set, value }])
    expect(await one('no.such.setting', '1')).toBe('INVALID_CONFIG')
    expect(await one('retention.ms', 'long')).toBe('INVALID_CONFIG')
    expect(await one('cleanup.policy', 'sometimes')).toBe('INVALID_CONFIG')
    expect((await settingOf(wire, topic, 'cleanup.policy'))?.[0]).toBe('delete')
  })

  contract('takes all of its changes or none', async (broker) => {
    const { wire } = broker
    const topic = await broker.topic()
    const changes = [
      { name: 'retention.ms', operation: set, value: '5000' },
      { name: 'segment.ms', operation: set, value: 'never' },
    ] as SettingChange[]
    expect(await change(wire, topic, changes)).toBe('INVALID_CONFIG')
    expect((await settingOf(wire, topic, 'retention.ms'))?.[0]).toBe('604800000')
  })

  contract('only checks where that is asked for', async (broker) => {
    const topic = await broker.topic()
    const changes = [{ name: 'retention.ms', operation: set, value: '5000' }] as SettingChange[]
    expect(await change(broker.wire, topic, changes, true)).toBe('NONE')
    expect((await settingOf(broker.wire, topic, 'retention.ms'))?.[0]).toBe('604800000')
  })

  contract('of an unknown topic', async ({ wire }) => {
    const changes = [{ name: 'retention.ms', operation: set, value: '5000' }] as SettingChange[]
    expect(await change(wire, unique('unknown'), changes)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })
})
