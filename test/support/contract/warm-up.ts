// The internal topics of the coordinators are made by their first use, which takes a while: done once for a run, so that
// no case meets it.
import { initOnce, passed } from './producers.ts'
import { Wire } from './wire.ts'
import { joinOnce } from './members.ts'
import { findCoordinator } from '../../../src/protocol/find-coordinator.ts'
import { settled } from './waits.ts'
import { unique } from './names.ts'
import { coordinatorPartitions } from './settings.ts'

const timeoutMs = 30_000

export const warmUp = async (address: string): Promise<void> => {
  const wire = await Wire.open(address)
  try {
    for (const keyType of ['group', 'transaction'] as const) {
      const ask = async (): Promise<boolean> => {
        const { coordinators } = await wire.ask(findCoordinator, { keyType, keys: ['any'] })
        return coordinators[0]?.errorCode === 0
      }
      if (!(await settled(ask, (found) => found, timeoutMs)))
        throw new Error(`${address} has no coordinators`)
    }
    // Enough names for each partition of the internal topics to be met.
    for (let times = 0; times < coordinatorPartitions * 8; times++) {
      const id = unique('warm')
      await settled(() => initOnce(wire, id), passed, timeoutMs)
      // Asks for a member id alone.
      await settled(() => joinOnce(wire, { groupId: id }), passed, timeoutMs)
    }
  } finally {
    wire.close()
  }
}
