import { describe, expect, it } from 'vitest'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import type { Topology } from '../../../src/topology/contracts.ts'
import { store, topic } from '../../../src/topology/handles.ts'
import { topology } from '../../../src/topology/topology.ts'

const of = (name: string) => topic(name, { key: string, value: string })
const counts = store('counts', { key: string, value: int64 })

const sourcesOf = (built: Topology): string[][] =>
  built.graph.subtopologies.map(({ nodes }) =>
    nodes.filter((node) => node.kind === 'source').map((node) => node.name),
  )

describe('sub-topologies', () => {
  it('are the connected parts, numbered by their first source', () => {
    const built = topology('test', (t) => {
      const a = t.stream(of('a'))
      const b = t.stream(of('b'))
      const c = t.stream(of('c'))
      a.merge(c).to(of('out'))
      b.to(of('out'))
    })
    expect(sourcesOf(built)).toEqual([['a-source', 'c-source'], ['b-source']])
    expect(built.graph.subtopologies.map(({ id }) => id)).toEqual([0, 1])
    const names = built.graph.subtopologies.flatMap(({ nodes }) => nodes.map((node) => node.name))
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('out-sink-2')
  })

  it('are cut by a repartition topic', () => {
    const built = topology('test', (t) => {
      t.stream(of('a'))
        .groupBy((record) => record.value, { name: 'by', key: string, value: string })
        .count(counts)
    })
    expect(sourcesOf(built)).toEqual([['a-source'], ['by-repartition-source']])
    expect(built.graph.subtopologies.map(({ stores }) => stores.map((one) => one.name))).toEqual([
      [],
      ['counts'],
    ])
    const [sink] = built.graph.subtopologies[0]?.nodes.filter((node) => node.kind === 'sink') ?? []
    const [source] = built.graph.subtopologies[1]?.nodes.filter((node) => node.kind === 'source') ?? []
    expect(sink?.repartition).toBe(true)
    expect(sink?.topics[0]).toBe(source?.topic)
    expect(source?.topic.name).toBe('by')
  })

  it('are joined by a store that they share', () => {
    const built = topology('test', (t) => {
      t.stream(of('a')).process({ name: 'p', stores: [counts], process: () => undefined })
      t.stream(of('b')).to(of('out'))
      t.stream(of('c')).process({ name: 'q', stores: { other: counts }, process: () => undefined })
    })
    expect(sourcesOf(built)).toEqual([['a-source', 'c-source'], ['b-source']])
    expect(built.graph.subtopologies[0]?.stores).toMatchObject([counts])
  })

  it('have the same names each time they are built, and every child exists', () => {
    const build = (): Topology =>
      topology('test', (t) => {
        const stream = t.stream(of('a')).filter(() => true)
        const { x, y } = stream.branch({ x: () => true, y: () => true })
        x.to(of('out'))
        x.foreach(() => undefined)
        y.mapValues((value) => value)
          .filter(() => true)
          .to((record) => (record.key === '' ? of('o') : of('p')), { topics: [of('o'), of('p')] })
      })
    const names = (built: Topology): string[] =>
      built.graph.subtopologies.flatMap(({ nodes }) => nodes.map((node) => node.name))
    expect(names(build())).toEqual(names(build()))
    expect(names(build())).toEqual([
      'a-source',
      'filter-1',
      'branch-1',
      'branch-1-x',
      'out-sink',
      'foreach-1',
      'map-values-1',
      'filter-2',
      'chooser-sink-1',
    ])
    const known = new Set(names(build()))
    const nodes = build().graph.subtopologies.flatMap((part) => part.nodes)
    for (const child of nodes.flatMap((node) => node.children)) expect(known).toContain(child)
    const branch = nodes.find((node) => node.name === 'branch-1')
    expect(branch?.kind === 'processor' && branch.outputs).toEqual({ x: 'branch-1-x', y: 'map-values-1' })
  })
})
