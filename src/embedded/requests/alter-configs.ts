// AlterConfigs, key 33, v0-2: sets all settings of a topic at once: those that are not named go back to their defaults.
// v2 is flexible. Settings of the broker cannot be changed.
//
// request   resources [ resource_type int8 · resource_name string · configs [ name string · value string? · tags ]
//           · tags ] · validate_only bool · tags
// response  throttle_time_ms int32 · responses [ error_code int16 · error_message string? · resource_type int8
//           · resource_name string · tags ] · tags
import {
  type ChangedResource,
  type Changes,
  changeResource,
  nullValue,
  writeChanged,
} from '../config-change.ts'
import type { Resource } from '../config-resource.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Setting {
  readonly name: string
  readonly value: string | null
}

interface Wanted extends Resource {
  readonly settings: readonly Setting[]
}

interface Request {
  readonly resources: readonly Wanted[]
  readonly validateOnly: boolean
}

interface Response {
  readonly resources: readonly ChangedResource[]
}

const changesTo = (current: ReadonlyMap<string, string>, settings: readonly Setting[]): Changes => {
  const unset = settings.find(({ value }) => value === null)
  if (unset !== undefined) return nullValue(unset.name)
  const back = [...current.keys()].map((name): [string, null] => [name, null])
  return Object.fromEntries([
    ...back,
    ...settings.map(({ name, value }): [string, string | null] => [name, value]),
  ])
}

export const alterConfigsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexibleFrom: 2,

  decode(reader) {
    const resources = reader.structs(() => ({
      type: reader.int8(),
      name: reader.string(),
      settings: reader.structs(() => ({ name: reader.string(), value: reader.nullableString() })),
    }))
    const validateOnly = reader.bool()
    reader.tags()
    return { resources, validateOnly }
  },

  encode: (writer, _version, { resources }) => writeChanged(writer, resources),

  handle: ({ resources, validateOnly }, { broker, nodeId }) => ({
    resources: resources.map(({ type, name, settings }) => {
      const changes = (current: ReadonlyMap<string, string>): Changes => changesTo(current, settings)
      const answer = changeResource(broker, { type, name }, settings, changes, { nodeId, validateOnly })
      return { type, name, ...answer }
    }),
  }),
})
