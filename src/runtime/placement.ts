// Who runs which task, and who keeps a standby of it. Pure, and deterministic for the same claims.
//
// A task moves only to a member that is close behind its changelog, or where nobody is closer: until then the member that
// has the state works, and the one that is to have the task warms up. So neither a rebalance nor a death makes the
// records of a task wait for the restore of a large store while somebody has it on disk.

/** What a member says of itself when it joins. */
export interface Claim {
  /** Tasks that it works for and has not given up: nobody else gets them in this generation. */
  readonly running: readonly string[]
  /** The generation in which it got them; of two that claim the same task the later one is right. */
  readonly generation: number
  /** How far it has followed the changelogs of each task whose state it has: offsets, summed over the stores. */
  readonly stored: Readonly<Record<string, number>>
  /** The machine it runs on: a standby goes to another one. */
  readonly host: string
}

/** What a member is told. */
export interface Share {
  /** To run from now on. */
  readonly tasks: string[]
  /** Tasks of its claim that others are to get: it commits, closes them and joins again. */
  readonly revoking: string[]
  /** To keep close behind their changelogs. */
  readonly standbys: string[]
  /** Those of them that it is to run: it joins again as soon as it is close. */
  readonly warming: string[]
}

export interface PlacementRules {
  /** Whether the task has stores with a changelog. */
  readonly hasState: (task: string) => boolean
  /** Standbys of each task with state. */
  readonly standbyReplicas: number
  /** A member is close that lacks no more offsets than this to the one that is furthest. */
  readonly standbyLagMax: number
}

/** Who runs each task. Two claims for one come from a member that was put out and does not know it: the later one counts. */
const ownersOf = (claims: ReadonlyMap<string, Claim>): ReadonlyMap<string, string> => {
  const owners = new Map<string, string>()
  for (const [member, { running, generation }] of claims) {
    for (const task of running) {
      const other = claims.get(owners.get(task) ?? '')
      if (other === undefined || other.generation < generation) owners.set(task, member)
    }
  }
  return owners
}

/** What the claims say of a task. */
class Claims {
  readonly members: readonly string[]
  readonly #claims: ReadonlyMap<string, Claim>
  readonly #rules: PlacementRules
  readonly #owners: ReadonlyMap<string, string>
  readonly #furthest = new Map<string, string>()

  constructor(taskIds: readonly string[], claims: ReadonlyMap<string, Claim>, rules: PlacementRules) {
    this.members = [...claims.keys()].sort()
    this.#claims = claims
    this.#rules = rules
    this.#owners = ownersOf(claims)
    for (const task of taskIds) {
      let furthest: string | undefined
      for (const member of this.members) {
        const position = this.position(member, task) ?? -1
        if (position > (this.position(furthest ?? '', task) ?? -1)) furthest = member
      }
      if (furthest !== undefined) this.#furthest.set(task, furthest)
    }
  }

  ownerOf(task: string): string | undefined {
    return this.#owners.get(task)
  }

  /** Undefined where the member has nothing of it. */
  position(member: string, task: string): number | undefined {
    return this.#claims.get(member)?.stored[task]
  }

  /** The member whose state is the newest, if anybody has some. */
  furthest(task: string): string | undefined {
    return this.#furthest.get(task)
  }

  isClose(member: string, task: string): boolean {
    if (!this.#rules.hasState(task)) return true
    const end = this.position(this.furthest(task) ?? '', task) ?? 0
    return end - (this.position(member, task) ?? 0) <= this.#rules.standbyLagMax
  }

  host(member: string): string {
    return this.#claims.get(member)?.host ?? ''
  }
}

/** `<sub-topology>_<partition>` */
const subtopologyOf = (task: string): string => task.slice(0, task.indexOf('_'))

/** Counts of something by member and sub-topology. */
class Tally {
  readonly #counts = new Map<string, number>()

  of(member: string, task: string): number {
    return this.#counts.get(`${member} ${subtopologyOf(task)}`) ?? 0
  }

