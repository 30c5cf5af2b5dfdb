import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Claim, type PlacementRules, placeTasks, type Share } from '../../../src/runtime/placement.ts'

const taskIds = (count: number): string[] => Array.from({ length: count }, (_, index) => `0_${index}`)

const claimOf = (
  running: readonly string[],
  stored: Readonly<Record<string, number>> = {},
  generation = 1,
  host = 'h',
): Claim => ({ running, generation, stored, host })

const rulesOf = (more: Partial<PlacementRules> = {}): PlacementRules => ({
  hasState: () => true,
  standbyReplicas: 0,
  standbyLagMax: 100,
  ...more,
})

const stateless = rulesOf({ hasState: () => false })

type Claims = ReadonlyMap<string, Claim>

const runnersOf = (shares: ReadonlyMap<string, Share>, task: string): string[] =>
  [...shares].filter(([, { tasks }]) => tasks.includes(task)).map(([member]) => member)

/** Where the tasks are after the members did what they were told: standbys have caught up, and all join again. */
const afterwards = (claims: Claims, shares: ReadonlyMap<string, Share>, generation: number): Claims => {
  const furthest = (task: string): number =>
    Math.max(0, ...[...claims.values()].map(({ stored }) => stored[task] ?? 0))
  return new Map(
    [...shares].map(([member, { tasks, standbys }]) => {
      const { stored = {}, host = 'h' } = claims.get(member) ?? {}
      const caughtUp = Object.fromEntries([...tasks, ...standbys].map((task) => [task, furthest(task)]))
      return [member, claimOf(tasks, { ...stored, ...caughtUp }, generation, host)]
    }),
  )
}

/** What must hold of every single assignment. */
const check = (ids: readonly string[], claims: Claims, shares: ReadonlyMap<string, Share>): void => {
  for (const task of ids) {
    const revoking = [...shares].filter(([, share]) => share.revoking.includes(task))
    expect(runnersOf(shares, task).length + revoking.length, task).toBe(1)
    for (const [member] of revoking) expect(claims.get(member)?.running).toContain(task)
  }
  for (const { tasks, standbys, warming } of shares.values()) {
    expect(new Set(standbys).size).toBe(standbys.length)
    for (const task of standbys) expect(tasks).not.toContain(task)
    for (const task of warming) expect(standbys).toContain(task)
  }
}

/** Rounds until nothing is left to do. */
const settled = (
  ids: readonly string[],
  first: Claims,
  rules: PlacementRules,
): ReadonlyMap<string, Share> => {
  let claims = first
  for (let round = 1; round <= 6; round++) {
    const shares = placeTasks(ids, claims, rules)
    check(ids, claims, shares)
    const all = [...shares.values()]
    if (all.every(({ revoking, warming }) => revoking.length + warming.length === 0)) return shares
    claims = afterwards(claims, shares, round + 10)
  }
  throw new Error('the group goes on moving tasks')
}

const tasksOf = (shares: ReadonlyMap<string, Share>): Record<string, string[]> =>
  Object.fromEntries([...shares].map(([member, { tasks }]) => [member, tasks]))

interface AnyClaim {
  readonly running: number[]
  readonly stored: [task: number, position: number][]
  readonly generation: number
  readonly host: string
}

