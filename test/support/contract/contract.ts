// Owns what a case of the contract is: written once, run against Kafka and against the embedded broker. There is no other
// way to write one.
import { inject, it } from 'vitest'
import { subjects } from './settings.ts'
import { unique } from './names.ts'
import { createTopic } from './topics.ts'
import { Wire } from './wire.ts'

/** The broker that a case is held against. A case does not learn which one it is. */
export class Broker implements AsyncDisposable {
  readonly address: string
  readonly wire: Wire
  readonly #wires: Wire[]

  private constructor(address: string, wire: Wire) {
    this.address = address
    this.wire = wire
    this.#wires = [wire]
  }

  static async open(address: string): Promise<Broker> {
    return new Broker(address, await Wire.open(address))
  }

  /** Another connection, closed at the end of the case. */
  async connect(): Promise<Wire> {
    const wire = await Wire.open(this.address)
    this.#wires.push(wire)
    return wire
  }

  /** A new topic. */
  async topic(partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = unique('topic')
    await createTopic(this.wire, name, partitions, configs)
    return name
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const wire of this.#wires) wire.close()
    return Promise.resolve()
  }
}

export const contract = (name: string, run: (broker: Broker) => Promise<void>, timeoutMs = 20_000): void => {
  for (const subject of subjects) {
    // Cases wait more than they work, and share nothing but the broker.
    it.concurrent(`${name} [${subject}]`, { timeout: timeoutMs }, async () => {
      await using broker = await Broker.open(inject('contractBrokers')[subject])
      await run(broker)
    })
  }
}
