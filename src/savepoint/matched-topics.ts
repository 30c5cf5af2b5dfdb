// What is different at an import where the module reads topics by pattern: they come and go while the savepoint lies there.
import { describeTopics } from '../client/topic-admin.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { MillstreamError } from '../errors.ts'
import type { Topology } from '../topology/contracts.ts'
import { internalTopics } from '../topology/internal-topics.ts'
import { patternSources, topicsMatching } from '../topology/topic-pattern.ts'
import type { ReaderContext } from './committed-reader.ts'
import type { Manifest } from './manifest.ts'

interface Import extends ReaderContext {
  readonly topology: Topology
  readonly manifest: Manifest
  readonly settings: WorkerSettings
}

const existing = async ({ cluster }: Import, topics: readonly string[]): Promise<ReadonlySet<string>> => {
  if (topics.length === 0) return new Set()
  const found = await describeTopics(cluster, topics)
  return new Set(found.filter(({ exists }) => exists).map(({ topic }) => topic))
}

/**
 * Internal topics of the old application are none of the new one: a pattern that matches them would read them.
 * @throws SAVEPOINT_MISMATCH
 */
export const refuseOwnTopics = async (given: Import): Promise<void> => {
  const { manifest, settings, topology } = given
  if (manifest.applicationId === settings.applicationId) return
  const own = internalTopics(topology.graph, manifest.applicationId).map(({ topic }) => topic)
  for (const source of patternSources(topology.graph)) {
    const [topic] = await existing(given, topicsMatching(source, own))
    if (topic === undefined) continue
    throw new MillstreamError('SAVEPOINT_MISMATCH', {
      what: `under the new application id the pattern ${source.topic.name} matches an internal topic of ${manifest.applicationId}`,
      where: { topic },
      fix: 'Make the pattern narrower in the module that the savepoint is taken with, or delete the old application first.',
    })
  }
}

/** A topic by pattern that does not exist any more has nothing to go on with: a worker goes on without it, too. */
export const withoutGone = async (given: Import): Promise<Manifest> => {
  const { manifest, log, topology } = given
  const read = manifest.inputs.filter(({ repartition }) => !repartition).map(({ topic }) => topic)
  const matching = new Set(patternSources(topology.graph).flatMap((source) => topicsMatching(source, read)))
  const gone = matching.difference(await existing(given, [...matching]))
  if (gone.size === 0) return manifest
  log.warn('topics of the savepoint do not exist any more: it is imported without them', {
    topics: [...gone].join(', '),
  })
  return { ...manifest, inputs: manifest.inputs.filter(({ topic }) => !gone.has(topic)) }
}
