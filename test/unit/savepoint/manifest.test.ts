import { describe, expect, it } from 'vitest'
import { decodeManifest, encodeManifest, type Manifest, shapeOf } from '../../../src/savepoint/manifest.ts'
import { int64, joinStore, store, string, topic, topology, within } from '../../../src/index.ts'

const words = (name: string, { input = 'lines', storeName = 'totals', by = 'by-word', out = 'out' } = {}) =>
  topology(name, (t) => {
    t.stream(topic(input, { key: string, value: string }))
      .groupBy((record) => record.value, { name: by, key: string, value: string })
      .count(store(storeName, { key: string, value: int64 }))
      .toStream()
      .to(topic(out, { key: string, value: int64 }))
  }).graph

const manifest: Manifest = {
  applicationId: 'words',
  takenAt: '2026-01-02T03:04:05.006Z',
  clusterId: 'c',
  topology: shapeOf(words('words')),
  inputs: [
    {
      topic: 'lines',
      repartition: false,
      partition: 0,
      topicId: 'AAECAwQFBgcICQoLDA0ODw',
      offset: 2 ** 40,
      streamTime: 1_700_000_000_000,
      committedBy: 'ms1;words.one.0;7b6aeae8;2;1700000000000',
    },
    {
      topic: 'by-word',
      repartition: true,
      partition: 0,
      topicId: null,
      offset: null,
      streamTime: -1,
      committedBy: '',
    },
  ],
  stores: [
    { store: 'totals', partition: 0, file: 'stores/totals-0.records', records: 2, bytes: 99, sha256: 'ab' },
  ],
  waiting: [],
}

const codeOf = (text: string): string => {
  try {
    decodeManifest(text, 'f')
    return 'a manifest'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

describe('the manifest', () => {
  it('is read as it was written, and is JSON for people', () => {
    const text = encodeManifest(manifest)
    expect(decodeManifest(text, 'f')).toMatchObject(manifest)
    expect(text.split('\n').length).toBeGreaterThan(30)
    expect(JSON.parse(text)).toMatchObject({ format: 'millstream-savepoint', version: 1 })
  })

  it('is refused when it was changed, cut, or is of another format or version', () => {
    const text = encodeManifest(manifest)
    for (const changed of [
      text.replace('1099511627776', '1099511627775'),
      text.replace('"records": 2', '"records": 3'),
      text.replace('"offset": null', '"offset": 0'),
      text.replace('"version": 1', '"version": 2'),
      text.replace('millstream-savepoint', 'other'),
      text.slice(0, text.length / 2),
      '',
      'null',
      '[]',
      '"x"',
    ]) {
      expect(changed).not.toBe(text)
      expect(codeOf(changed)).toBe('SAVEPOINT_INVALID')
    }
    // White space is nobody's data.
    expect(codeOf(JSON.stringify(JSON.parse(text)))).toBe('a manifest')
  })

  it('names the version that it cannot read', () => {
    const newer = encodeManifest(manifest).replace('"version": 1', '"version": 7')
    expect(() => decodeManifest(newer, 'f')).toThrow('format version 7, and 1 is read')
  })
})

describe('the shape of a topology', () => {
  it('follows from inputs, repartition topics and stores, not from name and outputs', () => {
    const shape = shapeOf(words('one'))
    expect(shape.parts).toEqual([
      'sub-topology 0 reads lines; stores: none',
      'sub-topology 1 reads repartition by-word; stores: totals (string, timestamped(int64))',
    ])
    expect(shapeOf(words('two', { out: 'elsewhere' })).hash).toBe(shape.hash)
    for (const other of [{ input: 'texts' }, { storeName: 'sums' }, { by: 'by-letter' }])
      expect(shapeOf(words('one', other)).hash).not.toBe(shape.hash)
  })

  it('says which join keeps a store: the serdes are the same', () => {
    const options = { key: string, value: string }
    const joined = (outer: boolean) =>
      topology('joins', (t) => {
        const [left, right] = [t.stream(topic('left', options)), t.stream(topic('right', options))]
        const kept = joinStore('kept', { key: string, left: string, right: string })
        const window = within({ beforeMs: 1, afterMs: 1, graceMs: 0 })
        if (outer) left.outerJoin(right, () => '', window, kept).to(topic('out', options))
        else left.join(right, () => '', window, kept).to(topic('out', options))
      })
    expect(shapeOf(joined(true).graph).parts[0]).toMatch(/kept \(.*\), what an outer join keeps$/)
    expect(shapeOf(joined(false).graph).parts[0]).toMatch(/kept \(.*\), what an inner join keeps$/)
  })
})
