// What each wrong build has to be caught by. docs/controls.md is made from this table.
import type { WrongBuild } from '../../src/base/wrong-builds.ts'

/** The invariants of the checker that can be violated here. */
export const invariants = {
  I1: 'each committed input has exactly its outputs, each aborted one none',
  I2: 'the committed offset is the end of the contiguous effects',
  I3: 'store = fold of its changelog = fold of the inputs up to the committed offset',
  I4: 'the outputs of a key come in the order of its inputs',
  I5: 'nothing that was aborted is seen, neither in outputs nor in stores',
  I7: 'of each input partition the lives of workers own disjoint, rising ranges of offsets',
  I10: 'after the trouble everything is drained in time, and no worker stops',
  I11: 'no store is rebuilt',
} as const

export type Invariant = keyof typeof invariants

export interface Expected {
  readonly invariant: Invariant
  /** What happens, and what an unchanged build makes of it. */
  readonly scenario: string
  /** A worker that is this wrong build notices it itself, by the digest that was committed. */
  readonly byDigest?: true
}

export const expected: Readonly<Record<WrongBuild, Expected>> = {
  'restore-to-last-stable-offset': {
    invariant: 'I3',
    scenario: 'A transaction is open in the changelog, below commits, while an empty disk is restored.',
  },
  'no-generation': {
    invariant: 'I1',
    scenario: 'A member that was put out does not know it, and reads what its successor has processed.',
  },
  'abort-on-unknown-outcome': {
    invariant: 'I1',
    scenario: 'EndTxn is applied and its answer lost, also when it is repeated.',
  },
  'sequence-rolled-back': {
    invariant: 'I1',
    scenario: 'A produce is appended and answered with an error, on transactions version 1.',
  },
  'no-rewind-after-abort': { invariant: 'I1', scenario: 'TxnOffsetCommit is answered with an error.' },
  'rewind-first-task-only': {
    invariant: 'I1',
    scenario: 'TxnOffsetCommit of a transaction over three tasks is answered with an error.',
  },
  'overlay-kept-on-revoke': {
    invariant: 'I3',
    scenario: 'A member is put out with a transaction open, joins again and gets its task back.',
  },
  'local-flush-before-commit': {
    invariant: 'I3',
    scenario:
      'TxnOffsetCommit is answered with errors until the worker closes; its disk is looked at, and used again.',
  },
  'prefetch-kept-after-seek': {
    invariant: 'I1',
    scenario: 'More is fetched while TxnOffsetCommit waits for its answer, which is an error.',
  },
  'offsets-without-require-stable': {
    invariant: 'I1',
    scenario: 'A successor takes over while EndTxn of its predecessor is on its way.',
  },
  'timer-without-offsets': {
    invariant: 'I7',
    scenario: 'A member that was put out does not know it; its timer, and that of its successor, run.',
  },
  'cache-kept-over-reload': {
    invariant: 'I3',
    scenario: 'A member is out of the group while another one works, and gets its task back.',
  },
  'standby-with-stale-cache': {
    invariant: 'I3',
    scenario: 'A task moves to another worker, and back to its first owner, which was its standby meanwhile.',
  },
  'changelog-record-skipped': { invariant: 'I3', scenario: 'An empty disk is restored.', byDigest: true },
  'old-transaction-after-rejoin': {
    invariant: 'I1',
    scenario:
      'A member is put out while a produce of its transaction is held up; another one works and leaves.',
  },
  'offsets-before-last-produce': {
    invariant: 'I3',
    scenario: 'A produce is held up while a successor takes over, and then gets through.',
  },
  'first-aborted-range-only': {
    invariant: 'I5',
    scenario: 'One producer aborts, commits and aborts transactions in the input.',
  },
  'restore-by-last-record': {
    invariant: 'I10',
    scenario: 'An empty disk is restored; the changelog ends in a marker.',
  },
}
