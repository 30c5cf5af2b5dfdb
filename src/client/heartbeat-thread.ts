// The thread of the heartbeats: it connects to the cluster by itself, sends heartbeats as it is ordered to, and watches
// whether the main thread moves. One that stands still is named in a log line, which the thread writes by itself; one that
// stands still for longer than maxPollIntervalMs gets no heartbeats any more, until it orders them anew.
import fs from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { LogFields, Logger, LogLevel } from '../base/log.ts'
import { logLine } from '../base/log-line.ts'
import { nodePorts } from '../base/node-ports.ts'
import { type Standstill, StandstillWatch } from '../base/pulse.ts'
import { Cluster } from './cluster.ts'
import { HeartbeatLoop } from './heartbeat-loop.ts'
import type { FromHeartbeatThread, HeartbeatThreadData, ToHeartbeatThread } from './heartbeat-messages.ts'

/** A main thread that stands still for so long is blocked, ms. */
const blockedAfterMs = 5000
const lookEveryMs = 500

const { clock, timers } = nodePorts
const data = workerData as HeartbeatThreadData

const post = (message: FromHeartbeatThread): void => parentPort?.postMessage(message)

/** By the main thread's logger, when it comes to it. */
const log: Logger = {
  debug: (text, fields) => post({ kind: 'line', level: 'debug', text, fields }),
  info: (text, fields) => post({ kind: 'line', level: 'info', text, fields }),
  warn: (text, fields) => post({ kind: 'line', level: 'warn', text, fields }),
  error: (text, fields) => post({ kind: 'line', level: 'error', text, fields }),
}

/** At once where that is possible, whatever the main thread does. */
const sayNow = (level: LogLevel, text: string, fields: LogFields): void => {
  const { direct } = data
  if (direct === undefined) return log[level](text, fields)
  try {
    fs.writeSync(direct.descriptor, logLine(direct.format, new Date(clock.now()), level, text, fields))
  } catch {
    // A pipe that nobody reads is full: then the line waits for the main thread.
    log[level](text, fields)
  }
}

const fieldsOf = ({ ms, task }: Standstill): LogFields => {
  const name = task === undefined ? undefined : data.tasks[task]
  return { task: name?.id, processors: name?.processors.join(' '), blockedMs: ms }
}

let cluster: Promise<Cluster> | undefined
const connected = (): Promise<Cluster> => {
  cluster ??= Cluster.connect(data.cluster, nodePorts, log).catch((error: unknown) => {
    cluster = undefined
    throw error
  })
  return cluster
}

const loop = new HeartbeatLoop(connected, nodePorts, {
  answered: (id, errorCode, sentAtMs) => post({ kind: 'answered', id, errorCode, sentAtMs }),
  unanswered: (id, cause) => post({ kind: 'unanswered', id, cause }),
})

let asked = 0
const watch = new StandstillWatch(data.pulse, { lookEveryMs, blockedAfterMs }, clock.monotonic())

const look = (): void => {
  timers.set(look, lookEveryMs)
  const seen = watch.look(clock.monotonic())
  if (seen !== undefined && 'began' in seen)
    sayNow('warn', 'the main thread is blocked, and heartbeats go on', fieldsOf(seen.began))
  if (seen !== undefined && 'ended' in seen) log.warn('the main thread was blocked', fieldsOf(seen.ended))
  const { order } = loop
  if (order !== undefined && watch.standsMs > data.maxPollIntervalMs) {
    loop.stop()
    sayNow('error', 'the main thread is blocked for too long: heartbeats end, and its tasks go to others', {
      group: order.membership.groupId,
      maxPollIntervalMs: data.maxPollIntervalMs,
    })
    post({ kind: 'gave-up', id: order.id })
  }
  // No second question while one waits: a main thread that is blocked would find a heap of them.
  if (watch.answers < asked) return
  asked++
  post({ kind: 'question' })
}

parentPort?.on('message', (message: ToHeartbeatThread) => {
  if (message.kind === 'beat') loop.beat(message.order)
  else loop.stop()
})
timers.set(look, lookEveryMs)
// So that the way is known when the first heartbeat is due; a failure shows then.
connected().catch(() => {})
