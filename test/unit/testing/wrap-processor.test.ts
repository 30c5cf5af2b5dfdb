// Wrapping of every processor: what a wrapper is told, what it may leave out, and what it may not answer.
import { int64, store, StreamRecord, string, topic, topology, type WrapProcessor } from 'millstream'
import { testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import type { ProcessorContext } from '../../../src/topology/contracts.ts'

const words = topic('words', { key: string, value: string })
const counts = topic('counts', { key: string, value: int64 })
const totals = store('totals', { key: string, value: int64 })

const app = topology('app', (t) => {
  t.stream(words)
    .filter(({ value }) => value !== 'no')
    .groupByKey()
    .count(totals)
    .toStream()
    .to(counts)
  t.stream(topic('others', { key: string, value: string })).process({
    name: 'mine',
    stores: [store('own', { key: string, value: int64 })],
    process: () => undefined,
  })
})

describe('wrapProcessor', () => {
  it('is told of every processor of every task, and sees every record on its way', () => {
    const nodes: string[] = []
    const seen: string[] = []
    const wrapProcessor: WrapProcessor = ({ name, operator, stores }, processor) => {
      nodes.push(`${operator} ${name} [${stores.join()}]`)
      return {
        process(record) {
          seen.push(`> ${name} ${record.key}=${record.value}`)
          try {
            processor.process(record)
          } finally {
            seen.push(`< ${name}`)
          }
        },
      }
    }
    using driver = testDriver(app, { wrapProcessor })
    expect(nodes).toEqual([
      'filter filter-1 []',
      'count count-totals [totals]',
      'toStream to-stream-1 []',
      'process mine [own]',
    ])
    driver.input(words).send('a', 'yes')
    driver.input(words).send('a', 'no')
    // Depth first: a processor lasts as long as what follows from it.
    expect(seen).toEqual([
      '> filter-1 a=yes',
      '> count-totals a=yes',
      '> to-stream-1 a=1',
      '< to-stream-1',
      '< count-totals',
      '< filter-1',
      '> filter-1 a=no',
      '< filter-1',
    ])
    expect(driver.output(counts).readKeyValues()).toEqual([{ key: 'a', value: 1 }])
    expect(driver.store(totals).get('a')).toBe(1)
  })

  it('may have init and close of its own, which then call those of the processor', () => {
    const calls: string[] = []
    const inner = topology('app', (t) =>
      t.stream(words).process({
        init: ({ taskId }) => void calls.push(`inner init ${taskId}`),
        process: () => void calls.push('inner'),
        close: () => void calls.push('inner close'),
      }),
    )
    const driver = testDriver(inner, {
      partitions: 2,
      wrapProcessor: (_, processor) => ({
        init(context) {
          calls.push(`outer init ${context.taskId}`)
          processor.init?.(context)
        },
        process: (record) => processor.process(record),
        close() {
          processor.close?.()
          calls.push('outer close')
        },
      }),
    })
    driver.input(words).send('a', 'x')
    driver.close()
    expect(calls).toEqual([
      'outer init 0_0',
      'inner init 0_0',
      'outer init 0_1',
      'inner init 0_1',
      'inner',
      'inner close',
      'outer close',
      'inner close',
      'outer close',
    ])
  })

  it('has init and close of the processor where it names none, and may leave a processor as it is', () => {
    const calls: string[] = []
    const inner = topology('app', (t) => {
      t.stream(words).process({
        name: 'wrapped',
        init: () => void calls.push('init'),
        process: () => void calls.push('process'),
        close: () => void calls.push('close'),
      })
    })
    for (const wrapProcessor of [
      ((_, processor) => ({ process: (record) => processor.process(record) })) as WrapProcessor,
      ((_, processor) => processor) as WrapProcessor,
    ]) {
      calls.length = 0
      const driver = testDriver(inner, { wrapProcessor })
      driver.input(words).send('a', 'x')
      driver.close()
      expect(calls).toEqual(['init', 'process', 'close'])
    }
  })

  it('cannot forward when no record is in hand, whole or by value', () => {
    const late: (() => void)[] = []
    using driver = testDriver(app, {
      wrapProcessor: ({ name }, processor) => ({
        init(context) {
          processor.init?.(context)
          if (name !== 'to-stream-1') return
          const record = StreamRecord.of({ key: 'late', value: 1, timestamp: 0 })
          late.push(
            () => context.forward(record),
            () => context.forwardValue(record, 2),
          )
        },
        process: (record) => processor.process(record),
      }),
    })
    expect(late).toHaveLength(2)
    for (const forward of late) expect(forward).toThrow('CONTEXT_EXPIRED')
    driver.input(words).send('a', 'x')
    for (const forward of late) expect(forward).toThrow('CONTEXT_EXPIRED')
    expect(driver.output(counts).readKeyValues()).toEqual([{ key: 'a', value: 1 }])
  })

  it.each<[string, (context: ProcessorContext, forward: ProcessorContext['forward']) => ProcessorContext]>([
    ['in it', (context, forward) => Object.assign(context, { forward })],
    ['in a descendant', (context, forward) => Object.create(context, { forward: { value: forward } })],
    [
      'in a proxy',
      (context, forward) =>
        new Proxy(context, {
          get: (target, property) => {
            const value = target[property as keyof ProcessorContext]
            return property === 'forward' ? forward : value
          },
        }),
    ],
  ])('sees by a forward of its own (%s) what is forwarded, by its value alone, too', (_, withForward) => {
    const seen: unknown[] = []
    const lengths = topology('lengths', (t) => {
      t.stream(words)
        .mapValues((value) => value.length)
        .to(counts)
    })
    using driver = testDriver(lengths, {
      wrapProcessor: ({ name }, processor) => ({
        init(context) {
          const { forward } = context
          const watching: ProcessorContext['forward'] = (record, output) => {
            seen.push(`${name} ${record.key}=${record.value}`)
            forward.call(context, record, output)
          }
          processor.init?.(withForward(context, watching))
        },
        process: (record) => processor.process(record),
      }),
    })
    driver.input(words).send('a', 'x')
    expect(seen).toEqual(['map-values-1 a=1'])
    expect(driver.output(counts).readKeyValues()).toEqual([{ key: 'a', value: 1 }])
  })

  it('fails the record where it throws', () => {
    using driver = testDriver(app, {
      wrapProcessor: ({ name }, processor) => ({
        process(record) {
          processor.process(record)
          if (name === 'count-totals') throw new Error('the tracer is broken')
        },
      }),
    })
    expect(() => driver.input(words).send('a', 'x')).toThrow(
      'PROCESSING_FAILED: a processor threw Error: the tracer is broken (topic words',
    )
    expect(driver.store(totals).get('a')).toBeUndefined()
    expect(driver.output(counts).isEmpty).toBe(true)
  })

  it('refuses what is no processor', () => {
    const answering = (answer: unknown) => () =>
      testDriver(app, { wrapProcessor: (() => answer) as unknown as WrapProcessor })
    expect(answering(undefined)).toThrow(
      'TOPOLOGY_INVALID: wrapProcessor did not answer a processor: its process is not a function (processor filter-1)',
    )
    expect(answering({})).toThrow('its process is not a function')
    expect(answering({ process: async () => undefined })).toThrow('its process is an async function')
    expect(() => testDriver(app, { wrapProcessor: 3 as unknown as WrapProcessor })).toThrow(
      'TOPOLOGY_INVALID: wrapProcessor is not a function',
    )
  })

  it('changes nothing of the topology', () => {
    const before = app.graph.subtopologies.map(({ nodes }) => [...nodes])
    testDriver(app, {
      wrapProcessor: (_, processor) => ({ process: (record) => processor.process(record) }),
    }).close()
    expect(app.graph.subtopologies.map(({ nodes }) => [...nodes])).toEqual(before)
    let wrapped = false
    const watching: WrapProcessor = (_, processor) => {
      wrapped = true
      return processor
    }
    testDriver(app, { wrapProcessor: watching }).close()
    expect(wrapped).toBe(true)
    wrapped = false
    testDriver(app).close()
    expect(wrapped).toBe(false)
  })
})
