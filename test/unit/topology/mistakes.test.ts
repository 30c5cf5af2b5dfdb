import { describe, expect, it } from 'vitest'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { type GlobalTable, globalStore } from '../../../src/topology/global-table.ts'
import { output, store, topic, versionedStore, windowStore } from '../../../src/topology/handles.ts'
import type { RecordStream } from '../../../src/topology/stream.ts'
import { tumbling } from '../../../src/topology/windows.ts'
import { type TopologyScope, isTopology, refuseSameNames, topology } from '../../../src/topology/topology.ts'

const input = topic('in', { key: string, value: string })
const out = topic('out', { key: string, value: string })
const counts = store('counts', { key: string, value: int64 })
const waits = store('waits', { key: string, value: string })
const repartition = { name: 'again', key: string, value: string }

type Build = (stream: RecordStream<string, string>) => void

const messageOf = (build: () => unknown): string => {
  try {
    build()
  } catch (error) {
    return (error as Error).message
  }
  return 'no error'
}

const mistakeOf = (build: Build): string => messageOf(() => topology('test', (t) => build(t.stream(input))))

describe('a mistake in a topology', () => {
  const cases: Readonly<Record<string, readonly [Build, RegExp]>> = {
    'a stream that leads nowhere': [
      (stream) => stream.mapValues((value) => value),
      /the stream after map-values-1 leads nowhere/,
    ],
    'a source that leads nowhere': [() => undefined, /the stream after in-source leads nowhere/],
    'a peek at the end': [(stream) => stream.peek(() => undefined), /the stream after peek-1 leads nowhere/],
    'a group without an aggregation': [
      (stream) => stream.groupBy((record) => record.value, repartition),
      /after again-repartition-source leads nowhere/,
    ],
    'a branch that leads nowhere': [
      (stream) => stream.branch({ a: () => true, b: () => true }).a.to(out),
      /the output b of branch-1 leads nowhere/,
    ],
    'an output that leads nowhere': [
      (stream) =>
        stream.process({ name: 'p', outputs: { x: output<string, string>() }, process: () => undefined }),
      /the output x of p leads nowhere/,
    ],
    'a single output that leads nowhere': [
      (stream) => stream.process({ name: 'p', outputs: output<string, string>(), process: () => undefined }),
      /the stream after p leads nowhere/,
    ],
    'a repartition name used twice': [
      (stream) => {
        stream.repartition(repartition).to(out)
        stream.repartition(repartition).to(out)
      },
      /two repartition topics are named again/,
    ],
    'an impossible history': [
      (stream) => void stream.toTable(versionedStore('v', { key: string, value: string, historyMs: -1 })),
      /store v: historyMs is -1, but takes a whole number from 0/,
    ],
    'an impossible time to live': [
      (stream) => void stream.toTable(store('v', { key: string, value: string, ttlMs: 0.5 })),
      /store v: ttlMs is 0.5, but takes a whole number from 1/,
    ],
    'an impossible version': [
      (stream) => void stream.toTable(store('v', { key: string, value: string, version: 0 })),
      /store v: version is 0, but takes a whole number from 1 to 9999/,
    ],
    'a migration to the first version': [
      (stream) => void stream.toTable(store('v', { key: string, value: string, migrate: () => '' })),
      /store v: it has a migrate, but no version above 1 to migrate to/,
    ],
    'an asynchronous migration': [
      (stream) =>
        void stream.toTable(
          store('v', { key: string, value: string, version: 2, migrate: (async () => '') as never }),
        ),
      /migrate of store v is an async function/,
    ],
    'a time to live for a store that has a time of its own': [
      (stream) =>
        void stream
          .groupByKey()
          .windowedBy(tumbling({ sizeMs: 5, graceMs: 0 }))
          .count(Object.freeze({ ...windowStore('v', { key: string, value: int64 }), ttlMs: 5 })),
      /store v: ttlMs is for stores made with store/,
    ],
    'headers that are no choice': [
      (stream) => void stream.toTable(store('v', { key: string, value: string, headers: 'all' as never })),
      /store v: headers is all, but takes true or false/,
    ],
    'headers in windows': [
      (stream) =>
        void stream
          .groupByKey()
          .windowedBy(tumbling({ sizeMs: 5, graceMs: 0 }))
          .count(windowStore('v', { key: string, value: int64, headers: true } as never) as never),
      /store v: headers are kept by stores made with store; a store of windows keeps none/,
    ],
    'headers of versions': [
      (stream) =>
        void stream.toTable(
          versionedStore('v', { key: string, value: string, historyMs: 5, headers: true } as never) as never,
        ),
      /store v: headers are kept by stores made with store; a versioned store keeps none/,
    ],
    'headers of records that wait': [
      (stream) => {
        const table = stream.toTable(versionedStore('v', { key: string, value: string, historyMs: 9 }))
        const headed = store('w', { key: string, value: string, headers: true })
        stream.join(table, (value) => value, { graceMs: 5, store: headed }).to(out)
      },
      /store w holds the records that wait in a join: it takes no ttlMs, no version and no headers/,
    ],
    'a grace for a table without versions': [
      (stream) => {
        const table = stream.toTable(store('v', { key: string, value: string }))
        stream.join(table, (value) => value, { graceMs: 5, store: waits }).to(out)
      },
      /the join after in-source: graceMs is for tables in a versioned store/,
    ],
    'a grace longer than the history': [
      (stream) => {
        const table = stream.toTable(versionedStore('v', { key: string, value: string, historyMs: 4 }))
        stream.leftJoin(table, (value) => value, { graceMs: 5, store: waits }).to(out)
      },
      /the leftJoin after in-source: graceMs is 5, but the table knows its last 4 ms only/,
    ],
    'a negative grace of such a join': [
      (stream) => {
        const table = stream.toTable(versionedStore('v', { key: string, value: string, historyMs: 4 }))
        stream.join(table, (value) => value, { graceMs: -1, store: waits }).to(out)
      },
      /the join after in-source: graceMs is -1, but takes a whole number from 0/,
    ],
    'a store of records that wait, used by somebody else': [
      (stream) => {
        const table = stream.toTable(versionedStore('v', { key: string, value: string, historyMs: 9 }))
        stream.join(table, (value) => value, { graceMs: 5, store: waits }).to(out)
        stream.process({ name: 'p', stores: [waits], process: () => undefined })
      },
      /store waits holds the records that wait in a join; only that can use it, not join-1 and p/,
    ],
    'two stores of one name': [
      (stream) => {
        stream.groupByKey().count(counts)
        stream.groupByKey().reduce(store('counts', { key: string, value: string }), (left) => left)
      },
      /two stores are named counts/,
    ],
    'a store of two aggregations': [
      (stream) => {
        stream.groupByKey().count(counts)
        stream.groupByKey().aggregate(counts, { initial: () => 0, add: () => 1 })
      },
      /store counts holds the results of two operators, count-counts and aggregate-counts/,
    ],
    'two processors of one name': [
      (stream) => {
        stream.process({ name: 'p', process: () => undefined })
        stream.process({ name: 'p', process: () => undefined })
      },
      /two processors are named p/,
    ],
    'an empty processor name': [
      (stream) => stream.process({ name: '', process: () => undefined }),
      /empty name/,
    ],
    'a chooser without topics': [
      (stream) => stream.to(() => out, { topics: [] }),
      /the chooser after in-source has no topics/,
    ],
    'an empty topic name': [
      (stream) => stream.to(topic('', { key: string, value: string })),
      /the name of a topic is empty/,
    ],
    'a topic name that Kafka refuses': [
      (stream) => stream.to(topic('a b', { key: string, value: string })),
      /topic "a b".*letters/,
    ],
    'the topic ..': [(stream) => stream.to(topic('..', { key: string, value: string })), /Kafka refuses/],
    'a topic name too long': [
      (stream) => stream.to(topic('x'.repeat(250), { key: string, value: string })),
      /longer than 249/,
    ],
    'a dot in a store name': [
      (stream) => stream.groupByKey().count(store('a.b', { key: string, value: int64 })),
      /a store "a.b"/,
    ],
    'a dot in a repartition name': [
      (stream) => stream.repartition({ ...repartition, name: 'a.b' }).to(out),
      /a repartition topic "a.b"/,
    ],
    'an engine that does not exist': [
      (stream) =>
        stream.groupByKey().count(store('s', { key: string, value: int64, engine: 'rocksdb' as 'lmdb' })),
      /store s: engine is rocksdb/,
    ],
    'half a partition': [
      (stream) => stream.repartition({ ...repartition, partitions: 0.5 }).to(out),
      /partitions is 0.5/,
    ],
    'an output named by a number': [
      (stream) => stream.branch({ 1: () => true })[1].to(out),
      /give it a name, not a number/,
    ],
    'no branches': [(stream) => stream.branch({}), /branch-1 has an empty list of outputs/],
    'groupByKey after a changed key': [
      (stream) =>
        stream
          .selectKey((record) => record.value)
          .groupByKey()
          .count(counts),
      /groupByKey after select-key-1, where the key may have changed, needs a repartition topic/,
    ],
    'groupByKey with a name alone': [
      (stream) =>
        stream
          .selectKey((record) => record.value)
          .groupByKey({ name: 'x' } as never)
          .count(counts as never),
      /needs a repartition topic/,
    ],
    'a stream merged with itself': [(stream) => stream.merge(stream).to(out), /merged with itself/],
    'an async function': [
      (stream) => stream.mapValues(async (value) => value).foreach(() => undefined),
      /mapValues after in-source is an async function, .*: mapValuesAsync and processAsync take what answers later/,
    ],
    'an asynchronous processor behind a store': [
      (stream) => {
        stream
          .groupByKey()
          .count(counts)
          .toStream()
          .mapValues(String)
          .mapValuesAsync(async (value) => value)
          .to(out)
      },
      /map-values-async-1 is asynchronous and comes after count-counts, which has a store: send the records through repartition/,
    ],
    'an asynchronous processor without a function': [
      (stream) => stream.mapValuesAsync('no' as never).to(out as never),
      /mapValuesAsync after in-source is not a function/,
    ],
    'an asynchronous processor that may call nothing': [
      (stream) => stream.mapValuesAsync((value) => value, { inFlightMax: 0 }).to(out),
      /inFlightMax of mapValuesAsync after in-source is 0, but takes a whole number from 1/,
    ],
    'an asynchronous processor without time': [
      (stream) => stream.mapValuesAsync((value) => value, { timeoutMs: 0.5 }).to(out),
      /timeoutMs of mapValuesAsync after in-source is 0.5, but takes a whole number from 1/,
    ],
    'an asynchronous processor with an empty name': [
      (stream) => stream.mapValuesAsync((value) => value, { name: '' }).to(out),
      /a processor after in-source has an empty name/,
    ],
    'a processAsync without a call': [
      (stream) => stream.processAsync({ name: 'p', process: () => undefined } as never),
      /call of processor p after in-source is not a function/,
    ],
    'a processAsync whose process is async': [
      (stream) =>
        stream.processAsync({ name: 'p', call: () => 1, process: (async () => undefined) as never }),
      /process of processor p after p-call is an async function/,
    ],
    'an asynchronous processor that leads nowhere': [
      (stream) => stream.mapValuesAsync((value) => value),
      /the stream after map-values-async-1 leads nowhere/,
    ],
    'an async generator': [
      (stream) =>
        stream
          .flatMapValues(async function* () {
            yield 1
          } as never)
          .foreach(() => undefined),
      /flatMapValues after in-source is an async function/,
    ],
    'an async processor': [
      (stream) => stream.process({ process: (async () => undefined) as never }),
      /process of process after in-source is an async function/,
    ],
    'no function': [
      (stream) => stream.filter('x' as never).to(out),
      /filter after in-source is not a function/,
    ],
  }

  for (const [name, [build, expected]] of Object.entries(cases)) {
    it(`${name} is refused by name`, () => {
      const message = mistakeOf(build)
      expect(message).toMatch(/^TOPOLOGY_INVALID: the topology test has/)
      expect(message).toMatch(expected)
    })
  }

  it('in its name, its sources or its function is refused', () => {
    const sink = (name: string): string => messageOf(() => topology(name, (t) => t.stream(input).to(out)))
    expect(sink('a.b')).toMatch(/the topology "a.b": a name takes letters/)
    expect(sink('')).toMatch(/the name of the topology is empty/)
    expect(sink('ok-1_A')).toBe('no error')
    expect(messageOf(() => topology('test', () => undefined))).toMatch(/it reads no topic/)
    expect(
      messageOf(() => topology('test', (async (t: TopologyScope) => t.stream(input).to(out)) as never)),
    ).toMatch(/asynchronous/)
    expect(
      messageOf(() =>
        topology('test', (t) => {
          t.stream(input).to(out)
          t.stream(topic('in', { key: string, value: int64 })).foreach(() => undefined)
        }),
      ),
    ).toMatch(/topic in is read twice/)
  })

  it('is named together with all others', () => {
    const message = mistakeOf((stream) => {
      stream.mapValues((value) => value)
      stream.filter(() => true)
      stream.to(topic('a b', { key: string, value: string }))
    })
    expect(message).toMatch(/has 3 mistakes: \(1\) .*\(2\) .*\(3\) /)
  })

  it('of using a stream after the build, or in another topology, is refused', () => {
    let kept: RecordStream<string, string> | undefined
    topology('test', (t) => {
      kept = t.stream(input)
      kept.to(out)
    })
    expect(() => kept?.to(out)).toThrow(/TOPOLOGY_INVALID: the topology test was changed after it was built/)
    expect(mistakeOf((stream) => stream.merge(kept as never).to(out as never))).toMatch(
      /a stream of another topology is merged/,
    )
  })
})

