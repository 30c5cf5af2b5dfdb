// What can happen to a single request on its way, and which one it happens to.

export const requestEffects = {
  'request lost': 'the connection breaks before the request arrives',
  'answer lost': 'the connection breaks after the request was carried out',
  unanswered: 'the request is carried out, and nothing more is heard on this connection',
  swallowed: 'the request never arrives, and nothing more is heard on this connection',
  ghost: 'the connection breaks, and the request arrives later, when the client has long gone on',
  delayed: 'the request takes its time, and all behind it wait',
  refused:
    'the request is carried out, and answered with an error that says nothing (Produce, TxnOffsetCommit)',
} as const

export type RequestEffect = keyof typeof requestEffects

export interface RequestFault {
  readonly effect: RequestEffect
  /** Key of the request: the next one of that kind is meant. */
  readonly apiKey: number
  /** Of this host. */
  readonly host: string
  /** ghost and delayed: for so long. */
  readonly holdMs: number
}

interface Silence {
  readonly host: string
  readonly apiKeys: readonly number[]
  readonly untilMs: number
}

/** Those that wait for their request. */
export class ArmedFaults {
  #armed: RequestFault[] = []
  #silences: Silence[] = []

  /** Happens once. */
  arm(fault: RequestFault): void {
    this.#armed.push(fault)
  }

  /** Until then each request of these kinds is swallowed. */
  silence(silence: Silence): void {
    this.#silences.push(silence)
  }

  disarm(): void {
    this.#armed = []
    this.#silences = []
  }

  /** What is to happen to this request. */
  take(host: string, apiKey: number, nowMs: number): RequestFault | undefined {
    const at = this.#armed.findIndex((fault) => fault.apiKey === apiKey && fault.host === host)
    if (at >= 0) return this.#armed.splice(at, 1)[0]
    for (const silence of this.#silences)
      if (silence.host === host && nowMs < silence.untilMs && silence.apiKeys.includes(apiKey))
        return { effect: 'swallowed', apiKey, host, holdMs: 0 }
    return undefined
  }
}

const produceKey = 0
const txnOffsetCommitKey = 28
const unknownServerError = -1
/** Length, correlation id and tags stand before the body of a flexible answer. */
const bodyAt = 9

/**
 * The same answer with UNKNOWN_SERVER_ERROR for its first partition; as it is where this kind of answer has none.
 *
 * Produce v9+: topics [ name string · partitions [ index int32 · error_code int16 · …
 * TxnOffsetCommit v3+: throttle_time_ms int32 · topics [ name string · partitions [ index int32 · error_code int16 · …
 */
export const refusing = (apiKey: number, version: number, frame: Buffer): Buffer => {
  const topicsAt =
    apiKey === produceKey && version >= 9
      ? bodyAt
      : apiKey === txnOffsetCommitKey && version >= 3
        ? bodyAt + 4
        : undefined
  if (topicsAt === undefined) return frame
  const nameAt = topicsAt + 1
  const refused = Buffer.from(frame)
  // A compact string begins with its length and one more; then come the number of partitions and the index.
  refused.writeInt16BE(unknownServerError, nameAt + frame.readUInt8(nameAt) + 1 + 4)
  return refused
}
