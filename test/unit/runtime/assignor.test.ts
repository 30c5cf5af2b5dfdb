import { describe, expect, it } from 'vitest'
import type { GroupMemberInfo } from '../../../src/client/group-protocol.ts'
import {
  createGroupProtocol,
  readAssignment,
  topologyHash,
  transactionalIdsOf,
} from '../../../src/runtime/assignor.ts'
import type { Claim } from '../../../src/runtime/placement.ts'
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

const claimOf = (running: readonly string[]): Claim => ({ running, generation: 1, stored: {}, host: 'h' })

const rules = { standbyReplicas: 0, standbyLagMax: 100 }

const protocolOf = (
  plans: Map<string, TaskPlan>,
  running: string[] = [],
): ReturnType<typeof createGroupProtocol> =>
  createGroupProtocol({
    tasks: plans,
    topics: ['lines'],
    guarantee: 'exactly_once',
    ...rules,
    claim: () => claimOf(running),
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
    expect(readAssignment(Buffer.alloc(0))).toEqual({
      topology: undefined,
      tasks: [],
      revoking: [],
      standbys: [],
      warming: [],
    })
  })

  it('refuses a member with another guarantee, and one that is no worker', () => {
    const plans = plansOf(1)
    const protocol = protocolOf(plans)
    const other = createGroupProtocol({
      tasks: plans,
      topics: [],
      guarantee: 'at_least_once',
      ...rules,
      claim: () => claimOf([]),
    })
    const join = (metadata: Buffer) => () =>
      protocol.assign([{ memberId: 'x', instanceId: undefined, metadata }])
    expect(join(other.metadata())).toThrow(/SETTING_INVALID.*guarantees/)
    expect(join(Buffer.from('garbage'))).toThrow(/SETTING_INVALID.*no millstream worker/)
  })
})

describe('transactionalIdsOf', () => {
  const memberOf = (memberId: string, transactionalId?: string): GroupMemberInfo => ({
    memberId,
    instanceId: memberId,
    metadata: createGroupProtocol({
      tasks: plansOf(1),
      topics: ['lines'],
      guarantee: 'exactly_once',
      ...rules,
      transactionalId,
      claim: () => claimOf([]),
    }).metadata(),
  })

  it('says whose transactions are those of members', () => {
    const members = [memberOf('a', 'words.a.0'), memberOf('b', 'words.b.0')]
    expect(transactionalIdsOf(members)).toEqual(new Set(['words.a.0', 'words.b.0']))
  })

  it('knows nothing as soon as one of them does not tell, and the group goes on all the same', () => {
    const members = [memberOf('a', 'words.a.0'), memberOf('old')]
    expect(transactionalIdsOf(members)).toBe(undefined)
    expect([...protocolOf(plansOf(2)).assign(members).keys()]).toEqual(['a', 'old'])
  })
})