  /** @returns the count before */
  add(member: string, task: string): number {
    const count = this.of(member, task)
    this.#counts.set(`${member} ${subtopologyOf(task)}`, count + 1)
    return count
  }
}

/**
 * The even distribution that the group works towards: each task with one member, and nobody with more than its share. It
 * goes to the member that runs it, then to one that has its state, then to whoever has least; being close comes first.
 * Each member gets of every sub-topology, as far as that needs no further move: their loads differ.
 */
const balance = (taskIds: readonly string[], claims: Claims): ReadonlyMap<string, string> => {
  const { members } = claims
  const load = new Map(members.map((member) => [member, 0]))
  const share = Math.floor(taskIds.length / Math.max(1, members.length))
  let extra = taskIds.length - share * members.length
  const planned = new Map<string, string>()
  const kinds = new Tally()
  const take = (member: string, task: string): void => {
    const has = load.get(member) ?? 0
    if (planned.has(task) || has > share || (has === share && extra === 0)) return
    if (has === share) extra--
    planned.set(task, member)
    load.set(member, has + 1)
    kinds.add(member, task)
  }
  /** Others could have it at once: of what a member has to give away, that is best. */
  const alternatives = (task: string): number =>
    claims.furthest(task) === undefined
      ? 0
      : members.filter(
          (member) => claims.position(member, task) !== undefined && claims.isClose(member, task),
        ).length
  const seen = new Tally()
  const kindCount = new Set(taskIds.map(subtopologyOf)).size
  const running = taskIds
    .filter((task) => claims.ownerOf(task) !== undefined)
    .map((task) => {
      const member = claims.ownerOf(task) as string
      // Members begin with different sub-topologies, so that what they give up is no single one.
      const turn = (Number(subtopologyOf(task)) + members.indexOf(member)) % kindCount
      return { task, member, others: alternatives(task), nth: seen.add(member, task), turn }
    })
    .sort((a, b) => a.others - b.others || a.nth - b.nth || a.turn - b.turn)
  const stored = taskIds
    .flatMap((task) =>
      members.map((member) => ({ task, member, position: claims.position(member, task) ?? -1 })),
    )
    .filter(({ position }) => position >= 0)
    .sort((a, b) => b.position - a.position)
  for (const close of [true, false]) {
    for (const { task, member } of running) if (claims.isClose(member, task) === close) take(member, task)
    for (const { task, member } of stored) if (claims.isClose(member, task) === close) take(member, task)
  }
  for (const task of taskIds) {
    if (planned.has(task)) continue
    const rank = (member: string): number[] => [load.get(member) ?? 0, kinds.of(member, task)]
    const least = members.reduce((best, one) => (isBefore(rank(one), rank(best)) ? one : best))
    planned.set(task, least)
    load.set(least, (load.get(least) ?? 0) + 1)
    kinds.add(least, task)
  }
  return planned
}

/** Adds the standbys: on other machines than the task where there are some, and where they are already. */
const placeStandbys = (
  tasks: readonly string[],
  replicas: number,
  claims: Claims,
  shares: ReadonlyMap<string, Share>,
  runner: (task: string) => string,
): void => {
  const { members } = claims
  const even = Math.ceil((tasks.length * replicas) / Math.max(1, members.length))
  const load = new Map(members.map((member) => [member, 0]))
  for (const task of tasks) {
    const used = [runner(task)]
    for (let replica = 0; replica < Math.min(replicas, members.length - 1); replica++) {
      const rank = (member: string): number[] => {
        const has = load.get(member) ?? 0
        const kept = claims.position(member, task) !== undefined && has < even
        return [
          used.some((other) => claims.host(other) === claims.host(member)) ? 1 : 0,
          kept ? 0 : 1,
          kept ? -(claims.position(member, task) ?? 0) : 0,
          has,
        ]
      }
      const free = members.filter((member) => !used.includes(member))
      const best = free.reduce((one, other) => (isBefore(rank(other), rank(one)) ? other : one))
      used.push(best)
      load.set(best, (load.get(best) ?? 0) + 1)
      const { standbys, tasks: running } = shares.get(best) as Share
      // The member that runs it until another one is warm becomes its standby when it gives it up.
      if (!standbys.includes(task) && !running.includes(task)) standbys.push(task)
    }
  }
}

const isBefore = (a: readonly number[], b: readonly number[]): boolean => {
  const index = a.findIndex((value, at) => value !== b[at])
  return index >= 0 && (a[index] as number) < (b[index] as number)
}

/**
 * A task that moves away from a member that runs it is given to nobody yet: the member is told to give it up, and the
 * join that follows finds it free.
 */
export const placeTasks = (
  taskIds: readonly string[],
  claimed: ReadonlyMap<string, Claim>,
  rules: PlacementRules,
): Map<string, Share> => {
  const claims = new Claims(taskIds, claimed, rules)
  const shares = new Map<string, Share>(
    claims.members.map((member) => [member, { tasks: [], revoking: [], standbys: [], warming: [] }]),
  )
  const planned = balance(taskIds, claims)
  for (const [task, target] of sorted(planned, taskIds)) {
    const owner = claims.ownerOf(task)
    const holder = owner !== undefined && claims.isClose(owner, task) ? owner : claims.furthest(task)
    const runner = holder === undefined || claims.isClose(target, task) ? target : holder
    if (runner !== target) {
      shares.get(target)?.standbys.push(task)
      shares.get(target)?.warming.push(task)
    }
    if (owner === undefined || owner === runner) shares.get(runner)?.tasks.push(task)
    else {
      shares.get(owner)?.revoking.push(task)
      // Until the next join it stays close: closed, it would fall behind, and the task be given back to its owner.
      if (claims.position(runner, task) !== undefined) shares.get(runner)?.standbys.push(task)
    }
  }
  const stateful = taskIds.filter((task) => rules.hasState(task))
  placeStandbys(stateful, rules.standbyReplicas, claims, shares, (task) => planned.get(task) as string)
  return shares
}

const sorted = (planned: ReadonlyMap<string, string>, taskIds: readonly string[]): [string, string][] =>
  taskIds.map((task) => [task, planned.get(task) as string])
