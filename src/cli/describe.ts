// `millstream describe`: prints topologies, or what a change of them would leave behind. Nothing is connected, so no
// brokers are needed.
import { readFileSync } from 'node:fs'
import { ensureError, MillstreamError } from '../errors.ts'
import { compareDescriptions, type Difference, type Effect, readDescriptions } from '../topology/compare.ts'
import { describeTopology } from '../topology/describe.ts'
import { describeAsData, type TopologyDescription } from '../topology/description.ts'
import type { CommandLine } from './arguments.ts'
import { loadModules } from './load-module.ts'
import { loadSettings } from './load-settings.ts'

const meanings: Readonly<Record<Effect, string>> = {
  lost: 'would be lost',
  broken: 'would be broken',
  kept: 'would change without a loss',
}

/** What a change does, for people. */
const textOfDifferences = (differences: readonly Difference[], place: string): string => {
  if (differences.length === 0) return `nothing is lost: state and topics are those of ${place}\n`
  const lines: string[] = []
  for (const [effect, meaning] of Object.entries(meanings)) {
    const found = differences.filter((one) => one.effect === effect)
    if (found.length === 0) continue
    lines.push(`${meaning} (${found.length})`)
    for (const { topology, what, fix } of found) lines.push(`  ${topology}: ${what}`, `    way out: ${fix}`)
    lines.push('')
  }
  const bad = differences.some(({ effect }) => effect !== 'kept')
  lines.push(bad ? `compared with ${place}: not yet` : `compared with ${place}: nothing is lost`)
  return `${lines.join('\n')}\n`
}

const jsonText = (data: unknown): string => `${JSON.stringify(data, undefined, 2)}\n`

const readPrevious = (file: string): readonly TopologyDescription[] => {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new MillstreamError('DESCRIPTION_INVALID', {
      what: `it cannot be read: ${ensureError(error).message}`,
      where: { file },
      fix: 'Give the file that millstream describe MODULE --format json was written to.',
      cause: error,
    })
  }
  return readDescriptions(text, file)
}

/**
 * @returns the exit code: 1 where `--against` shows that something would be lost
 * @throws MillstreamError MODULE_NOT_FOUND, MODULE_WITHOUT_TOPOLOGY, TOPOLOGY_INVALID, SETTING_INVALID, DESCRIPTION_INVALID
 */
export const describe = async (line: CommandLine, print: (text: string) => void): Promise<number> => {
  const { format, against } = line
  const modules = await loadModules(line.modules)
  const topologies = modules.flatMap((module) => module.topologies)
  const described = topologies.map(({ name, graph }) => {
    const { applicationId } = loadSettings({ ...line, withoutBrokers: true }, name)
    return { graph, applicationId }
  })
  if (against !== undefined) {
    const before = readPrevious(against)
    const after = described.map(({ graph, applicationId }) => describeAsData(graph, applicationId))
    const differences = compareDescriptions(before, after)
    print(format === 'json' ? jsonText(differences) : textOfDifferences(differences, against))
    return differences.some(({ effect }) => effect !== 'kept') ? 1 : 0
  }
  const texts = described.map(({ graph, applicationId }) =>
    describeTopology(graph, { applicationId, format }),
  )
  // Several documents one behind the other would be no JSON.
  if (format === 'json' && texts.length > 1)
    print(jsonText(described.map(({ graph, applicationId }) => describeAsData(graph, applicationId))))
  else print(texts.join(format === 'text' ? '\n' : ''))
  return 0
}