describe('any group', () => {
  const numbers = fc.array(fc.nat(20), { maxLength: 14 })
  const anyClaim: fc.Arbitrary<AnyClaim> = fc.record({
    running: numbers,
    stored: fc.array(fc.tuple(fc.nat(20), fc.nat(5000)), { maxLength: 14 }),
    generation: fc.nat(5),
    host: fc.constantFrom('x', 'y', 'z'),
  })
  const named = (claimed: readonly AnyClaim[]): Claims =>
    new Map(
      claimed.map(({ running, stored, generation, host }, index) => [
        `m${index}`,
        claimOf(
          [...new Set(running)].map((one) => `0_${one}`),
          Object.fromEntries(stored.map(([task, position]) => [`0_${task}`, position])),
          generation,
          host,
        ),
      ]),
    )
  const any = [fc.nat(20), fc.array(anyClaim, { minLength: 1, maxLength: 5 }), fc.nat(3)] as const

  it('comes to an even distribution with the wanted standbys, each task at one member at a time', () => {
    fc.assert(
      fc.property(...any, (count, claimed, standbyReplicas) => {
        const ids = taskIds(count)
        const claims = named(claimed)
        const shares = settled(ids, claims, rulesOf({ standbyReplicas }))
        const sizes = [...shares.values()].map(({ tasks }) => tasks.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        const hosts = new Set([...claims.values()].map(({ host }) => host))
        for (const task of ids) {
          const keepers = [...shares].filter(([, { standbys }]) => standbys.includes(task))
          expect(keepers).toHaveLength(Math.min(standbyReplicas, claims.size - 1))
          const places = [...keepers.map(([member]) => member), ...runnersOf(shares, task)]
          const used = new Set(places.map((member) => claims.get(member)?.host))
          expect(used.size).toBe(Math.min(hosts.size, places.length))
        }
      }),
    )
  })

  it('gives a task to nobody who lacks much of its state while somebody has more', () => {
    fc.assert(
      fc.property(...any, (count, claimed, standbyReplicas) => {
        const claims = named(claimed)
        const shares = placeTasks(taskIds(count), claims, rulesOf({ standbyReplicas }))
        for (const [member, { tasks }] of shares) {
          for (const task of tasks) {
            const position = (one: Claim | undefined): number => one?.stored[task] ?? 0
            const furthest = Math.max(...[...claims.values()].map(position))
            expect(furthest - position(claims.get(member))).toBeLessThanOrEqual(100)
          }
        }
      }),
    )
  })

  it('does not move anything without a reason', () => {
    fc.assert(
      fc.property(...any, (count, claimed, standbyReplicas) => {
        const rules = rulesOf({ standbyReplicas })
        const shares = settled(taskIds(count), named(claimed), rules)
        const hosts = named(claimed)
        const claims = new Map(
          [...afterwards(hosts, shares, 50)].map(([member, claim]) => [
            member,
            { ...claim, host: hosts.get(member)?.host ?? 'h' },
          ]),
        )
        const again = placeTasks(taskIds(count), claims, rules)
        for (const [member, { tasks }] of again)
          expect([...tasks].sort()).toEqual([...(shares.get(member)?.tasks ?? [])].sort())
      }),
    )
  })
})

describe('tasks without state', () => {
  it('are taken from who runs them first, and given away when they were given up', () => {
    const claims = new Map([
      ['a', claimOf(taskIds(4))],
      ['b', claimOf([])],
    ])
    const first = placeTasks(taskIds(4), claims, stateless)
    expect(first.get('a')).toMatchObject({ tasks: ['0_0', '0_1'], revoking: ['0_2', '0_3'] })
    expect(first.get('b')).toMatchObject({ tasks: [], standbys: [] })
    expect(tasksOf(settled(taskIds(4), claims, stateless))).toEqual({ a: ['0_0', '0_1'], b: ['0_2', '0_3'] })
  })

  it('are shared so that every worker has some of each sub-topology', () => {
    const ids = ['0', '1'].flatMap((kind) => [0, 1, 2, 3].map((partition) => `${kind}_${partition}`))
    let claims: Claims = new Map([['a', claimOf(ids)]])
    for (const name of ['b', 'c'])
      claims = afterwards(claims, settled(ids, new Map([...claims, [name, claimOf([])]]), stateless), 20)
    for (const { running } of claims.values())
      expect(new Set(running.map((task) => task[0])).size, running.join(' ')).toBe(2)
  })

  it('go with the later of two claims, and the other is not asked to give them up', () => {
    const claims = new Map([
      ['a', claimOf(['0_0'], {}, 3)],
      ['b', claimOf(['0_0'], {}, 7)],
    ])
    const shares = placeTasks(taskIds(1), claims, stateless)
    expect(shares.get('a')).toMatchObject({ tasks: [], revoking: [] })
    expect(shares.get('b')).toMatchObject({ tasks: ['0_0'], revoking: [] })
  })
})

describe('tasks with state', () => {
  it('stay with who runs them until the other one has caught up', () => {
    const claims = (position: number): Claims =>
      new Map([
        ['a', claimOf(taskIds(2), { '0_0': 5000, '0_1': 5000 })],
        ['b', claimOf([], position === 0 ? {} : { '0_1': position })],
      ])
    const far = placeTasks(taskIds(2), claims(4899), rulesOf())
    expect(far.get('a')).toMatchObject({ tasks: ['0_0', '0_1'], revoking: [] })
    expect(far.get('b')).toMatchObject({ tasks: [], standbys: ['0_1'], warming: ['0_1'] })
    const close = placeTasks(taskIds(2), claims(4900), rulesOf())
    expect(close.get('a')).toMatchObject({ tasks: ['0_0'], revoking: ['0_1'] })
    // It keeps its standby until the next join gives it the task: closed, it would fall behind.
    expect(close.get('b')).toMatchObject({ standbys: ['0_1'], warming: [] })
  })

  it('of a dead worker go to its standby at once, beyond an even share if need be', () => {
    const claims = new Map([
      ['b', claimOf(['0_2'], { '0_0': 900, '0_1': 900, '0_2': 900 })],
      ['c', claimOf(['0_3'], { '0_3': 900 })],
    ])
    const shares = placeTasks(taskIds(4), claims, rulesOf())
    expect([...(shares.get('b')?.tasks ?? [])].sort()).toEqual(['0_0', '0_1', '0_2'])
    expect(shares.get('c')?.warming).toHaveLength(1)
  })

  it('of two standbys the one that is further takes over', () => {
    const claims = new Map([
      ['b', claimOf([], { '0_0': 700 })],
      ['c', claimOf([], { '0_0': 900 })],
    ])
    expect(runnersOf(placeTasks(taskIds(1), claims, rulesOf()), '0_0')).toEqual(['c'])
  })

  it('has its standby on another machine, and where it is already', () => {
    const claims = new Map([
      ['a', claimOf(['0_0'], { '0_0': 10 }, 1, 'x')],
      ['b', claimOf([], { '0_0': 10 }, 1, 'x')],
      ['c', claimOf([], {}, 1, 'y')],
      ['d', claimOf([], { '0_0': 5 }, 1, 'z')],
    ])
    const shares = placeTasks(taskIds(1), claims, rulesOf({ standbyReplicas: 1 }))
    expect([...shares].filter(([, { standbys }]) => standbys.length > 0).map(([member]) => member)).toEqual([
      'd',
    ])
  })

  it('that are given up stay with that worker as its standby', () => {
    const claims = new Map([
      ['a', claimOf(taskIds(2), { '0_0': 50, '0_1': 50 })],
      ['b', claimOf([], {})],
    ])
    const shares = placeTasks(taskIds(2), claims, rulesOf({ standbyReplicas: 1 }))
    expect(shares.get('a')).toMatchObject({ tasks: ['0_0'], revoking: ['0_1'], standbys: ['0_1'] })
    expect(shares.get('b')).toMatchObject({ standbys: ['0_0'] })
  })
})
