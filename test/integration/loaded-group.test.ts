// A coordinator that is still reading its state. The embedded broker: a real one cannot be told when to load, and for how
// long.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodePorts } from '../../src/base/node-ports.ts'
import { isGroupLoaded } from '../../src/client/loaded-group.ts'
import { EmbeddedKafka } from '../../src/embedded/embedded-kafka.ts'
import { heartbeat } from '../../src/protocol/heartbeat.ts'
import { connect, inMs } from '../support/client.ts'

const groupId = 'loading'
const loadMs = 1500
let kafka: EmbeddedKafka

beforeAll(async () => {
  kafka = await EmbeddedKafka.start({ nodes: 2 })
})

afterAll(async () => {
  await kafka.close()
})

describe('a coordinator that is loading', () => {
  it('is content with anybody, so that offsets are asked for before a heartbeat is believed', async () => {
    const cluster = await connect({ brokers: kafka.brokers })
    try {
      const ask = (waitMs: number): Promise<boolean> =>
        isGroupLoaded(cluster, nodePorts, { groupId, sessionTimeoutMs: 3 * waitMs })
      const beat = async (): Promise<number> => {
        const node = await cluster.coordinator('group', groupId)
        const stranger = { groupId, memberId: 'nobody', generationId: 7, groupInstanceId: null }
        return (await cluster.send(node, 'group', heartbeat, stranger)).errorCode
      }
      expect(await ask(200)).toBe(true)
      const unknownMember = await beat()
      expect(unknownMember).not.toBe(0)

      const other = (await cluster.coordinator('group', groupId)) === 1 ? 2 : 1
      kafka.moveCoordinator('group', groupId, other, loadMs)
      const loadedBy = inMs(loadMs + 10_000)
      expect(await ask(200)).toBe(false)
      cluster.forgetCoordinator('group', groupId)
      expect(await beat()).toBe(0)

      while (!(await ask(200)) && inMs(0) < loadedBy);
      expect(await beat()).toBe(unknownMember)
    } finally {
      await cluster.close()
    }
  })
})
