// What AlterConfigs and IncrementalAlterConfigs have in common: one resource at a time is checked, then changed. Settings
// of topics can be changed. Those of the broker cannot: it has them from its start.
import type { Writer } from '../protocol/wire.ts'
import type { BrokerState } from './broker-state.ts'
import { codes } from './codes.ts'
import { nodeProblem, type Resource, resourceTypes, topicProblem } from './config-resource.ts'
import { settingsProblem, topicSettings } from './topic-settings.ts'

export interface ChangedResource extends Resource {
  readonly errorCode: number
  readonly message: string | null
}

/**
 * The answer of both. throttle_time_ms int32 · responses [ error_code int16 · error_message string? · resource_type int8
 * · resource_name string · tags ] · tags
 */
export const writeChanged = (writer: Writer, resources: readonly ChangedResource[]): void => {
  writer.int32(0)
  writer.structs(resources, ({ errorCode, message, type, name }) => {
    writer.int16(errorCode).nullableString(message).int8(type).string(name)
  })
  writer.tags()
}

/** A setting of a request, whatever else the request says about it. */
export interface NamedSetting {
  readonly name: string
}

type Answer = Pick<ChangedResource, 'errorCode' | 'message'>

/** New values by name; null takes the default. Or why there are none. */
export type Changes = Readonly<Record<string, string | null>> | Answer

export const isAnswer = (changes: Changes): changes is Answer => typeof changes['errorCode'] === 'number'

export const refuse = (errorCode: number, message: string | null): Answer => ({ errorCode, message })

const checkNode = (name: string, nodeId: number, settings: readonly NamedSetting[]): Answer => {
  const problem = nodeProblem(name, nodeId)
  if (problem !== undefined) return problem
  const names = settings.map((setting) => setting.name).join(', ')
  return refuse(codes.INVALID_REQUEST, `Cannot update these configs dynamically: [${names}]`)
}

/**
 * @param changes of a topic, from the values that are set for it now
 * @param validateOnly changes nothing
 */
export const changeResource = (
  broker: BrokerState,
  { type, name }: Resource,
  settings: readonly NamedSetting[],
  changes: (current: ReadonlyMap<string, string>) => Changes,
  { nodeId, validateOnly }: { readonly nodeId: number; readonly validateOnly: boolean },
): Answer => {
  if (new Set(settings.map((setting) => setting.name)).size < settings.length)
    return refuse(codes.INVALID_REQUEST, 'Error due to duplicate config keys')
  if (type === resourceTypes.node) return checkNode(name, nodeId, settings)
  if (type !== resourceTypes.topic) return refuse(codes.INVALID_REQUEST, `Unknown resource type ${type}`)
  if (name === '') return refuse(codes.INVALID_REQUEST, 'Default topic resources are not allowed.')
  const topic = broker.topics.get(name)
  if (topic === undefined) {
    const missing = refuse(codes.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${name}' does not exist.`)
    return topicProblem(name) ?? missing
  }
  const changed = changes(topic.settings)
  if (isAnswer(changed)) return changed
  if (!validateOnly) return broker.topics.configure(name, changed)
  const next = new Map(topic.settings)
  for (const [key, value] of Object.entries(changed)) {
    if (value === null) next.delete(key)
    else next.set(key, value)
  }
  const problem = settingsProblem(next)
  return problem === undefined ? refuse(codes.NONE, null) : refuse(codes.INVALID_CONFIG, problem)
}

export const nullValue = (name: string): Answer =>
  refuse(codes.INVALID_REQUEST, `Null value not supported for : ${name}`)

export const isList = (name: string): boolean => topicSettings[name]?.type === 'LIST'
