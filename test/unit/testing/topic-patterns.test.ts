// Topics by pattern in the test driver, and what is wrong with some.
import { describe, expect, it } from 'vitest'
import {
  describeTopology,
  int64,
  output,
  store,
  string,
  topic,
  topicPattern,
  topology,
  type TopologyScope,
} from '../../../src/index.ts'
import { simulate, testDriver } from '../../../src/testing/index.ts'

const pattern = topicPattern(/orders-.+/, { key: string, value: string })
const out = topic('out', { key: string, value: string })
const counts = store('counts', { key: string, value: int64 })
const orders = (name: string) => topic(name, { key: string, value: string })

const named = topology('named', (t) => {
  t.stream(pattern)
    .process({
      outputs: output<string, string>(),
      process(record, { metadata, taskId, forward }) {
        forward(record.withValue(`${metadata?.topic} ${metadata?.partition} ${taskId} ${record.value}`))
      },
    })
    .to(out)
})

describe('topics by pattern', () => {
  it('are those whose whole name matches; each record knows its topic', () => {
    using driver = testDriver(named, {
      topics: ['orders-eu', 'orders-us', 'my-orders-eu', 'orders-'],
      partitions: { 'orders-eu': 1, 'orders-us': 2, 'my-orders-eu': 1, 'orders-': 1, out: 1 },
    })
    driver.input(orders('orders-eu')).send('a', 'one')
    driver.input(orders('orders-us')).send('a', 'two', { partition: 1 })
    expect(() => driver.input(orders('my-orders-eu'))).toThrow(/DRIVER_MISUSED.*does not read/)
    expect(() => driver.input(orders('orders-'))).toThrow(/DRIVER_MISUSED.*does not read/)
    expect(
      driver
        .output(out)
        .readKeyValues()
        .map(({ value }) => value),
    ).toEqual(['orders-eu 0 0_0 one', 'orders-us 1 0_1 two'])
  })

  it('may have flags; those that remember where a match ended do no harm', () => {
    const app = topology('flags', (t) => {
      t.stream(topicPattern(/ORDERS-(eu|us)/giy, { key: string, value: string })).to(out)
    })
    using driver = testDriver(app, { topics: ['orders-eu', 'Orders-US', 'orders-eux'] })
    for (const name of ['orders-eu', 'Orders-US']) driver.input(orders(name)).send('a', name)
    expect(driver.output(out).readKeyValues()).toHaveLength(2)
    expect(() => driver.input(orders('orders-eux'))).toThrow('DRIVER_MISUSED')
  })

  it('share the task of their partition, and its stores', () => {
    const app = topology('counts', (t) => {
      t.stream(pattern).groupByKey().count(counts)
    })
    using driver = testDriver(app, { topics: ['orders-eu', 'orders-us'], partitions: 2 })
    driver.input(orders('orders-eu')).send('a', 'x')
    driver.input(orders('orders-us')).send('a', 'x')
    expect(driver.store(counts).get('a')).toBe(2)
    driver.restart()
    driver.input(orders('orders-us')).send('a', 'x')
    expect(driver.store(counts).get('a')).toBe(3)
    expect(() =>
      testDriver(app, { topics: ['orders-eu', 'orders-us'], partitions: { 'orders-eu': 2 } }),
    ).toThrow(
      /TOPOLOGY_INVALID.*feed store counts with different numbers of partitions: orders-eu has 2, orders-us has 1/,
    )
  })

  const mistakes: Readonly<Record<string, readonly [(t: TopologyScope) => void, RegExp]>> = {
    'a topic that is read by its name, too': [
      (t) => {
        t.stream(pattern).to(out)
        t.stream(orders('orders-eu')).to(out)
      },
      /topic orders-eu is read twice: by its name, and as one that matches a pattern/,
    ],
    'a global table of a topic that matches': [
      (t) => {
        t.stream(topicPattern(/.*/, { key: string, value: string })).to(out)
        t.table(orders('orders-eu'), store('rows', { key: string, value: string }))
      },
      /topic orders-eu is read twice/,
    ],
    'one pattern twice': [
      (t) => {
        t.stream(pattern).to(out)
        t.stream(pattern).to(out)
      },
      /topic \/orders-\.\+\/ is read twice/,
    ],
  }
  it.each(Object.entries(mistakes))('%s is a mistake', (_, [build, message]) => {
    expect(() => topology('mistaken', build)).toThrow(message)
  })

  it('that match two patterns are refused', () => {
    const app = topology('overlap', (t) => {
      t.stream(pattern).to(out)
      t.stream(topicPattern(/.+-eu/, { key: string, value: string })).to(out)
    })
    expect(() => testDriver(app, { topics: ['orders-us', 'x-eu'] }).close()).not.toThrow()
    expect(() => testDriver(app, { topics: ['orders-eu'] })).toThrow(
      /TOPOLOGY_INVALID: topic orders-eu matches \/orders-\.\+\/ and \/\.\+-eu\//,
    )
  })

  it('stand in descriptions as the pattern', () => {
    expect(describeTopology(named.graph, { applicationId: 'named', format: 'text' })).toContain(
      'source pattern-source: topics that match /orders-.+/ (string, string)',
    )
  })

  it('are refused by simulate', async () => {
    await expect(
      simulate({ topology: named, seeds: 1, input: () => undefined, invariants: () => undefined }),
    ).rejects.toThrow(/DRIVER_MISUSED.*not simulated/)
  })
})
