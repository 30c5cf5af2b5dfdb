// Whether the coordinator of a group knows the group. After it has moved, the new one reads its state first, and until
// then it answers every heartbeat with "all is well" (GroupCoordinator of Kafka), also to a member that was put out long
// ago. Offsets it does not answer before: so they are asked for, where a heartbeat is to prove something.
import type { Ports } from '../base/ports.ts'
import { offsetFetch } from '../protocol/offset-fetch.ts'
import type { Cluster } from './cluster.ts'
import { withCoordinator } from './coordinator.ts'

/** @returns whether it is known to be loaded before a third of a session is over */
export const isGroupLoaded = async (
  cluster: Cluster,
  ports: Ports,
  { groupId, sessionTimeoutMs }: { readonly groupId: string; readonly sessionTimeoutMs: number },
): Promise<boolean> => {
  const deadline = ports.clock.monotonic() + sessionTimeoutMs / 3
  const request = { groupId, topics: [], requireStable: false }
  // Over the connection of the heartbeats: on that of the coordinators an EndTxn may be waiting for its answer.
  const ask = (node: number): Promise<{ readonly errorCode: number }> =>
    cluster.send(node, 'group', offsetFetch, request)
  return await withCoordinator(cluster, ports, 'group', groupId, ask, deadline, 'OffsetFetch').then(
    ({ errorCode }) => errorCode === 0,
    () => false,
  )
}