describe('a mistake with a global table', () => {
  const rows = globalStore('rows', { key: string, value: string })
  const global = topic('global', { key: string, value: string })
  const cases: Readonly<Record<string, readonly [(t: TopologyScope) => void, RegExp]>> = {
    'of a topic that is read otherwise': [
      (t) => t.globalTable(input, { store: rows }),
      /topic in is read twice/,
    ],
    'and another one over the same topic': [
      (t) => {
        t.globalTable(global, { store: rows })
        t.globalTable(global, { store: globalStore('more', { key: string, value: string }) })
      },
      /topic global is read twice/,
    ],
    'in a store with headers': [
      (t) => {
        const headed = { key: string, value: string, headers: true }
        t.globalTable(global, { store: globalStore('more', headed) })
      },
      /global store more: headers are not kept here/,
    ],
    'and another one in the same store': [
      (t) => {
        t.globalTable(global, { store: rows })
        t.globalTable(topic('other', { key: string, value: string }), { store: rows })
      },
      /two stores are named rows/,
    ],
    'in a store with the name of another one': [
      (t) => {
        t.globalTable(global, { store: globalStore('counts', { key: string, value: string }) })
        t.table(topic('other', { key: string, value: int64 }), counts)
      },
      /two stores are named counts/,
    ],
    'in a store that is none of every worker': [
      (t) => t.globalTable(global, { store: store('rows', { key: string, value: string }) as never }),
      /store rows is to be held whole by every worker: declare it with globalStore/,
    ],
    'that is kept by an operator': [
      (t) => t.table(global, rows as never),
      /store rows is a global store, which toTable-rows cannot keep: use store/,
    ],
    'that nothing fills': [
      (t) => t.stream(global).process({ stores: { rows }, process: () => undefined }),
      /store rows is a global store, but neither t.globalTable nor t.globalStore fills it/,
    ],
    'that is read through another handle': [
      (t) => {
        t.globalTable(global, { store: rows })
        const other = globalStore('rows', { key: string, value: int64 })
        t.stream(topic('more', { key: string, value: string })).process({
          stores: { other },
          process: () => undefined,
        })
      },
      /two stores are named rows/,
    ],
    'with names that are none': [
      (t) =>
        t.globalTable(topic('a b', { key: string, value: string }), {
          store: globalStore('a.b', { key: string, value: string }),
        }),
      /\(1\) topic "a b": .*\(2\) a store "a\.b": /,
    ],
    'with an asynchronous function': [
      (t) => t.globalStore(global, { store: rows, process: (async () => {}) as never }),
      /process of global store rows is an async function/,
    ],
    'joined without a function for the key': [
      (t) =>
        t
          .stream(topic('more', { key: string, value: string }))
          .joinGlobal(t.globalTable(global, { store: rows }), 'key' as never, String)
          .to(topic('joined', { key: string, value: string })),
      /the key of joinGlobal after more-source is not a function/,
    ],
  }

  it.each(Object.entries(cases))('%s is named', (_, [build, expected]) => {
    const whole = (t: TopologyScope): void => {
      t.stream(input).to(out)
      build(t)
    }
    expect(messageOf(() => topology('test', whole))).toMatch(expected)
  })

  it('of another topology is named', () => {
    let kept: GlobalTable<string, string> | undefined
    topology('one', (t) => {
      t.stream(input).to(out)
      kept = t.globalTable(global, { store: rows })
    })
    expect(
      mistakeOf((stream) => stream.joinGlobal(kept as never, ({ key }) => key as never, String).to(out)),
    ).toMatch(/a global table of another topology is joined/)
  })
})

describe('topologies', () => {
  const made = topology('made', (t) => t.stream(input).to(out))

  it('are known by their shape', () => {
    expect(isTopology(made)).toBe(true)
    for (const other of [undefined, null, 1, {}, { name: 'x' }, { name: 'x', graph: null }, () => made])
      expect(isTopology(other)).toBe(false)
  })

  it('of one name are refused', () => {
    expect(() => refuseSameNames([made, topology('other', (t) => t.stream(input).to(out))])).not.toThrow()
    expect(() => refuseSameNames([made, topology('made', (t) => t.stream(input).to(out))])).toThrow(
      /two topologies are named made/,
    )
  })
})
