// IncrementalAlterConfigs, key 44, v0-1 (KIP-339): changes settings of a topic one by one: set (0), back to the default
// (1), add to a list (2), take from a list (3). v1 is flexible. Settings of the broker cannot be changed. A resource that is
// named twice is refused.
//
// request   resources [ resource_type int8 · resource_name string
//             · configs [ name string · config_operation int8 · value string? · tags ] · tags ]
//           · validate_only bool · tags
// response  throttle_time_ms int32 · responses [ error_code int16 · error_message string? · resource_type int8
//           · resource_name string · tags ] · tags
import { codes } from '../codes.ts'
import {
  type ChangedResource,
  type Changes,
  changeResource,
  isAnswer,
  isList,
  nullValue,
  refuse,
  writeChanged,
} from '../config-change.ts'
import type { Resource } from '../config-resource.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'
import { settingOf } from '../topic-settings.ts'

interface Step {
  readonly name: string
  readonly operation: number
  readonly value: string | null
}

interface Wanted extends Resource {
  readonly settings: readonly Step[]
}

interface Request {
  readonly resources: readonly Wanted[]
  readonly validateOnly: boolean
}

interface Response {
  readonly resources: readonly ChangedResource[]
}

const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const

const itemsOf = (list: string): string[] => (list === '' ? [] : list.split(',').map((item) => item.trim()))

const changeOf = (current: ReadonlyMap<string, string>, { name, operation, value }: Step): Changes => {
  if (operation === operations.delete) return { [name]: null }
  if (operation !== operations.set && operation !== operations.append && operation !== operations.subtract)
    return refuse(codes.UNKNOWN_SERVER_ERROR, null)
  if (value === null) return nullValue(name)
  if (operation === operations.set) return { [name]: value }
  if (!isList(name)) {
    const verb = operation === operations.append ? 'APPEND' : 'SUBTRACT'
    return refuse(codes.INVALID_CONFIG, `Can't ${verb} to key ${name} because its type is not LIST.`)
  }
  const has = itemsOf(settingOf(current, name))
  const named = itemsOf(value)
  const next =
    operation === operations.append
      ? [...has, ...named.filter((item) => !has.includes(item))]
      : has.filter((item) => !named.includes(item))
  return { [name]: next.join(',') }
}

const changesTo = (current: ReadonlyMap<string, string>, settings: readonly Step[]): Changes => {
  const all: Record<string, string | null> = {}
  for (const step of settings) {
    const change = changeOf(current, step)
    if (isAnswer(change)) return change
    Object.assign(all, change)
  }
  return all
}

const isSame = (one: Resource, other: Resource): boolean => one.type === other.type && one.name === other.name

export const incrementalAlterConfigsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexibleFrom: 1,

  decode(reader) {
    const resources = reader.structs(() => ({
      type: reader.int8(),
      name: reader.string(),
      settings: reader.structs(() => ({
        name: reader.string(),
        operation: reader.int8(),
        value: reader.nullableString(),
      })),
    }))
    const validateOnly = reader.bool()
    reader.tags()
    return { resources, validateOnly }
  },

  encode: (writer, _version, { resources }) => writeChanged(writer, resources),

  handle: ({ resources, validateOnly }, { broker, nodeId }) => ({
    resources: resources.map((resource) => {
      const { type, name, settings } = resource
      if (resources.filter((other) => isSame(other, resource)).length > 1)
        return { type, name, ...refuse(codes.INVALID_REQUEST, 'Each resource must appear at most once.') }
      const changes = (current: ReadonlyMap<string, string>): Changes => changesTo(current, settings)
      const answer = changeResource(broker, { type, name }, settings, changes, { nodeId, validateOnly })
      return { type, name, ...answer }
    }),
  }),
})
