import { describe, expect, it } from 'vitest'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { output, store, topic } from '../../../src/topology/handles.ts'
import { type ProcessContext, type Processor, processor } from '../../../src/topology/processor.ts'
import type { StreamRecord } from '../../../src/topology/stream-record.ts'
import { topology } from '../../../src/topology/topology.ts'
import { GraphRunner } from './graph-runner.ts'

const input = topic('in', { key: string, value: string })
const out = topic('out', { key: string, value: string })
const numbers = topic('numbers', { key: string, value: int64 })
const totals = store('totals', { key: string, value: int64 })

describe('a processor', () => {
  it('reaches its stores by name or alias, and forwards to its outputs', () => {
    const split = processor({
      name: 'split',
      stores: [totals],
      outputs: { seen: output<string, number>(), first: output<string, string>() },
      process(record: StreamRecord<string, string>, { stores, forward }) {
        const seen = (stores.totals.get(record.key) ?? 0) + 1
        stores.totals.put(record.key, seen)
        if (seen === 1) forward('first', record)
        forward('seen', record.withValue(seen))
      },
    })
    const runner = new GraphRunner(
      topology('test', (t) => {
        const { seen, first } = t.stream(input).process(split)
        seen.to(numbers)
        first.to(out)
        // A second child of one output gets the record as well.
        first.process({
          stores: { alias: totals },
          process: (record, { stores }) => stores.alias.delete(record.key),
        })
      }),
    )
    runner.send('in', 'a', 'x').send('in', 'a', 'y')
    expect(runner.output('out')).toEqual([
      ['a', 'x'],
      ['a', 'y'],
    ])
    expect(runner.output('numbers')).toEqual([
      ['a', 1],
      ['a', 1],
    ])
  })

  it('gets one context, the same for init, process and punctuators', () => {
    const contexts = new Set<unknown>()
    const seen: unknown[] = []
    const runner = new GraphRunner(
      topology('test', (t) => {
        t.stream(input)
          .process({
            outputs: output<string, string>(),
            init(context) {
              contexts.add(context)
              seen.push(context.applicationId, context.taskId, context.partition)
              context.schedule(10, 'stream-time', (timestamp) => seen.push(timestamp))
            },
            process(record, context) {
              contexts.add(context)
              const { forward, metadata, streamTime, wallClockTime } = context
              seen.push(metadata?.offset, streamTime, wallClockTime)
              forward(record)
            },
            close: () => seen.push('closed'),
          })
          .to(out)
      }),
    )
    runner.send('in', 'a', 'x').send('in', 'a', 'y').close()
    expect(contexts.size).toBe(1)
    expect(seen).toEqual(['test', '0_0', 0, 42, 7, 11, 12, 7, 11, 12, 'closed'])
    expect(runner.output('out')).toEqual([
      ['a', 'x'],
      ['a', 'y'],
    ])
  })

  it('may be an object per task, for instance of a class', () => {
    type Stores = { readonly sums: typeof totals }
    class Summing implements Processor<string, string, Stores, undefined> {
      #lengths = 0

      process(record: StreamRecord<string, string>, { stores }: ProcessContext<Stores, undefined>): void {
        this.#lengths += record.value.length
        stores.sums.put(record.key, this.#lengths)
      }
    }
    const built = topology('test', (t) => {
      t.stream(input).process({ stores: { sums: totals }, create: () => new Summing() })
    })
    for (const runner of [new GraphRunner(built), new GraphRunner(built)]) {
      runner.send('in', 'a', 'xx').send('in', 'a', 'yyy')
      expect(runner.stores.get('totals')?.get('a')).toBe(5)
    }
  })

  it('that returns a promise is refused', () => {
    const runner = new GraphRunner(
      topology('test', (t) =>
        t.stream(input).process({ process: (() => Promise.reject(new Error('later'))) as never }),
      ),
    )
    expect(() => runner.send('in', 'a', 'x')).toThrow(/PROCESSING_FAILED.*promise/)
  })
})
