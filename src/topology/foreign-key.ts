// The join of a table with another one by a foreign key that its rows hold. The rows of one foreign key lie in any
// partition of the first table, so that they make themselves known where the other table has that key, and are answered:
//
//   left row ──(its foreign key)──> subscription topic ──> subscriptions (foreign key, key) ──┐
//                                                          right row as it is, or as it becomes│
//   result <── left row as it is now <── response topic <─────────(key)───────────────────────┘
//
// A response counts only where the row still has the foreign key that it was asked for by: else a later one is on its
// way. All responses for one foreign key come from one partition in order, so the last one that counts is the last truth.
import { embedded } from '../serde/remote.ts'
import type { Serde } from '../serde/serde.ts'
import { bufferOver, bytes } from '../serde/text.ts'
import type { KeyValueStore } from '../state/contracts.ts'
import { Change } from './change.ts'
import type { ProcessorContext, StoreDefinition } from './contracts.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import { type AnyRecord, Operator } from './operators.ts'
import { repartition } from './repartition.ts'
import { type Emission, KeptTable, type TableReader, type TableView } from './table-operators.ts'

/** What a row of the left table says where its foreign key lives. */
interface Subscription {
  /** Key of the row, encoded. */
  readonly key: Uint8Array
  readonly subscribes: boolean
}

/** What the row with that foreign key is. */
interface Response {
  /** The foreign key, encoded. */
  readonly foreignKey: Uint8Array
  /** Undefined: there is none. */
  readonly value: unknown
  readonly timestamp: number
}

/** bytes: subscribes int8 · key */
const subscriptionSerde: Serde<Subscription> = {
  name: 'subscription',
  encode: ({ key, subscribes }) => Buffer.concat([Buffer.of(subscribes ? 1 : 0), key]),
  decode(given) {
    if (given.length < 1 || (given[0] ?? 2) > 1) throw new RangeError('these bytes are no subscription')
    return { subscribes: given[0] === 1, key: Buffer.from(given.subarray(1)) }
  },
}

const responseHeadBytes = 13

/** bytes: has a value int8 · timestamp int64 · length of the foreign key int32 · foreign key · value */
export const responseSerde = (value: Serde<unknown>): Serde<Response> => ({
  name: `response(${value.name})`,
  ...embedded(value.remote),
  encode(response) {
    const head = Buffer.alloc(responseHeadBytes)
    head.writeInt8(response.value === undefined ? 0 : 1, 0)
    head.writeBigInt64BE(BigInt(response.timestamp), 1)
    head.writeInt32BE(response.foreignKey.length, 9)
    const encoded = response.value === undefined ? Buffer.alloc(0) : value.encode(response.value)
    return Buffer.concat([head, response.foreignKey, encoded])
  },
  decode(given) {
    const source = bufferOver(given)
    const end = source.length < responseHeadBytes ? -1 : responseHeadBytes + source.readInt32BE(9)
    if (end < responseHeadBytes || end > source.length) throw new RangeError('these bytes are no response')
    return {
      foreignKey: Buffer.from(source.subarray(responseHeadBytes, end)),
      value: source.readInt8(0) === 0 ? undefined : value.decode(source.subarray(end)),
      timestamp: Number(source.readBigInt64BE(1)),
    }
  },
})

/** Who has subscribed: a row of the left table under the foreign key that it holds. */
interface Subscriber {
  readonly foreignKey: Uint8Array
  /** Undefined in a bound of a range: before all of the foreign key, or (`last`) behind them. */
  readonly key?: Uint8Array
  readonly last?: true
}

/** The first bytes that order behind everything that begins with these: they begin with a length, so there always are some. */
const behind = (prefix: Buffer): Buffer => {
  const next = Buffer.from(prefix)
  let at = next.length - 1
  while (at > 0 && next[at] === 0xff) next[at--] = 0
  next[at] = (next[at] as number) + 1
  return next
}

/** bytes: length of the foreign key int32 · foreign key · key: so the rows of one foreign key lie side by side. */
const subscriberSerde: Serde<Subscriber> = {
  name: 'subscriber',
  encode({ foreignKey, key, last }) {
    const length = Buffer.alloc(4)
    length.writeInt32BE(foreignKey.length, 0)
    const prefix = Buffer.concat([length, foreignKey])
    if (last === true) return behind(prefix)
    return key === undefined ? prefix : Buffer.concat([prefix, key])
  },
  decode(given) {
    const source = Buffer.from(given)
    const end = 4 + source.readInt32BE(0)
    return { foreignKey: source.subarray(4, end), key: source.subarray(end) }
  },
}

/** The store of the subscriptions of a join. */
export const subscriptionStore = (name: string): StoreDefinition =>
  Object.freeze({
    name: `${name}-subscriptions`,
    key: subscriberSerde as unknown as Serde<unknown>,
    value: bytes as unknown as Serde<unknown>,
    engine: 'lmdb',
    changelogSettings: {},
  })

/** What the nodes of one join know of it. */
export interface ForeignKeyJoin {
  /** The foreign key of a row; null or undefined: it has none. */
  readonly foreignKeyOf: (value: unknown, key: unknown) => unknown
  readonly foreignKey: Serde<unknown>
  /** Of the left table. */
  readonly key: Serde<unknown>
  readonly left: TableView
  readonly right: TableView
  /** The joined value; undefined: no row. Of a row without a partner: with undefined, or not at all. */
  readonly combine: (left: unknown, right: unknown) => unknown
  readonly subscriptions: StoreDefinition
}

const encodedForeignKey = (join: ForeignKeyJoin, value: unknown, key: unknown): Uint8Array | undefined => {
  const foreignKey = value === undefined ? undefined : join.foreignKeyOf(value, key)
  return foreignKey === undefined || foreignKey === null ? undefined : join.foreignKey.encode(foreignKey)
}

