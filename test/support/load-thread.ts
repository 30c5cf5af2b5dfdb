// A program: starts the thread of the heartbeats and ends it, so that what it loads is in the cache of compiled sources.
import { nodePorts } from '../../src/base/node-ports.ts'
import { Pulse } from '../../src/base/pulse.ts'
import type { FromHeartbeatThread, HeartbeatThreadData } from '../../src/client/heartbeat-messages.ts'

const entry = new URL('../../src/client/heartbeat-thread.ts', import.meta.url)

const loadMs = 60_000

/** Nothing listens on port 1: this thread never gets to a broker. */
const data = (): HeartbeatThreadData => ({
  cluster: {
    brokers: ['127.0.0.1:1'],
    clientId: 'threads',
    tls: undefined,
    sasl: undefined,
    requestTimeoutMs: 1000,
    connectionTimeoutMs: 1000,
  },
  pulse: new Pulse().memory,
  tasks: [],
  maxPollIntervalMs: 60_000,
  direct: undefined,
})

const { threads } = nodePorts
if (threads === undefined) throw new Error('a Node process has threads')
const loaded = Promise.withResolvers<void>()
// The thread keeps no process alive.
const limit = setTimeout(() => loaded.reject(new Error('the thread did not load')), loadMs)
const thread = threads.start(entry, data(), {
  message: (message) => {
    if ((message as FromHeartbeatThread).kind === 'question') loaded.resolve()
  },
  ended: loaded.reject,
})
await loaded.promise.finally(() => clearTimeout(limit))
// What it compiled is written when it ends.
await thread.end()
