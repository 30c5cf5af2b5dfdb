// Run-time assertions of the invariants (design: "cheap, always on"). A broken invariant is a bug of ours, never a
// user's mistake: the worker stops before it can commit what it no longer understands.
import { MillstreamError } from '../errors.ts'
import { assertionsAreOff } from './wrong-builds.ts'

/** @throws MillstreamError INVARIANT_BROKEN when the condition does not hold. */
export function invariant(
  condition: unknown,
  name: string,
  details?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (condition || assertionsAreOff()) return
  throw new MillstreamError('INVARIANT_BROKEN', {
    what: `the invariant "${name}" does not hold`,
    where: details ?? {},
    fix: 'This is a bug in millstream: the worker stops before it commits anything. Please report it with this line.',
  })
}
