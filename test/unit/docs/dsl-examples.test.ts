// The examples of docs/dsl.md, run.
import { describe, expect, it } from 'vitest'
import { string, topic, topology } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { asyncExamples } from './dsl-async.ts'
import { compositionExamples, spentMs, timed } from './dsl-composition.ts'
import { examples } from './dsl-examples.ts'
import { everyRegion, globalExamples } from './dsl-globals.ts'
import { headerExamples } from './dsl-headers.ts'
import { readOnlyExamples } from './dsl-read-only.ts'
import { suppressExamples } from './dsl-suppress.ts'
import { timeExamples } from './dsl-time.ts'
import { names, numbers, out, sums, texts } from './dsl-parts.ts'
import { versionExamples } from './dsl-versions.ts'

const inputs = { texts, numbers, names }
const outputs = { out, sums }

const all = [
  ...examples,
  ...timeExamples,
  ...versionExamples,
  ...headerExamples,
  ...suppressExamples,
  ...globalExamples,
  ...readOnlyExamples,
  ...asyncExamples,
  ...compositionExamples,
]

describe.each(all)('$section: $operator', (example) => {
  it('does what the page says', async () => {
    using driver = testDriver(topology('example', example.describe))
    let timestamp = 0
    for (const [name, key, value] of example.input)
      driver.input(inputs[name] as typeof names).send(key, value as string | null, { timestamp: ++timestamp })
    await driver.settled()
    const written = Object.entries(outputs).flatMap(([name, topic]) =>
      driver.topics.includes(topic.name)
        ? driver
            .output(topic as typeof out)
            .readKeyValues()
            .map(({ key, value }) => [name, key, value])
        : [],
    )
    expect(written).toEqual(example.output)
  })

  it('is at most ten lines long', () => {
    expect(String(example.describe).split('\n').length - 2).toBeLessThanOrEqual(10)
  })
})

it('the wrapper of the page sees every processor', () => {
  const app = topology('example', (t) => t.stream(texts).filter(Boolean).mapValues(String).to(out))
  using driver = testDriver(app, { wrapProcessor: timed })
  driver.input(texts).send('a', 'x')
  expect([...spentMs.keys()].toSorted()).toEqual(['filter-1', 'map-values-1'])
  expect(driver.output(out).readKeyValues()).toEqual([{ key: 'a', value: 'x' }])
})

it('the topics by pattern of the page are counted', () => {
  using driver = testDriver(everyRegion, { topics: ['orders-eu', 'orders-us', 'others'] })
  for (const name of ['orders-eu', 'orders-us'])
    driver.input(topic(name, { key: string, value: string })).send('a', 'x')
  expect(driver.output(sums).readKeyValues()).toEqual([
    { key: 'a', value: 1 },
    { key: 'a', value: 2 },
  ])
})
