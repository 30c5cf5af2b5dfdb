// Processors that keep the key: what they forward stays in its partition, and the DSL knows it.
import {
  type ForwardValue,
  int64,
  output,
  store,
  string,
  topic,
  topology,
  valueOutput,
  valueProcessor,
} from 'millstream'
import { testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const words = topic('words', { key: string, value: string })
const lengths = topic('lengths', { key: string, value: int64 })
const out = topic('out', { key: string, value: string })
const totals = store('totals', { key: string, value: int64 })
const counts = store('counts', { key: string, value: int64 })

describe('processValues', () => {
  it('forwards values under the key, with time and headers of the record or its own', () => {
    using driver = testDriver(
      topology('app', (t) =>
        t
          .stream(words)
          .processValues({
            stores: { totals },
            outputs: valueOutput<number>(),
            process({ key, value }, { stores, forward }) {
              const sum = (stores.totals.get(key) ?? 0) + value.length
              stores.totals.put(key, sum)
              forward(sum)
              forward(-sum, { timestamp: 99, headers: [{ key: 'own', value: null }] })
            },
          })
          .to(lengths),
      ),
    )
    const headers = [{ key: 'h', value: Buffer.from('x') }]
    driver.input(words).send('a', 'to', { timestamp: 7, headers })
    driver.input(words).send('a', 'be', { timestamp: 8 })
    const shown = driver
      .output(lengths)
      .readAll()
      .map((record) => [
        record.key,
        record.value,
        record.timestamp,
        record.headers.map(({ key }) => key).join(),
      ])
    expect(shown).toEqual([
      ['a', 2, 7, 'h'],
      ['a', -2, 99, 'own'],
      ['a', 4, 8, ''],
      ['a', -4, 99, 'own'],
    ])
  })

  it('needs no repartition after it, where process does', () => {
    const app = topology('app', (t) => {
      const stream = t.stream(words).processValues({
        outputs: valueOutput<string>(),
        process: ({ value }, { forward }) => forward(value),
      })
      stream.groupByKey().count(counts)
    })
    expect(app.graph.repartitions).toEqual([])
    expect(app.graph.subtopologies).toHaveLength(1)
    expect(() =>
      topology('app', (t) => {
        const stream = t.stream(words).process({
          outputs: output<string, string>(),
          process: (record, { forward }) => forward(record),
        })
        stream.groupByKey().count(counts)
      }),
    ).toThrow('groupByKey after process-1, where the key may have changed, needs a repartition topic')
  })

  it('does not make up for a key that was changed before it', () => {
    expect(() =>
      topology('app', (t) => {
        t.stream(words)
          .selectKey(({ value }) => value)
          .processValues({ outputs: valueOutput<string>(), process: () => undefined })
          .groupByKey()
          .count(counts)
      }),
    ).toThrow('groupByKey after process-values-1, where the key may have changed')
  })

  it('has outputs by name, also one that is named output', () => {
    using driver = testDriver(
      topology('app', (t) => {
        const { output: short, rest } = t.stream(words).processValues({
          name: 'by-length',
          outputs: { output: valueOutput<string>(), rest: valueOutput<number>() },
          process: ({ value }, { forward }) =>
            value.length < 3 ? forward('output', value) : forward('rest', value.length, { timestamp: 3 }),
        })
        short.to(out)
        rest.to(lengths)
      }),
    )
    driver.input(words).send('a', 'to')
    driver.input(words).send('a', 'long')
    expect(driver.output(out).readKeyValues()).toEqual([{ key: 'a', value: 'to' }])
    expect(driver.output(lengths).readAll()).toMatchObject([{ key: 'a', value: 4, timestamp: 3 }])
  })

  it('may be declared apart, with an object per task, and end the stream', () => {
    const seen: string[] = []
    const watch = valueProcessor({
      create: () => {
        const own: string[] = []
        return {
          init: ({ taskId }) => void seen.push(`init ${taskId}`),
          process: ({ key, value }: { key: string; value: string }) => {
            own.push(value)
            seen.push(`${key} ${own.join()}`)
          },
          close: () => void seen.push('close'),
        }
      },
    })
    const driver = testDriver(topology('app', (t) => void t.stream(words).processValues(watch)))
    driver.input(words).send('a', 'x')
    driver.input(words).send('b', 'y')
    driver.close()
    expect(seen).toEqual(['init 0_0', 'a x', 'b x,y', 'close'])
  })

  it('refuses to forward where no record is in hand: in a punctuator, and later', () => {
    let kept: ForwardValue<ReturnType<typeof valueOutput<string>>> | undefined
    let ticks = 0
    const app = topology('app', (t) =>
      t
        .stream(words)
        .processValues({
          outputs: valueOutput<string>(),
          init: ({ schedule, forward }) => {
            schedule(1000, 'wall-clock', () => {
              ticks++
              forward('tick')
            })
          },
          process: ({ value }, { forward }) => {
            kept = forward
            if (value === 'bad') throw new Error('bad')
          },
        })
        .to(out),
    )
    using driver = testDriver(app)
    driver.input(words).send('a', 'x')
    expect(() => kept?.('late')).toThrow(
      'CONTEXT_EXPIRED: forward of processValues was called when no record',
    )
    expect(() => driver.input(words).send('a', 'bad')).toThrow('PROCESSING_FAILED')
    // What failed is no longer in hand either.
    expect(() => kept?.('late')).toThrow(
      'CONTEXT_EXPIRED: forward of processValues was called when no record',
    )
    expect(() => driver.advanceWallClock(1000)).toThrow(
      /PUNCTUATOR_FAILED: .*CONTEXT_EXPIRED: forward of processValues/,
    )
    expect(ticks).toBe(1)
    expect(driver.output(out).isEmpty).toBe(true)
  })

  it('is checked when the topology is built', () => {
    expect(() =>
      topology('app', (t) =>
        t.stream(words).processValues({ process: (async () => undefined) as () => void }),
      ),
    ).toThrow('process of processValues after words-source is an async function')
    expect(() =>
      topology('app', (t) => {
        t.stream(words).processValues({ outputs: valueOutput<string>(), process: () => undefined })
      }),
    ).toThrow('the stream after process-values-1 leads nowhere')
  })
})
