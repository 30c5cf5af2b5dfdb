// A lifecycle as a table of allowed transitions with one way to move.
import { invariant } from './assert.ts'

export interface StateMachine<State extends string> {
  readonly current: State
  /** @throws MillstreamError INVARIANT_BROKEN when the table does not allow the move. */
  transitionTo(next: State): void
}

export function createStateMachine<State extends string>(
  name: string,
  initial: State,
  table: Readonly<Record<State, readonly State[]>>,
  changed?: (next: State, previous: State) => void,
): StateMachine<State> {
  let current = initial
  return {
    get current() {
      return current
    },
    transitionTo(next) {
      invariant(table[current].includes(next), 'a lifecycle follows its table', {
        machine: name,
        from: current,
        to: next,
      })
      const previous = current
      current = next
      changed?.(next, previous)
    },
  }
}
