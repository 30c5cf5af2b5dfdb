// Messages of a Protobuf schema. Confluent's layout puts the place of the message in its file before the message, and the
// package reads over it (its issue 152), so this is ours; the schema itself is the package's.
//
// payload: count varint (zigzag; 0 stands for the first message) · index varint (zigzag) for each level · message

/** What is used of a type of protobufjs. */
interface MessageType {
  readonly name: string
  readonly fullName: string
  readonly parent: Namespace | null
  verify(value: unknown): string | null
  create(value: unknown): object
  encode(message: object): { finish(): Uint8Array }
  decode(bytes: Uint8Array): object
  toObject(message: object, options: object): unknown
}

interface Namespace {
  readonly nestedArray: readonly object[]
}

export interface ProtobufSchema {
  /** @throws TypeError where there is no such message */
  fullName(message: string | undefined): string
  writer(message: string | undefined): (value: unknown) => Uint8Array
  /** @param reader the schema whose message of the same name is read; undefined: the one that it was written with */
  reader(
    reader: ProtobufSchema | undefined,
    message: string | undefined,
  ): (source: Buffer, start: number, end: number) => unknown
  /** @internal */ typeAt(path: readonly number[]): MessageType
  /** @internal */ typeNamed(name: string): MessageType
}

const isType = (one: object): one is MessageType & Namespace => 'fieldsArray' in one

const typesOf = (namespace: Namespace): (MessageType & Namespace)[] => namespace.nestedArray.filter(isType)

// The package looks for the first thing that the file declares and fails where that is an enum. It is told a name
// instead: of the first message that is found at the top.
const firstMessage = (text: string, build: (name: string) => object): MessageType => {
  const names = [...text.matchAll(/\bmessage\s+(\w+)/g)].map(([, name]) => name as string)
  let failure: unknown = new TypeError('the schema has no message')
  for (const name of names) {
    try {
      return (build(name) as { readonly message: MessageType }).message
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

const writeIndexes = (path: readonly number[]): Buffer => {
  if (path.length === 1 && path[0] === 0) return Buffer.from([0])
  const bytes: number[] = []
  for (const value of [path.length, ...path]) {
    let rest = value * 2
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80)
    bytes.push(rest)
  }
  return Buffer.from(bytes)
}

const levelsMax = 32

const firstPath: readonly number[] = [0]

/** Reads the place of a message. Never goes beyond `end`. */
class IndexReader {
  position: number
  readonly #source: Buffer
  readonly #end: number

  constructor(source: Buffer, start: number, end: number) {
    this.#source = source
    this.position = start
    this.#end = end
  }

  path(): readonly number[] {
    const count = this.#next()
    if (count === 0) return firstPath
    if (count > levelsMax) throw new RangeError(`it claims a message ${count} levels deep`)
    return Array.from({ length: count }, () => this.#next())
  }

  #next(): number {
    let zigzag = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = this.position < this.#end ? this.#source[this.position++] : undefined
      if (byte === undefined || shift > 128 ** 3)
        throw new RangeError('it ends within the place of its message')
      zigzag += (byte & 0x7f) * shift
      if (byte < 0x80) break
    }
    if (zigzag % 2 !== 0) throw new RangeError('it claims a negative place of its message')
    return zigzag / 2
  }
}

interface Int64 {
  readonly low: number
  readonly high: number
  toNumber(): number
}

const isInt64 = (value: object): value is Int64 => 'low' in value && 'high' in value && 'toNumber' in value

/** 64-bit integers as numbers, like int64. @throws RangeError beyond 2^53, where a number would be another one */
const plain = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map(plain)
  if (isInt64(value)) {
    const number = value.toNumber()
    if (Number.isSafeInteger(number)) return number
    throw new RangeError(`the integer ${String(value)} does not fit a number`)
  }
  const fields = value as Record<string, unknown>
  for (const name of Object.keys(fields)) fields[name] = plain(fields[name])
  return fields
}

const conversion = { defaults: true, arrays: true, objects: true }

/** @param build the package's schema with a message of this name at its top; throws where there is none */
export const compileProtobuf = (text: string, build: (messageName: string) => object): ProtobufSchema => {
  const first = firstMessage(text, build)
  const top = first.parent as Namespace
  const typeNamed = (name: string): MessageType => {
    const inside = name.startsWith('.') ? name.slice(1) : name
    const all = (types: readonly (MessageType & Namespace)[]): MessageType[] =>
      types.flatMap((type) => [type, ...all(typesOf(type))])
    const found = all(typesOf(top)).find(
      ({ fullName }) => fullName === `.${inside}` || fullName.endsWith(`.${inside}`),
    )
    if (found === undefined) throw new TypeError(`the schema has no message ${name}`)
    return found
  }
  const chosen = (message: string | undefined): MessageType =>
    message === undefined ? (typesOf(top)[0] as MessageType) : typeNamed(message)
  const pathOf = (type: MessageType): number[] => {
    const parent = type.parent as MessageType & Namespace
    const index = typesOf(parent).indexOf(type as MessageType & Namespace)
    return (parent as Namespace) === top ? [index] : [...pathOf(parent), index]
  }
  const schema: ProtobufSchema = {
    fullName: (message) => chosen(message).fullName.slice(1),
    typeNamed,
    typeAt(path) {
      let at: Namespace = top
      for (const index of path) {
        const next = typesOf(at)[index]
        if (next === undefined) throw new TypeError(`its schema has no message at ${path.join('.')}`)
        at = next
      }
      return at as unknown as MessageType
    },
    writer(message) {
      const type = chosen(message)
      const head = writeIndexes(pathOf(type))
      return (value) => {
        const problem = type.verify(value)
        if (problem !== null) throw new TypeError(`the schema refuses it: ${problem}`)
        return Buffer.concat([head, type.encode(type.create(value)).finish()])
      }
    },
    reader(reader, message) {
      const known = new Map<string, MessageType>()
      const typeOf = (path: readonly number[]): MessageType => {
        const written = schema.typeAt(path)
        if (reader === undefined) return written
        return reader.typeNamed(message ?? written.fullName)
      }
      return (source, start, end) => {
        const indexes = new IndexReader(source, start, end)
        const path = indexes.path()
        const key = path.join('.')
        let type = known.get(key)
        if (type === undefined) {
          type = typeOf(path)
          known.set(key, type)
        }
        return plain(type.toObject(type.decode(source.subarray(indexes.position, end)), conversion))
      }
    },
  }
  return schema
}
