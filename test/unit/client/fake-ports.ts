// Ports on which time passes only when somebody sleeps.
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Ports } from '../../../src/base/ports.ts'

export interface FakePorts {
  readonly ports: Ports
  now(): number
}

/** @param random what the source of randomness always gives */
export const fakePorts = ({ random = 0 }: { random?: number } = {}): FakePorts => {
  let now = 0
  const ports: Ports = {
    ...nodePorts,
    clock: { now: () => now, monotonic: () => now },
    timers: {
      ...nodePorts.timers,
      sleep: (delayMs) => {
        now += delayMs
        return Promise.resolve()
      },
    },
    random: { next: () => random, uuid: () => '00000000-0000-4000-8000-000000000000' },
  }
  return { ports, now: () => now }
}
