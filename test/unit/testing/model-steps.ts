// What the model tests have in common: transactions that are begun, committed and aborted, and workers that die, between the
// steps of a test's own.
import fc from 'fast-check'
import { partitionForKey } from '../../../src/record/murmur2.ts'
import type { TestDriver } from '../../../src/testing/index.ts'

export interface Turn {
  readonly kind: 'begin' | 'commit' | 'abort'
}

export interface Restart {
  readonly kind: 'restart'
  readonly keepState: boolean
}

/** Entries of `fc.oneof`, beside the steps of a test's own. */
export const turns: fc.WeightedArbitrary<Turn> = {
  weight: 2,
  arbitrary: fc.record({ kind: fc.constantFrom('begin' as const, 'commit' as const, 'abort' as const) }),
}

export const restarts: fc.WeightedArbitrary<Restart> = {
  weight: 1,
  arbitrary: fc.record({ kind: fc.constant('restart' as const), keepState: fc.boolean() }),
}

const isTurn = (step: { readonly kind: string }): step is Turn =>
  step.kind === 'begin' || step.kind === 'commit' || step.kind === 'abort'

const isRestart = (step: { readonly kind: string }): step is Restart => step.kind === 'restart'

/**
 * Takes the steps, and in the end processes and commits all that waits. `act` takes those of a test's own; `committed` is
 * told whenever nothing of what was sent may be in an open transaction: after such a step, after a commit, and in the end.
 */
export const play = <Own extends { readonly kind: string }>(
  driver: TestDriver,
  steps: readonly (Own | Turn | Restart)[],
  act: (step: Own) => void,
  committed: () => void = () => undefined,
): void => {
  let begun = false
  for (const step of steps) {
    if (isRestart(step)) {
      driver.restart({ keepState: step.keepState })
      begun = false
    } else if (!isTurn(step)) {
      act(step)
      if (!begun) committed()
    } else if (step.kind === 'begin' ? !begun : begun) {
      driver[step.kind]()
      if (step.kind === 'commit') committed()
      begun = step.kind === 'begin'
    }
  }
  driver.run()
  if (begun) driver.commit()
  driver.run()
  committed()
}

/** The partition of a key among so many. */
export const partitionsOf =
  (partitions: number) =>
  (key: string): number => {
    const bytes = Buffer.from(key)
    return partitionForKey(bytes, 0, bytes.length, partitions)
  }

const keyOf = (text: string): string => text.slice(0, text.indexOf('='))

/**
 * Texts like `key=value`, as they can be compared: an output has partitions of its own, so that of several only what is of
 * one key keeps its order.
 */
export const orderIn =
  (partitions: number) =>
  (texts: readonly string[]): string[] =>
    partitions === 1 ? [...texts] : texts.toSorted((one, other) => keyOf(one).localeCompare(keyOf(other)))
