// Named places of the commit path at which a test can end, stop or break the process. A no-op unless a test arms it.

/** In the order in which one transaction passes them. */
export const faultPoints = [
  'after-poll',
  'mid-batch',
  'before-produce',
  'after-produce',
  'before-offset-commit',
  'offset-commit-sent',
  'after-offset-commit',
  'before-end-txn',
  'end-txn-sent',
  'end-txn-acked',
  'before-local-commit',
  'after-local-commit',
  'restore-batch',
] as const

export type FaultPoint = (typeof faultPoints)[number]

let armed: ((name: FaultPoint) => void) | undefined

/** Calls what a test armed; does nothing in production. */
export const faultPoint = (name: FaultPoint): void => {
  if (armed !== undefined) armed(name)
}

/** For tests only: `reach` is called at each fault point from now on. */
export const armFaultPoints = (reach: ((name: FaultPoint) => void) | undefined): void => {
  armed = reach
}
