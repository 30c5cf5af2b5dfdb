// Replicas that a client chooses by hand. Every node has every partition here, so the choice changes nothing; what is
// wrong with it is told in the words of Kafka.
import type { BrokerState } from './broker-state.ts'

export const replicasProblem = (broker: BrokerState, nodes: readonly number[]): string | undefined => {
  if (nodes.length === 0) return 'The manual partition assignment includes an empty replica list.'
  const known = broker.nodes.ids()
  const stranger = nodes.find((nodeId) => !known.includes(nodeId))
  if (stranger !== undefined)
    return `The manual partition assignment includes broker ${stranger}, but no such broker is registered.`
  const twice = nodes.find((nodeId, at) => nodes.indexOf(nodeId) !== at)
  return twice === undefined
    ? undefined
    : `The manual partition assignment includes the broker ${twice} more than once.`
}
