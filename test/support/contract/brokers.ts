// Owns the two brokers of a contract run: Kafka itself and the embedded one.
import type { TestProject } from 'vitest/node'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import { startKafka } from '../../../src/testing/kafka/start-kafka.ts'
import { embeddedSettings, kafkaSettings, type Subject } from './settings.ts'
import { warmUp } from './warm-up.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    contractBrokers: Record<Subject, string>
  }
}

/** Vitest calls this once per run (`globalSetup`); what it returns is called at the end. */
export default async function setUpBrokers(project: TestProject): Promise<() => Promise<void>> {
  // Never a broker that somebody else has set up: the settings would be missing.
  const kafka = await startKafka({
    backend: 'jvm',
    brokerSettings: kafkaSettings,
    onProgress: (line) => console.log(line),
  })
  const embedded = await EmbeddedKafka.start({ settings: embeddedSettings })
  const address = { kafka: kafka.brokers[0] ?? '', embedded: embedded.brokers[0] ?? '' }
  console.log(`the contract is held against ${kafka.how} and the embedded broker at ${address.embedded}`)
  for (const one of Object.values(address)) await warmUp(one)
  project.provide('contractBrokers', address)
  return async () => {
    await embedded.close()
    await kafka.stop()
  }
}
