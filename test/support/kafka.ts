// Owns the broker of an integration run: one for all files, started before the first and stopped after the last.
// There is no way to skip: without a broker the run is red, in CI and elsewhere.
import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import type { TestProject } from 'vitest/node'
import { startKafka } from '../../src/testing/kafka/start-kafka.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    kafkaBrokers: string[]
    kafkaHow: string
  }
}

/** Vitest calls this once per run (`globalSetup`); what it returns is called at the end. */
export default async function setUpKafka(project: TestProject): Promise<() => Promise<void>> {
  const kafka = await startKafka({ onProgress: (line) => console.log(line) })
  console.log(`integration tests use ${kafka.how}`)
  project.provide('kafkaBrokers', kafka.brokers)
  project.provide('kafkaHow', kafka.how)
  return () => kafka.stop()
}

/** The addresses of the run's broker. */
export const kafkaBrokers = (): string[] => inject('kafkaBrokers')

/** A name that no other test and no earlier run has used; good for topics, groups and transactional ids. */
export const uniqueTopic = (name: string): string => `${name}-${randomBytes(5).toString('hex')}`
