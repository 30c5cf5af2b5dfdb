import { describe, expect, it } from 'vitest'
import type { Topology } from '../../../src/topology/contracts.ts'
import { store, topic } from '../../../src/topology/handles.ts'
import type { RecordStream } from '../../../src/topology/stream.ts'
import { topology } from '../../../src/topology/topology.ts'
import { nullable } from '../../../src/serde/nullable.ts'
import { int32, int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { GraphRunner } from './graph-runner.ts'

const input = topic('in', { key: nullable(string), value: nullable(string) })
const plain = topic('plain', { key: string, value: string })
const out = topic('out', { key: string, value: string })
const numbers = topic('numbers', { key: string, value: int64 })

const of = (build: (stream: RecordStream<string, string>) => void): GraphRunner =>
  new GraphRunner(topology('test', (t) => build(t.stream(plain))))

describe('stateless operators', () => {
  it('filter and filterNot keep and drop', () => {
    const runner = of((stream) => {
      stream.filter((record) => record.value.startsWith('a')).to(out)
      stream
        .filterNot((record) => record.value.startsWith('a'))
        .to(topic('rest', { key: string, value: string }))
    })
    runner.send('plain', 'k', 'ab').send('plain', 'k', 'b')
    expect(runner.output('out')).toEqual([['k', 'ab']])
    expect(runner.output('rest')).toEqual([['k', 'b']])
  })

  it('map takes a key and a value or a record; what it leaves out stays', () => {
    const runner = of((stream) => {
      stream.map((record) => ({ key: record.value, value: record.key })).to(out)
      stream.map((record) => record.withTimestamp(99)).to(out)
      stream.map((record) => ({ key: 'x', value: 'y', timestamp: record.timestamp * 2 })).to(out)
    })
    runner.send('plain', 'k', 'v', 5)
    expect(runner.written).toEqual([
      { topic: 'out', key: 'v', value: 'k', timestamp: 5 },
      { topic: 'out', key: 'k', value: 'v', timestamp: 99 },
      { topic: 'out', key: 'x', value: 'y', timestamp: 10 },
    ])
  })

  it('map sets and keeps headers', () => {
    const seen: (readonly string[])[] = []
    const runner = of((stream) => {
      stream
        .map(() => ({ key: 'a', value: 'b', headers: [{ key: 'h', value: null }] }))
        .map((record) => ({ key: record.key, value: 'c' }))
        .foreach((record) => {
          seen.push(record.headers.map((header) => header.key))
        })
    })
    runner.send('plain', 'k', 'v')
    expect(seen).toEqual([['h']])
  })

  it('mapValues, flatMap, flatMapValues, selectKey', () => {
    const runner = of((stream) => {
      stream.mapValues((value, record) => `${value}${record.key}`).to(out)
      stream.flatMap((record) => [record, { key: 'n', value: record.value }]).to(out)
      stream.flatMapValues((value) => value.split(' ')).to(out)
      stream
        .flatMapValues(function* (value) {
          yield value.length
        })
        .to(numbers)
      stream.selectKey((record) => record.value).to(out)
    })
    runner.send('plain', 'k', 'v w')
    expect(runner.output('out')).toEqual([
      ['k', 'v wk'],
      ['k', 'v w'],
      ['n', 'v w'],
      ['k', 'v'],
      ['k', 'w'],
      ['v w', 'v w'],
    ])
    expect(runner.output('numbers')).toEqual([['k', 3]])
  })

  it('an unchanged key keeps its bytes, an unchanged value too', () => {
    const kept: boolean[] = []
    const runner = of((stream) => {
      stream
        .mapValues((value) => value)
        .peek((record) => {
          kept.push(record.keyBytes !== undefined, record.valueBytes !== undefined)
        })
        .foreach(() => undefined)
      stream
        .selectKey((record) => record.key)
        .foreach((record) => {
          kept.push(record.keyBytes !== undefined, record.valueBytes !== undefined)
        })
    })
    runner.send('plain', 'k', 'v')
    expect(kept).toEqual([true, false, false, true])
  })

  it('branch sends to the first that holds, a merge brings both together', () => {
    const runner = of((stream) => {
      const { long, b } = stream.branch({
        long: (record) => record.value.length > 2,
        b: (record) => record.value.includes('b'),
      })
      long
        .mapValues((value) => `long ${value}`)
        .merge(b)
        .to(out)
      b.foreach(() => undefined)
    })
    for (const value of ['bbb', 'ab', 'a']) runner.send('plain', 'k', value)
    expect(runner.output('out')).toEqual([
      ['k', 'long bbb'],
      ['k', 'ab'],
    ])
  })

  it('a chooser picks among its topics only', () => {
    const other = topic('other', { key: string, value: string })
    const undeclared = topic('undeclared', { key: string, value: string })
    const runner = of((stream) => {
      stream.to((record) => (record.value === 'o' ? other : record.value === 'u' ? undeclared : out), {
        topics: [out, other],
      })
    })
    runner.send('plain', 'k', 'o').send('plain', 'k', 'x')
    expect(runner.written.map((record) => record.topic)).toEqual(['other', 'out'])
    expect(() => runner.send('plain', 'k', 'u')).toThrow(/OUTPUT_NOT_DECLARED.*topic undeclared.*out, other/)
  })

  it('a promise from peek or foreach is refused', () => {
    for (const terminal of [true, false]) {
      const runner = of((stream) => {
        const later = (() => Promise.reject(new Error('later'))) as () => never
        if (terminal) stream.foreach(later)
        else stream.peek(later).to(out)
      })
      expect(() => runner.send('plain', 'k', 'v')).toThrow(/PROCESSING_FAILED.*promise/)
    }
  })
})

describe('aggregations', () => {
  const totals = store('totals', { key: string, value: int64 })

  it('count per key through a repartition topic, without null keys', () => {
    const runner = of((stream) => {
      stream
        .flatMapValues((value) => value.split(' '))
        .groupBy((record) => (record.value === '-' ? (null as never) : record.value), {
          name: 'by-word',
          key: string,
          value: string,
        })
        .count(totals)
        .toStream()
        .to(numbers)
    })
    runner.send('plain', null, 'a b a - c')
    expect(runner.repartitioned).toEqual(['a', 'b', 'a', 'c'])
    expect(runner.output('numbers')).toEqual([
      ['a', 1],
      ['b', 1],
      ['a', 2],
      ['c', 1],
    ])
    expect([...runner.plain('totals').all()]).toEqual([
      { key: 'a', value: 2 },
      { key: 'b', value: 1 },
      { key: 'c', value: 1 },
    ])
  })

  it('leave out records whose key or value is null', () => {
    const runner = new GraphRunner(
      topology('test', (t) => {
        t.stream(input)
          .groupByKey()
          .count(store('n', { key: nullable(string), value: int64 }))
          .toStream()
          .to(topic('n', { key: nullable(string), value: int64 }))
      }),
    )
    runner.send('in', null, 'v').send('in', 'k', null).send('in', 'k', 'v')
    expect(runner.output('n')).toEqual([['k', 1]])
  })

  it('reduce takes the first value as it is', () => {
    const longest = store('longest', { key: string, value: string })
    const runner = of((stream) => {
      stream
        .groupByKey()
        .reduce(longest, (left, right) => (right.length > left.length ? right : left))
        .toStream()
        .to(out)
    })
    for (const value of ['aa', 'b', 'ccc']) runner.send('plain', 'k', value)
    expect(runner.output('out')).toEqual([
      ['k', 'aa'],
      ['k', 'aa'],
      ['k', 'ccc'],
    ])
  })

  it('aggregate begins anew for each key; an aggregate that is null removes it', () => {
    const lists = store('lists', { key: string, value: nullable(string) })
    const runner = of((stream) => {
      stream
        .groupByKey()
        .aggregate(lists, {
          initial: () => '',
          add: (record, list) => (record.value === '!' ? null : `${list ?? ''}${record.value}`),
        })
        .toStream()
        .to(topic('lists', { key: string, value: nullable(string) }))
    })
    for (const [key, value] of [
      ['k', 'a'],
      ['l', 'x'],
      ['k', 'b'],
      ['k', '!'],
      ['k', 'c'],
    ])
      runner.send('plain', key, value)
    expect(runner.output('lists')).toEqual([
      ['k', 'a'],
      ['l', 'x'],
      ['k', 'ab'],
      ['k', null],
      ['k', 'c'],
    ])
  })

  it('forward the unchanged key with its bytes', () => {
    let kept: Buffer | undefined
    const runner = of((stream) => {
      stream
        .groupByKey()
        .count(totals)
        .toStream()
        .foreach((record) => {
          kept = record.keyBytes?.source
        })
    })
    runner.send('plain', 'k', 'v')
    expect(kept?.toString('latin1', 0, 1)).toBe('k')
  })

  it('groupByKey repartitions only where the key may have changed', () => {
    const repartitions = (build: (stream: RecordStream<string, string>) => void): readonly string[] => {
      const built: Topology = topology('test', (t) => build(t.stream(plain)))
      return built.graph.repartitions.map((definition) => definition.name)
    }
    const options = { name: 'again', key: string, value: string }
    expect(
      repartitions((stream) =>
        stream
          .mapValues((value) => value)
          .groupByKey(options)
          .count(totals),
      ),
    ).toEqual([])
    expect(
      repartitions((stream) =>
        stream
          .map((record) => record)
          .groupByKey(options)
          .count(totals),
      ),
    ).toEqual(['again'])
    expect(
      repartitions((stream) =>
        stream
          .merge(stream.selectKey((record) => record.value))
          .filter(() => true)
          .groupByKey(options)
          .count(totals),
      ),
    ).toEqual(['again'])
    expect(
      repartitions((stream) => {
        const { a } = stream.selectKey((record) => record.value).branch({ a: () => true })
        a.repartition({ ...options, name: 'first' })
          .groupByKey()
          .count(totals)
      }),
    ).toEqual(['first'])
    const dropped = of((stream) => {
      stream
        .map((record) => ({ key: null as unknown as string, value: record.value }))
        .groupByKey(options)
        .count(totals)
    })
    dropped.send('plain', 'k', 'v')
    expect(dropped.repartitioned).toEqual([])
  })
})

describe('repartition', () => {
  it('passes records through serdes of its own', () => {
    const runner = of((stream) => {
      stream
        .mapValues((value) => value.length)
        .repartition({
          name: 'lengths',
          key: string,
          value: int32,
          partitions: 3,
          settings: { 'segment.ms': '1' },
        })
        .mapValues((value) => `${value}`)
        .to(out)
    })
    runner.send('plain', 'k', 'four')
    expect(runner.output('out')).toEqual([['k', '4']])
  })
})
