import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assignTasks,
  type Claim,
  createGroupProtocol,
  readAssignment,
  topologyHash,
} from '../../../src/runtime/assignor.ts'
import type { TaskPlan } from '../../../src/runtime/task-plan.ts'

const taskIds = (count: number): string[] => Array.from({ length: count }, (_, index) => `0_${index}`)

const planOf = (id: string, topic = 'lines'): TaskPlan => {
  const partition = Number(id.split('_')[1])
  return {
    id,
    partition,
    subtopology: { id: 0, nodes: [], stores: [] },
    inputs: [{ topic, partition, source: undefined as never }],
  }
}

const plansOf = (count: number, topic?: string): Map<string, TaskPlan> =>
  new Map(taskIds(count).map((id) => [id, planOf(id, topic)]))

const claimOf = (running: readonly string[], stored: readonly string[] = [], generation = 1): Claim => ({
  running,
  generation,
  stored,
})

const protocolOf = (
  plans: Map<string, TaskPlan>,
  running: string[] = [],
): ReturnType<typeof createGroupProtocol> =>
  createGroupProtocol({
    tasks: plans,
    topics: ['lines'],
    guarantee: 'exactly_once',
    claim: () => claimOf(running),
  })

/** What the members run when they have done what they were told, and joined again as long as somebody gave up a task. */
const settled = (ids: readonly string[], claims: ReadonlyMap<string, Claim>): Map<string, string[]> => {
  let current = claims
  for (let round = 1; round <= 3; round++) {
    const assigned = assignTasks(ids, current)
    const all = [...assigned.values()].flatMap(({ tasks }) => tasks)
    expect(new Set(all).size).toBe(all.length)
    for (const [member, { revoking }] of assigned) {
      for (const task of revoking) {
        expect(current.get(member)?.running).toContain(task)
        expect(all).not.toContain(task)
      }
    }
    const tasks = new Map([...assigned].map(([member, one]) => [member, one.tasks]))
    if ([...assigned.values()].every(({ revoking }) => revoking.length === 0)) return tasks
    current = new Map(
      [...tasks].map(([member, running]) => [
        member,
        claimOf(running, current.get(member)?.stored, round + 10),
      ]),
    )
  }
  throw new Error('the group goes on moving tasks')
}

describe('assignTasks', () => {
  const numbers = fc.array(fc.nat(45), { maxLength: 30 })
  const anyClaim = fc.record({ running: numbers, stored: numbers, generation: fc.nat(5) })

  it('gives every task to exactly one member, evenly, and never to two at a time', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.array(anyClaim, { minLength: 1, maxLength: 6 }), (count, claimed) => {
        const named = (list: readonly number[]): string[] => [...new Set(list)].map((one) => `0_${one}`)
        const claims = new Map(
          claimed.map(({ running, stored, generation }, index) => [
            `m${index}`,
            claimOf(named(running), named(stored), generation),
          ]),
        )
        const assigned = settled(taskIds(count), claims)
        expect([...assigned.values()].flat().sort()).toEqual(taskIds(count).sort())
        const sizes = [...assigned.values()].map((list) => list.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('leaves tasks where they run as long as the load is even', () => {
    const claims = new Map([
      ['a', claimOf(['0_1', '0_3'])],
      ['b', claimOf(['0_0', '0_2'])],
    ])
    expect(settled(taskIds(4), claims)).toEqual(
      new Map([
        ['a', ['0_1', '0_3']],
        ['b', ['0_0', '0_2']],
      ]),
    )
  })

  it('takes a task from who runs it first, and gives it away only when it was given up', () => {
    const first = assignTasks(
      taskIds(4),
      new Map([
        ['a', claimOf(taskIds(4))],
        ['b', claimOf([])],
      ]),
    )
    expect(first.get('a')).toEqual({ tasks: ['0_0', '0_1'], revoking: ['0_2', '0_3'] })
    expect(first.get('b')).toEqual({ tasks: [], revoking: [] })
    const second = assignTasks(
      taskIds(4),
      new Map([
        ['a', claimOf(['0_0', '0_1'], taskIds(4))],
        ['b', claimOf([])],
      ]),
    )
    expect(second.get('b')).toEqual({ tasks: ['0_2', '0_3'], revoking: [] })
  })

  it('prefers who runs a task to who has its state, and that one to anybody', () => {
    const claims = new Map([
      ['a', claimOf([], ['0_0', '0_1'])],
      ['b', claimOf(['0_0'])],
      ['c', claimOf([])],
    ])
    const assigned = assignTasks(taskIds(3), claims)
    expect(assigned.get('a')?.tasks).toEqual(['0_1'])
    expect(assigned.get('b')?.tasks).toEqual(['0_0'])
  })

  it('believes the later of two claims, and does not ask the other to give the task up', () => {
    const claims = new Map([
      ['a', claimOf(['0_0'], [], 3)],
      ['b', claimOf(['0_0'], [], 7)],
    ])
    expect(assignTasks(taskIds(1), claims)).toEqual(
      new Map([
        ['a', { tasks: [], revoking: [] }],
        ['b', { tasks: ['0_0'], revoking: [] }],
      ]),
    )
  })
})

describe('the group protocol', () => {
  it('carries the tasks of each member, and the hash of the topology', () => {
    const plans = plansOf(3)
    const protocol = protocolOf(plans, ['0_2'])
    const assigned = protocol.assign([
      { memberId: 'a', instanceId: undefined, metadata: protocol.metadata() },
      { memberId: 'b', instanceId: undefined, metadata: protocolOf(plans).metadata() },
    ])
    const read = [...assigned].map(([member, bytes]) => [member, readAssignment(bytes)] as const)
    expect(read.flatMap(([, { tasks }]) => tasks).sort()).toEqual(['0_0', '0_1', '0_2'])
    expect(read.find(([member]) => member === 'a')?.[1].tasks).toContain('0_2')
    expect(read.map(([, { topology }]) => topology)).toEqual([topologyHash(plans), topologyHash(plans)])
  })

  it('tells other tasks and other inputs apart', () => {
    expect(topologyHash(plansOf(3))).not.toBe(topologyHash(plansOf(4)))
    expect(topologyHash(plansOf(3))).not.toBe(topologyHash(plansOf(3, 'words')))
  })

  it('reads an empty assignment as none', () => {
    expect(readAssignment(Buffer.alloc(0))).toEqual({ topology: undefined, tasks: [], revoking: [] })
  })

  it('refuses a member with another guarantee, and one that is no worker', () => {
    const plans = plansOf(1)
    const protocol = protocolOf(plans)
    const other = createGroupProtocol({
      tasks: plans,
      topics: [],
      guarantee: 'at_least_once',
      claim: () => claimOf([]),
    })
    const join = (metadata: Buffer) => () =>
      protocol.assign([{ memberId: 'x', instanceId: undefined, metadata }])
    expect(join(other.metadata())).toThrow(/SETTING_INVALID.*guarantees/)
    expect(join(Buffer.from('garbage'))).toThrow(/SETTING_INVALID.*no millstream worker/)
  })
})
