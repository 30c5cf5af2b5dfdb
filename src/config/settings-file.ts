// Reads the text of a settings file: YAML (of which JSON is a part). YAML's core schema makes data only, never objects
// with behaviour; a name given twice is refused.
import { parseDocument } from 'yaml'
import { MillstreamError } from '../errors.ts'

/** Taken where no other file is named, if it exists. */
export const defaultSettingsFile = 'millstream.yaml'

const invalid = (path: string, what: string): MillstreamError =>
  new MillstreamError('SETTING_INVALID', {
    what: `the settings file ${what}`,
    where: { file: path },
    fix: 'It holds one setting per line, for instance "commitIntervalMs: 100"; docs/settings.md lists them.',
  })

/**
 * The names and values in a settings file.
 * @throws MillstreamError SETTING_INVALID with the line, where it is no YAML or no mapping of names.
 */
export const parseSettingsFile = (path: string, text: string): Readonly<Record<string, unknown>> => {
  const document = parseDocument(text, { schema: 'core', uniqueKeys: true })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) throw invalid(path, `cannot be read: ${problem.message.split('\n')[0]}`)
  // An alias that stands for many nodes can make a small file a huge value.
  const values: unknown = document.toJS({ maxAliasCount: 100 })
  if (values === null || values === undefined) return {}
  if (typeof values !== 'object' || Array.isArray(values))
    throw invalid(path, 'is no mapping of names to values')
  return values as Record<string, unknown>
}