/** Tells where its foreign key lives what becomes of a row of the left table. */
class SubscribeOperator extends Operator {
  readonly #join: ForeignKeyJoin

  constructor(join: ForeignKeyJoin) {
    super()
    this.#join = join
  }

  process(record: AnyRecord): void {
    const { before, after, isLatest } = record.value as Change<unknown>
    if (!isLatest) return
    const { key } = record
    const left = encodedForeignKey(this.#join, before, key)
    const entered = encodedForeignKey(this.#join, after, key)
    const encodedKey = this.#join.key.encode(key)
    if (left !== undefined && (entered === undefined || Buffer.compare(left, entered) !== 0))
      this.#tell(record, this.#join.foreignKeyOf(before, key), { key: encodedKey, subscribes: false })
    if (entered !== undefined)
      this.#tell(record, this.#join.foreignKeyOf(after, key), { key: encodedKey, subscribes: true })
  }

  #tell(record: AnyRecord, foreignKey: unknown, subscription: Subscription): void {
    this.context.forward(record.withKeyAndValue(foreignKey, subscription))
  }
}

/** Answers the rows of the left table: those that subscribe, and all of a foreign key whose row changes. */
abstract class Responder extends Operator {
  protected readonly join: ForeignKeyJoin
  protected store!: KeyValueStore<Subscriber, Uint8Array>

  constructor(join: ForeignKeyJoin) {
    super()
    this.join = join
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.store = context.store(this.join.subscriptions.name) as unknown as typeof this.store
  }

  protected respond(record: AnyRecord, key: Uint8Array, response: Response): void {
    this.context.forward(record.withKeyAndValue(this.join.key.decode(key), response))
  }
}

const present = Buffer.alloc(0)

class SubscriptionOperator extends Responder {
  #right!: TableReader

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#right = this.join.right.read(context)
  }

  process(record: AnyRecord): void {
    const { key, subscribes } = record.value as Subscription
    const foreignKey = this.join.foreignKey.encode(record.key)
    if (!subscribes) return this.store.delete({ foreignKey, key })
    if (!this.store.has({ foreignKey, key })) this.store.put({ foreignKey, key }, present)
    const row = this.#right.getOf(record)
    const timestamp = row === undefined ? record.timestamp : Math.max(record.timestamp, row.timestamp)
    this.respond(record, key, { foreignKey, value: row?.value, timestamp })
  }
}

class RightRowOperator extends Responder {
  process(record: AnyRecord): void {
    const { after, isLatest } = record.value as Change<unknown>
    if (!isLatest) return
    const foreignKey = this.join.foreignKey.encode(record.key)
    const response = { foreignKey, value: after, timestamp: record.timestamp }
    for (const { key } of this.store.range({ foreignKey }, { foreignKey, last: true }))
      this.respond(record, key.key as Uint8Array, response)
  }
}

/** Keeps the joined table: from the changes of the left table and from the responses to them. */
export class ForeignResultOperator extends KeptTable {
  readonly #join: ForeignKeyJoin
  #left!: TableReader

  constructor(definition: StoreDefinition, emission: Emission, join: ForeignKeyJoin) {
    super(definition, emission)
    this.#join = join
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#left = this.#join.left.read(context)
  }

  process(record: AnyRecord): void {
    const { value } = record
    if (!(value instanceof Change)) this.#answered(record, value as Response)
    else if (value.isLatest) this.#changed(record, value.after)
  }

  /** A row with a foreign key waits for its response. */
  #changed(record: AnyRecord, after: unknown): void {
    if (encodedForeignKey(this.#join, after, record.key) !== undefined) return
    const result = after === undefined ? undefined : this.#join.combine(after, undefined)
    this.keep(record, this.store.getOf(record), result, record.timestamp)
  }

  #answered(record: AnyRecord, { foreignKey, value, timestamp }: Response): void {
    const row = this.#left.getOf(record)
    const current = encodedForeignKey(this.#join, row?.value, record.key)
    if (row === undefined || current === undefined || Buffer.compare(current, foreignKey) !== 0) return
    const result = this.#join.combine(row.value, value)
    this.keep(record, this.store.getOf(record), result, Math.max(row.timestamp, timestamp))
  }
}

/** Adds the nodes between the changes of both tables and the responses, which it answers. */
export const connectForeignKeyJoin = (
  builder: GraphBuilder,
  name: string,
  join: ForeignKeyJoin,
  responses: Serde<Response>,
  left: Upstream,
  right: Upstream,
): Upstream => {
  const node = (
    part: string,
    upstream: Upstream,
    stores: readonly StoreDefinition[],
    create: () => Operator,
  ): Upstream => {
    const parts = {
      name: `${name}-${part}`,
      operator: part,
      stores,
      outputs: undefined,
      mustLead: false,
      create,
    }
    return { node: builder.addProcessor([upstream], parts), output: '' }
  }
  const through = (
    part: string,
    upstream: readonly Upstream[],
    key: Serde<unknown>,
    value: unknown,
  ): Upstream => {
    const topic = {
      name: `${name}-${part}`,
      partitions: 'as-reader',
      key,
      value: value as Serde<unknown>,
    } as const
    return repartition(builder, upstream, topic)
  }
  const asked = node('subscribe', left, [], () => new SubscribeOperator(join))
  const subscriptions = through('subscription', [asked], join.foreignKey, subscriptionSerde)
  const stores = [join.subscriptions, ...join.right.stores]
  const answers = [
    node('answer', subscriptions, stores, () => new SubscriptionOperator(join)),
    node('tell', right, stores, () => new RightRowOperator(join)),
  ]
  return through('response', answers, join.key, responses)
}
