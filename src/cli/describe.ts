// `millstream describe`: prints topologies. Nothing is connected, so no brokers are needed.
import { describeTopology } from '../topology/describe.ts'
import type { CommandLine } from './arguments.ts'
import { loadModules } from './load-module.ts'
import { loadSettings } from './load-settings.ts'

/** @throws MillstreamError MODULE_NOT_FOUND, MODULE_WITHOUT_TOPOLOGY, TOPOLOGY_INVALID, SETTING_INVALID */
export const describe = async (line: CommandLine, print: (text: string) => void): Promise<void> => {
  const modules = await loadModules(line.modules)
  const texts = modules.map(({ topology }) => {
    const { applicationId } = loadSettings({ ...line, withoutBrokers: true }, topology.name)
    return describeTopology(topology.graph, { applicationId, format: line.format })
  })
  print(texts.join(line.format === 'text' ? '\n' : ''))
}
