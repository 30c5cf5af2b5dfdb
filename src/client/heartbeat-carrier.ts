// Carries heartbeats in a thread with connections of its own, so that a processor that blocks the main thread neither
// loses its tasks nor, beyond maxPollIntervalMs, keeps them for ever. This is the main thread's side; the thread begins
// in heartbeat-thread.ts.
import path from 'node:path'
import type { Logger } from '../base/log.ts'
import type { Ports, Thread, Threads } from '../base/ports.ts'
import type { Pulse } from '../base/pulse.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError, MillstreamError } from '../errors.ts'
import type { Cluster } from './cluster.ts'
import { answerTimeoutMs, type BeatOrder } from './heartbeat-loop.ts'
import type {
  FromHeartbeatThread,
  HeartbeatThreadData,
  TaskName,
  ToHeartbeatThread,
} from './heartbeat-messages.ts'
import { type CarrierReports, type HeartbeatCarrier, Heartbeats, localCarrier } from './heartbeats.ts'

/** From sources (.ts) or from the build (.js), as this file. */
const entry = new URL(`./heartbeat-thread${path.extname(import.meta.filename)}`, import.meta.url)

class ThreadCarrier implements HeartbeatCarrier {
  readonly #thread: Thread

  /** @throws when the settings cannot be copied, or when this process may not start threads */
  constructor(
    threads: Threads,
    data: HeartbeatThreadData,
    pulse: Pulse,
    log: Logger,
    reports: CarrierReports,
  ) {
    this.#thread = threads.start(entry, data, {
      message: (message) => receive(message as FromHeartbeatThread, pulse, log, reports),
      ended: (cause) => reports.failed(ended(cause)),
    })
  }

  beat(order: BeatOrder): void {
    this.#post({ kind: 'beat', order })
  }

  stop(): void {
    this.#post({ kind: 'stop' })
  }

  close(): Promise<void> {
    return this.#thread.end()
  }

  #post(message: ToHeartbeatThread): void {
    this.#thread.post(message)
  }
}

const receive = (message: FromHeartbeatThread, pulse: Pulse, log: Logger, reports: CarrierReports): void => {
  switch (message.kind) {
    case 'question':
      return pulse.answer()
    case 'answered':
      return reports.answered(message.id, message.errorCode, message.sentAtMs)
    case 'unanswered':
      return reports.unanswered(message.id, message.cause)
    case 'gave-up':
      return reports.gaveUp(message.id)
    case 'line':
      return log[message.level](message.text, message.fields)
  }
}

const ended = (cause: Error): MillstreamError =>
  new MillstreamError('HEARTBEATS_ENDED', {
    what: `the thread that sends the heartbeats ended: ${cause.message}`,
    fix: 'The worker stops before its session is over. Where the program is bundled into one file, leave millstream out of the bundle.',
    cause,
  })

const threadData = (
  settings: WorkerSettings,
  tasks: readonly TaskName[],
  pulse: Pulse,
  log: Logger,
): HeartbeatThreadData => {
  const { brokers, clientId, tls, sasl, sessionTimeoutMs, maxPollIntervalMs } = settings
  const inTime = (timeoutMs: number): number => answerTimeoutMs(timeoutMs, sessionTimeoutMs)
  return {
    cluster: {
      brokers,
      clientId,
      tls,
      sasl: sasl && { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password },
      // The thread asks for nothing but heartbeats, and for its way to them.
      requestTimeoutMs: inTime(settings.requestTimeoutMs),
      connectionTimeoutMs: inTime(settings.connectionTimeoutMs),
    },
    pulse: pulse.memory,
    tasks,
    maxPollIntervalMs,
    direct: log.direct,
  }
}

/** Heartbeats from a thread of their own where there are threads, else from this one. */
export const openHeartbeats = (
  settings: WorkerSettings,
  tasks: readonly TaskName[],
  cluster: Cluster,
  ports: Ports,
  log: Logger,
  pulse: Pulse,
): Heartbeats => {
  pulse.know(tasks.map(({ id }) => id))
  return new Heartbeats((reports) => {
    const { threads } = ports
    if (threads === undefined) return localCarrier(cluster, ports, reports)
    try {
      return new ThreadCarrier(threads, threadData(settings, tasks, pulse, log), pulse, log, reports)
    } catch (error) {
      // Settings of tls that hold functions, or a process without the permission for threads.
      log.warn(
        'heartbeats are sent by the main thread: a processor that blocks it for long loses its tasks',
        {
          cause: ensureError(error).message,
        },
      )
      return localCarrier(cluster, ports, reports)
    }
  })
}
