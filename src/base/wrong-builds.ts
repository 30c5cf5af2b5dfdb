// Deliberately wrong builds (negative controls): a checker that never failed proves nothing, so each of these switches
// breaks one rule at the place that it names, and `npm run controls` has to notice (docs/controls.md). Armed by the
// environment variable MILLSTREAM_WRONG_BUILD alone, and by tests in this process; never in production.
import process from 'node:process'
import { MillstreamError } from '../errors.ts'
import type { Logger } from './log.ts'

/** What each of them does. */
export const wrongBuilds = {
  'restore-to-last-stable-offset': 'A restore ends at the last stable offset instead of the high watermark.',
  'no-generation': 'TxnOffsetCommit carries generation -1 and no member id.',
  'abort-on-unknown-outcome':
    'An EndTxn without an answer is taken for an abort: rewound in memory, not looked up.',
  'sequence-rolled-back':
    'After a produce that failed the sequence is rolled back and the epoch kept (transactions version 1).',
  'no-rewind-after-abort': 'After an abort the positions stay where they are.',
  'rewind-first-task-only': 'After an abort only the first task of the worker goes back.',
  'overlay-kept-on-revoke':
    'A task that is taken away, or aborted, keeps what its open transaction wrote to stores.',
  'local-flush-before-commit': 'The local stores take the transaction over before Kafka has committed it.',
  'prefetch-kept-after-seek': 'A seek keeps what was fetched, or is in flight, for the position before it.',
  'offsets-without-require-stable':
    'OffsetFetch does not ask for stable offsets: a pending commit is passed over.',
  'timer-without-offsets': 'A transaction in which only timers ran commits no offsets.',
  'cache-kept-over-reload': 'A store that is put to what is committed keeps its read cache.',
  'standby-with-stale-cache': 'A task that becomes a standby keeps its read cache while others write.',
  'changelog-record-skipped': 'A restore leaves out the last record of the changelog.',
  'old-transaction-after-rejoin':
    'A member that was put out joins again and commits what it did before, under the new generation.',
  'offsets-before-last-produce':
    'TxnOffsetCommit precedes the last acknowledgement, and a restore asks for the high watermark before the offsets are stable.',
  'first-aborted-range-only': 'The abort filter knows the first aborted transaction of each producer only.',
  'restore-by-last-record':
    'A restore waits for a record at the end of the log, where there may be a marker.',
} as const

export type WrongBuild = keyof typeof wrongBuilds

const variable = 'MILLSTREAM_WRONG_BUILD'
const named = process.env[variable] ?? ''
export const isWrongBuild = (name: string): name is WrongBuild => Object.hasOwn(wrongBuilds, name)

let armed: WrongBuild | undefined = isWrongBuild(named) ? named : undefined
let assertionsOff = armed !== undefined && process.env['MILLSTREAM_ASSERTIONS'] === 'off'

/** Whether this is that wrong build; false in production. On a path per record, ask once before the loop. */
export const wrong = (name: WrongBuild): boolean => armed === name

/** Whether the run-time assertions are off: only ever in a wrong build. */
export const assertionsAreOff = (): boolean => assertionsOff

/** For tests only: this process is that wrong build from now on, without assertions; undefined: the right one again. */
export const setWrongBuild = (name: WrongBuild | undefined): void => {
  armed = name
  assertionsOff = name !== undefined
}

/**
 * Says at the start of a worker that its results are not to be trusted.
 * @throws MillstreamError SETTING_INVALID for a name that is none
 */
export const announceWrongBuild = (log: Logger): void => {
  if (named !== '' && !isWrongBuild(named)) {
    throw new MillstreamError('SETTING_INVALID', {
      what: `${variable} is ${JSON.stringify(named)}, which is no wrong build`,
      where: { setting: variable },
      fix: `Unset it: it is meant for tests only. The wrong builds are ${Object.keys(wrongBuilds).join(', ')}.`,
    })
  }
  if (armed === undefined) return
  log.warn('THIS BUILD IS WRONG ON PURPOSE: it loses or doubles records; for tests only', {
    wrongBuild: armed,
    does: wrongBuilds[armed],
    assertions: assertionsOff ? 'off' : 'on',
  })
}
