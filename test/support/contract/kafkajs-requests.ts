// Requests in versions that are older than any that millstream speaks, built and read by the codecs of kafkajs.
import { setTimeout as sleep } from 'node:timers/promises'
import protocol, { type BuiltCall } from 'kafkajs/src/protocol/requests/index.js'
import { apiVersions } from '../../../src/protocol/api-versions.ts'
import type { Wire } from './wire.ts'

const ours = { clientSoftwareName: 'contract', clientSoftwareVersion: '1.0' }

/** What kafkajs asks again for. */
const passing = new Set(['CONCURRENT_TRANSACTIONS', 'COORDINATOR_LOAD_IN_PROGRESS'])
const triesMax = 200

const answerOf = async (wire: Wire, { request, response }: BuiltCall): Promise<unknown> => {
  for (let tries = 1; ; tries++) {
    const { buffer } = await request.encode()
    const bytes = await wire.askBody(request.apiKey, request.apiVersion, false, buffer)
    try {
      return await response.parse(await response.decode(bytes))
    } catch (error) {
      if (tries === triesMax || !passing.has((error as { type?: string }).type ?? '')) throw error
      await sleep(5)
    }
  }
}

/**
 * One call in each version that both kafkajs and the broker speak.
 * @param fields of the request; undefined passes over a version
 * @returns the answers, as kafkajs reads them, by version
 */
export const askAsKafkajs = async (
  wire: Wire,
  name: string,
  fields: (version: number) => unknown,
): Promise<Map<number, unknown>> => {
  const definition = protocol.requests[name]
  if (definition === undefined) throw new Error(`kafkajs has no request ${name}`)
  const { apis } = await wire.ask(apiVersions, ours)
  const answers = new Map<number, unknown>()
  for (const version of definition.versions.map(Number)) {
    const given = await fields(version)
    if (given === undefined) continue
    const call = definition.protocol({ version })(given)
    const { apiKey, apiVersion } = call.request
    const offered = apis.find(({ key }) => key === apiKey)
    if (offered === undefined || apiVersion < offered.min || apiVersion > offered.max) continue
    answers.set(version, await answerOf(wire, call))
  }
  if (answers.size === 0) throw new Error(`kafkajs and the broker have no version of ${name} in common`)
  return answers
}
