// Keeps secrets out of logs: an object whose secret fields can be read by the code that needs them, but show as
// `(secret)` in JSON and in util.inspect (and so in console.log and in the fields of a log line).
import { inspect } from 'node:util'

/**
 * A copy of the object whose fields of these names are hidden. They stay enumerable, so that `{ ...copy }`, which is
 * how options reach a library, still carries them: spread only where a secret is about to be used.
 */
export const withSecrets = <T extends object>(fields: T, secrets: readonly (keyof T & string)[]): T => {
  const copy = { ...fields } as Record<string, unknown>
  const visible = { ...fields } as Record<string, unknown>
  for (const name of secrets) {
    const value = fields[name]
    if (value === undefined) continue
    Object.defineProperty(copy, name, { enumerable: true, get: () => value })
    visible[name] = '(secret)'
  }
  const show = { value: () => ({ ...visible }) }
  Object.defineProperties(copy, { toJSON: show, [inspect.custom]: show })
  return Object.freeze(copy) as T
}
