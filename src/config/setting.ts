// What a row of the table of settings is, and how a value is read from text (flag, environment) or from data (file,
// object). Reading answers with the value or with what is wrong with it; nothing is thrown here.

interface SettingBase {
  /** What it does, for docs and help: full sentences. */
  readonly text: string
  /** Never shown: not in errors, logs or help. */
  readonly secret?: true
  /** What the default is where it is no constant. */
  readonly defaultText?: string
}

export interface TextSetting extends SettingBase {
  readonly type: 'text'
  readonly default: string | undefined
  /** Problem of a value, as "must …", or undefined. */
  readonly check?: (value: string) => string | undefined
}

export interface ListSetting extends SettingBase {
  readonly type: 'list'
  readonly default: undefined
  readonly check?: (value: string) => string | undefined
}

export interface IntegerSetting extends SettingBase {
  readonly type: 'integer'
  readonly default: number | undefined
  readonly min: number
  readonly max: number
  readonly unit?: 'ms' | 'bytes'
  readonly check?: (value: number) => string | undefined
}

export interface BooleanSetting extends SettingBase {
  readonly type: 'boolean'
  readonly default: boolean
}

export interface ChoiceSetting extends SettingBase {
  readonly type: 'choice'
  readonly default: string | undefined
  readonly choices: readonly string[]
}

export type Setting = TextSetting | ListSetting | IntegerSetting | BooleanSetting | ChoiceSetting
export type SettingValue = string | number | boolean | readonly string[]
export type Read = { readonly value: SettingValue } | { readonly problem: string }

const problem = (text: string): Read => ({ problem: text })

/** A value as an error shows it: never a secret, never long. */
const shown = (setting: Setting, given: unknown): string => {
  if (setting.secret) return '(a secret)'
  const text = typeof given === 'string' ? JSON.stringify(given) : (JSON.stringify(given) ?? String(given))
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

/** "1 to 60000 ms" */
export const limitsOf = (setting: IntegerSetting): string => {
  const unit = setting.unit === undefined ? '' : ` ${setting.unit}`
  return setting.max === Number.MAX_SAFE_INTEGER
    ? `${setting.min}${unit} or more`
    : `${setting.min} to ${setting.max}${unit}`
}

const readInteger = (setting: IntegerSetting, value: number, given: unknown): Read => {
  const wrong = `is ${shown(setting, given)}`
  if (!Number.isSafeInteger(value)) return problem(`${wrong}, but must be an integer (${limitsOf(setting)})`)
  if (value < setting.min || value > setting.max) return problem(`${wrong}, but must be ${limitsOf(setting)}`)
  const found = setting.check?.(value)
  return found === undefined ? { value } : problem(`${wrong}, but ${found}`)
}

const readText = (setting: TextSetting, value: string): Read => {
  if (value === '') return problem('is empty')
  const found = setting.check?.(value)
  return found === undefined ? { value } : problem(`is ${shown(setting, value)}, but ${found}`)
}

const readList = (setting: ListSetting, items: readonly string[]): Read => {
  const value = items.map((item) => item.trim()).filter((item) => item !== '')
  if (value.length === 0) return problem('is empty')
  for (const item of value) {
    const found = setting.check?.(item)
    if (found !== undefined) return problem(`has ${shown(setting, item)}, but each ${found}`)
  }
  return { value }
}

const readChoice = (setting: ChoiceSetting, value: string): Read =>
  setting.choices.includes(value)
    ? { value }
    : problem(`is ${shown(setting, value)}, but must be one of ${setting.choices.join(', ')}`)

const words: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  '1': true,
  false: false,
  no: false,
  '0': false,
}

/** Reads what stands in a flag or in the environment. */
export const readFromText = (setting: Setting, given: string): Read => {
  const text = given.trim()
  switch (setting.type) {
    case 'text':
      // A password may begin or end with a space.
      return readText(setting, setting.secret ? given : text)
    case 'list':
      return readList(setting, text.split(','))
    case 'integer':
      return readInteger(setting, /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN, given)
    case 'boolean': {
      const value = words[text.toLowerCase()]
      return value === undefined
        ? problem(`is ${shown(setting, given)}, but must be true or false`)
        : { value }
    }
    case 'choice':
      return readChoice(setting, text)
  }
}

const wrongType = (setting: Setting, given: unknown, wanted: string): Read =>
  problem(`is ${given === null ? 'empty' : shown(setting, given)}, but must be ${wanted}`)

/** Reads what stands in a settings file or in an object of the program: types are taken as they are. */
export const readFromData = (setting: Setting, given: unknown): Read => {
  switch (setting.type) {
    case 'text':
      return typeof given === 'string'
        ? readText(setting, given)
        : wrongType(setting, given, 'text (in quotes)')
    case 'list': {
      const items = typeof given === 'string' ? given.split(',') : given
      return Array.isArray(items) && items.every((item) => typeof item === 'string')
        ? readList(setting, items)
        : wrongType(setting, given, 'a list of texts')
    }
    case 'integer':
      return typeof given === 'number'
        ? readInteger(setting, given, given)
        : wrongType(setting, given, `an integer (${limitsOf(setting)})`)
    case 'boolean':
      return typeof given === 'boolean' ? { value: given } : wrongType(setting, given, 'true or false')
    case 'choice':
      return typeof given === 'string'
        ? readChoice(setting, given)
        : wrongType(setting, given, `one of ${setting.choices.join(', ')}`)
  }
}
