import { describe, expect, it } from 'vitest'
import { createGroupProtocol, patternHash, readAssignment } from '../../../src/runtime/assignor.ts'
import { planTasks, type TaskPlan, updatePlans } from '../../../src/runtime/task-plan.ts'
import { allMatched, type MatchedTopics, TopicPatterns } from '../../../src/runtime/topic-patterns.ts'
import { string } from '../../../src/serde/text.ts'
import { topic } from '../../../src/topology/handles.ts'
import { planPartitions } from '../../../src/topology/internal-topics.ts'
import { topicPattern } from '../../../src/topology/topic-pattern.ts'
import { topology } from '../../../src/topology/topology.ts'

const serdes = { key: string, value: string }
const app = topology('app', (t) => {
  t.stream(topicPattern(/orders-.+/, serdes)).to(topic('out', serdes))
  t.stream(topic('lines', serdes)).to(topic('words', serdes))
})
const patterns = new TopicPatterns(app.graph, 'app')

const tasksOf = (matched: MatchedTopics): Map<string, TaskPlan> => {
  const sizes = new Map(Object.entries(matched))
  const sizeOf = (name: string): number => (name === 'lines' ? 2 : (sizes.get(name) ?? 0))
  const plan = planPartitions(app.graph, 'app', (name) =>
    Math.max(sizeOf(name), patterns.largest(name, sizes)),
  )
  return planTasks(app.graph, 'app', plan, sizeOf, (source) =>
    source.topic.pattern === undefined ? [source.topic.name] : patterns.topicsOf(source, sizes),
  )
}

const inputsOf = (plans: ReadonlyMap<string, TaskPlan>): Record<string, string[]> =>
  Object.fromEntries([...plans].map(([id, { inputs }]) => [id, inputs.map((one) => one.topic)]))

describe('tasks over topics by pattern', () => {
  it('read their partition of every topic that has it', () => {
    expect(inputsOf(tasksOf({ 'orders-eu': 1, 'orders-us': 3 }))).toEqual({
      '0_0': ['orders-eu', 'orders-us'],
      '0_1': ['orders-us'],
      '0_2': ['orders-us'],
      '1_0': ['lines'],
      '1_1': ['lines'],
    })
    expect(inputsOf(tasksOf({}))).toEqual({ '1_0': ['lines'], '1_1': ['lines'] })
  })

  it('stay the same objects where they read what they read before', () => {
    const plans = tasksOf({ 'orders-eu': 1, 'orders-us': 2 })
    const before = new Map(plans)
    updatePlans(plans, tasksOf({ 'orders-us': 2, 'orders-eu': 1 }))
    for (const [id, plan] of before) expect(plans.get(id)).toBe(plan)
    updatePlans(plans, tasksOf({ 'orders-eu': 2, 'orders-us': 2 }))
    expect([...plans].filter(([id, plan]) => before.get(id) !== plan).map(([id]) => id)).toEqual(['0_1'])
    updatePlans(plans, tasksOf({ 'orders-eu': 1 }))
    expect(inputsOf(plans)).toEqual({ '0_0': ['orders-eu'], '1_0': ['lines'], '1_1': ['lines'] })
    expect(plans.get('1_0')).toBe(before.get('1_0'))
  })
})

describe('the group', () => {
  const memberWith = (found: MatchedTopics): ReturnType<typeof createGroupProtocol> =>
    createGroupProtocol({
      tasks: tasksOf(found),
      topics: [],
      topology: patternHash(app.graph),
      guarantee: 'exactly_once',
      standbyReplicas: 0,
      standbyLagMax: 0,
      patterns: { found: () => found, tasks: tasksOf },
      claim: () => ({ running: [], generation: 1, stored: {}, host: 'h' }),
    })

  it('takes together what its members found, with the larger numbers', () => {
    expect(allMatched([{ a: 1, b: 4 }, undefined, { a: 3 }])).toEqual({ a: 3, b: 4 })
    expect(allMatched([])).toEqual({})
  })

  it('assigns the tasks of what its members found together, and says what that is', () => {
    const found = [{ 'orders-eu': 1 }, { 'orders-eu': 1, 'orders-us': 2 }] as const
    const members = found.map((one, index) => ({
      memberId: `m${index}`,
      instanceId: undefined,
      metadata: memberWith(one).metadata(),
    }))
    // Whoever leads.
    for (const leader of found) {
      const read = [...memberWith(leader).assign(members).values()].map((bytes) => readAssignment(bytes))
      expect(read.flatMap(({ tasks }) => tasks).sort()).toEqual(['0_0', '0_1', '1_0', '1_1'])
      for (const one of read) expect(one.matched).toEqual({ 'orders-eu': 1, 'orders-us': 2 })
      expect(new Set(read.map((one) => one.topology))).toEqual(new Set([patternHash(app.graph)]))
    }
  })

  it('tells other patterns apart', () => {
    const other = topology('app', (t) => {
      t.stream(topicPattern(/orders-.*/, serdes)).to(topic('out', serdes))
      t.stream(topic('lines', serdes)).to(topic('words', serdes))
    })
    expect(patternHash(other.graph)).not.toBe(patternHash(app.graph))
  })
})
