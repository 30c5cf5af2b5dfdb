// DescribeConfigs, key 32, v1-4: the settings of topics (type 2) and of a node (type 4), each with where its value comes
// from (KIP-226) and, where asked, the names under which it could be set elsewhere. v3 adds the type of the value and a
// documentation, which is not given here; v4 is flexible. A key that does not exist is left out; no keys are all of them.
// Other types of resources are INVALID_REQUEST.
//
// request   resources [ resource_type int8 · resource_name string · configuration_keys [string]? · tags ]
//           · include_synonyms bool · (v3+) include_documentation bool · tags
// response  throttle_time_ms int32 · results [ error_code int16 · error_message string? · resource_type int8
//             · resource_name string · configs [ name string · value string? · read_only bool · config_source int8
//               · is_sensitive bool · synonyms [ name string · value string? · source int8 · tags ]
//               · (v3+) config_type int8 · (v3+) documentation string? · tags ] · tags ] · tags
import { describeNode } from '../broker-settings.ts'
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { nodeProblem, type Resource, resourceTypes, topicProblem, wrongRequest } from '../config-resource.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'
import { type DescribedSetting, describeTopic } from '../topic-settings.ts'

interface Asked extends Resource {
  readonly keys: readonly string[] | null
}

interface Request {
  readonly resources: readonly Asked[]
  readonly withSynonyms: boolean
}

interface Described extends Resource {
  readonly errorCode: number
  readonly message: string
  readonly settings: readonly DescribedSetting[]
  readonly isReadOnly: boolean
}

interface Response {
  readonly results: readonly Described[]
  readonly withSynonyms: boolean
}

const settingsOf = (broker: BrokerState, { type, name }: Resource, nodeId: number): Partial<Described> => {
  if (type === resourceTypes.topic) {
    const topic = broker.topics.get(name)
    if (topic !== undefined) return { settings: describeTopic(topic.settings) }
    const problem = topicProblem(name)
    return problem ?? { errorCode: codes.UNKNOWN_TOPIC_OR_PARTITION, message: '' }
  }
  if (type === resourceTypes.node)
    return nodeProblem(name, nodeId) ?? { settings: name === '' ? [] : describeNode(broker.settings, nodeId) }
  return { errorCode: codes.INVALID_REQUEST, message: wrongRequest }
}

const describe = (broker: BrokerState, asked: Asked, nodeId: number): Described => {
  const { type, name, keys } = asked
  const found = settingsOf(broker, asked, nodeId)
  const settings = (found.settings ?? []).filter(
    (setting) => keys === null || keys.length === 0 || keys.includes(setting.name),
  )
  const isReadOnly = type === resourceTypes.node
  return { errorCode: codes.NONE, message: '', ...found, type, name, settings, isReadOnly }
}

export const describeConfigsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexibleFrom: 4,

  decode(reader, version) {
    const resources = reader.structs(() => ({
      type: reader.int8(),
      name: reader.string(),
      keys: reader.nullableArray(() => reader.string()),
    }))
    const withSynonyms = reader.bool()
    if (version >= 3) reader.bool()
    reader.tags()
    return { resources, withSynonyms }
  },

  encode(writer, version, { results, withSynonyms }) {
    writer.int32(0)
    writer.structs(results, (result) => {
      writer.int16(result.errorCode).nullableString(result.message).int8(result.type).string(result.name)
      writer.structs(result.settings, ({ name, value, source, type, synonyms }) => {
        writer.string(name).nullableString(value).bool(result.isReadOnly).int8(source).bool(false)
        writer.structs(withSynonyms ? synonyms : [], (one) => {
          writer.string(one.name).nullableString(one.value).int8(one.source)
        })
        if (version >= 3) writer.int8(type).nullableString(null)
      })
    })
    writer.tags()
  },

  handle: ({ resources, withSynonyms }, { broker, nodeId }) => ({
    results: resources.map((asked) => describe(broker, asked, nodeId)),
    withSynonyms,
  }),
})
