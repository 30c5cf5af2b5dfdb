// The lifecycle of a worker.
//
//   created --> starting --> running <--> rebalancing
//                  |            |  ^          |
//                  |            v  |          |
//                  |         recovering <-----+
//                  v            v             v
//                closing <------+-------------+      (from every state)
//                  |
//                  v
//          closed | failed

export type WorkerState =
  | 'created'
  | 'starting'
  | 'running'
  | 'rebalancing'
  | 'recovering'
  | 'closing'
  | 'closed'
  | 'failed'

export const workerTransitions: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  created: ['starting', 'closing'],
  starting: ['rebalancing', 'closing'],
  running: ['rebalancing', 'recovering', 'closing'],
  rebalancing: ['running', 'recovering', 'rebalancing', 'closing'],
  recovering: ['running', 'rebalancing', 'recovering', 'closing'],
  closing: ['closed', 'failed'],
  closed: [],
  failed: [],
}
