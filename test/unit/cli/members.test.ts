import { describe, expect, it } from 'vitest'
import { chooseInstances, describeMembers, memberRows } from '../../../src/cli/members.ts'
import type { GroupDescription } from '../../../src/client/groups.ts'
import { encodeAssignment } from '../../../src/protocol/consumer-protocol.ts'

const assigned = (tasks: readonly string[]): Buffer =>
  encodeAssignment({
    partitions: [],
    userData: Buffer.from(JSON.stringify({ version: 1, topology: 't', tasks })),
  })

const group = (...instances: (string | undefined)[]): GroupDescription => ({
  groupId: 'orders',
  state: 'Stable',
  members: instances.map((instanceId, index) => ({
    memberId: `m-${index}`,
    instanceId,
    clientId: 'orders',
    host: '10.0.0.7',
    assignment: index === 1 ? Buffer.alloc(0) : assigned([`0_${index}`]),
  })),
})

const codeOf = (run: () => unknown): string => {
  try {
    run()
    return 'fine'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

describe('the list of members', () => {
  it('is ordered by ordinal and shows tasks, or that they are not known', () => {
    expect(memberRows(group('orders-10', 'orders-9', undefined))).toEqual([
      { instance: null, member: 'm-2', client: 'orders', host: '10.0.0.7', tasks: ['0_2'] },
      { instance: 'orders-9', member: 'm-1', client: 'orders', host: '10.0.0.7', tasks: null },
      { instance: 'orders-10', member: 'm-0', client: 'orders', host: '10.0.0.7', tasks: ['0_0'] },
    ])
    const text = describeMembers(group('orders-0', 'orders-1'))
    expect(text).toContain('group orders: Stable, 2 members\n')
    expect(text).toMatch(/^orders-0 {2}m-0 .* 0_0$/m)
    expect(text).toMatch(/^orders-1 {2}m-1 .* \?$/m)
  })

  it('survives a member that is none of ours', () => {
    const [member] = group('x').members
    const foreign = {
      ...group(),
      members: [{ ...member, assignment: Buffer.from([9, 9, 9]) }],
    } as GroupDescription
    expect(memberRows(foreign)).toMatchObject([{ tasks: null }])
  })

  it('says that a group does not exist', () => {
    expect(describeMembers({ groupId: 'x', state: 'Dead', members: [] })).toBe('group x: does not exist\n')
  })
})

describe('the members to remove', () => {
  it('are those that are named, all of them or none', () => {
    expect(chooseInstances(group('a-0', 'a-1'), ['a-1', 'a-1'], undefined)).toEqual(['a-1'])
    expect(codeOf(() => chooseInstances(group('a-0', 'a-1'), ['a-1', 'a-2'], undefined))).toBe(
      'MEMBER_UNKNOWN',
    )
    // A member id is no instance id.
    expect(codeOf(() => chooseInstances(group('a-0', undefined), ['m-1'], undefined))).toBe('MEMBER_UNKNOWN')
  })

  it('are those above the replicas that are left', () => {
    const many = group('a-0', 'a-2', 'a-10', 'a-3', 'other', undefined)
    expect(chooseInstances(many, [], 3)).toEqual(['a-10', 'a-3'])
    expect(chooseInstances(many, ['other'], 10)).toEqual(['other', 'a-10'])
    expect(chooseInstances(many, [], 11)).toEqual([])
    expect(chooseInstances(many, [], 0)).toHaveLength(4)
  })

  it('are not guessed where two StatefulSets share a group', () => {
    expect(codeOf(() => chooseInstances(group('a-0', 'b-1'), [], 1))).toBe('SETTING_INVALID')
  })
})
