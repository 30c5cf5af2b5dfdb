// What can happen to a single request on its way, and which one it happens to.

export const requestEffects = {
  'request lost': 'the connection breaks before the request arrives',
  'answer lost': 'the connection breaks after the request was carried out',
  unanswered: 'the request is carried out, and nothing more is heard on this connection',
  swallowed: 'the request never arrives, and nothing more is heard on this connection',
  ghost: 'the connection breaks, and the request arrives later, when the client has long gone on',
  delayed: 'the request takes its time, and all behind it wait',
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

/** Those that wait for their request. Each happens once. */
export class ArmedFaults {
  #armed: RequestFault[] = []

  arm(fault: RequestFault): void {
    this.#armed.push(fault)
  }

  disarm(): void {
    this.#armed = []
  }

  /** What is to happen to this request. */
  take(host: string, apiKey: number): RequestFault | undefined {
    if (this.#armed.length === 0) return undefined
    const at = this.#armed.findIndex((fault) => fault.apiKey === apiKey && fault.host === host)
    return at < 0 ? undefined : this.#armed.splice(at, 1)[0]
  }
}
