// Under which membership offsets are committed while a join is under way.
import { expect, it } from 'vitest'
import type { GroupMember } from '../../../src/client/group-member.ts'
import type { Generation, Joined } from '../../../src/client/group-protocol.ts'
import type { Membership } from '../../../src/client/producer.ts'
import { encodeAssignment } from '../../../src/protocol/consumer-protocol.ts'
import { type Arrival, WorkerMembership } from '../../../src/runtime/worker-membership.ts'

/** A member of generation 3, whose join gets as far as the test lets it. */
const joining = async () => {
  let progress = Promise.withResolvers<void>()
  const joined = Promise.withResolvers<Joined>()
  const member = {
    state: 'stable',
    memberId: '',
    instanceId: undefined,
    generationId: -1,
    syncing: undefined as Generation | undefined,
    progress: () => progress.promise,
    join: () => joined.promise,
  }
  const membership = new WorkerMembership({
    member: member as unknown as GroupMember,
    groupId: 'g',
    stored: () => ({}),
    host: 'h',
    notify: () => {},
    handOver: { called: () => {}, joins: () => {} },
  })
  const goesOn = (syncing: Generation | undefined): void => {
    member.syncing = syncing
    progress.resolve()
    progress = Promise.withResolvers()
  }
  membership.joinInBackground()
  return { membership, goesOn }
}

const withoutWaiting = async (asked: Promise<Membership>): Promise<number | 'waits'> =>
  await Promise.race([
    asked.then(({ generationId }) => generationId),
    new Promise<'waits'>((resolve) => setTimeout(() => resolve('waits'), 20)),
  ])

it('offsets outside of a transaction wait for SyncGroup alone', async () => {
  const { membership, goesOn } = await joining()
  const synced = () => membership.current({ synced: true })
  // JoinGroup waits for the other members, and until it is answered the generation before holds.
  expect(await withoutWaiting(synced())).toBe(-1)
  goesOn({ generationId: 4, continuous: true })
  expect(await withoutWaiting(membership.current())).toBe(4)
  const waiting = synced()
  expect(await withoutWaiting(waiting)).toBe('waits')
  // Refused, since the group has begun anew: JoinGroup is sent again.
  goesOn(undefined)
  expect(await withoutWaiting(waiting)).toBe(-1)
})

it('what others wait for is handed over before anything else is done, in as many joins as that takes', async () => {
  const shares = [
    { tasks: ['0_0', '0_1'], revoking: ['0_2', '0_3'] },
    { tasks: ['0_0', '0_1'], revoking: [] },
    { tasks: ['0_0'], revoking: ['0_1'] },
    { tasks: ['0_0', '0_4'], revoking: [] },
  ]
  const steps: string[] = []
  let generationId = 2
  const member = {
    state: 'stable',
    memberId: 'm',
    generationId,
    join: (): Promise<Joined> => {
      const share = { topology: 't', standbys: [], warming: [], ...shares[generationId - 2] }
      generationId++
      steps.push(`joins with ${membership.claim().running.join(' ')}`)
      const userData = Buffer.from(JSON.stringify(share))
      const assignment = encodeAssignment({ partitions: [], userData })
      return Promise.resolve({
        generationId,
        memberId: 'm',
        isLeader: false,
        members: [],
        assignment,
        continuous: true,
      })
    },
  }
  const membership = new WorkerMembership({
    member: member as unknown as GroupMember,
    groupId: 'g',
    stored: () => ({}),
    host: 'h',
    notify: () => {},
    handOver: { called: () => {}, joins: () => {} },
  })
  const join = async (): Promise<Arrival> =>
    await membership.joinUntilHandedOver('t', ({ tasks, revoking }) =>
      steps.push(`keeps ${tasks.join(' ')} and gives up ${revoking.join(' ')}`),
    )
  expect(await join()).toMatchObject({ tasks: ['0_0', '0_1'], revoking: [], broken: true })
  expect(await join()).toMatchObject({ tasks: ['0_0', '0_4'], revoking: [], broken: false })
  expect(steps).toEqual([
    'joins with ',
    'keeps 0_0 0_1 and gives up 0_2 0_3',
    'joins with 0_0 0_1',
    'joins with 0_0 0_1',
    'keeps 0_0 and gives up 0_1',
    'joins with 0_0',
  ])
})
