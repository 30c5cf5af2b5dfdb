// What the serdes of the schema registry and views let through, by their types. Checked by tsc; nothing here runs.
import { openView, store, string, topic, topology } from 'millstream'
import { avro, protobuf, schemaRegistry } from 'millstream/schema-registry'

interface Order {
  readonly id: string
}
interface NewOrder extends Order {
  readonly note: string
}

const registry = schemaRegistry({ url: 'http://localhost:8081' })
const orders = topic('orders', { key: string, value: avro<Order>(registry, { schema: {} }) })
const evolved = topic('evolved', { key: string, value: avro<Order, NewOrder>(registry, { schema: {} }) })
const kept = store('kept', { key: string, value: protobuf<Order>(registry, { schema: '' }) })

export const typed = topology('typed', (t) => {
  const stream = t.stream(orders)
  stream.filter(({ value }) => value.id !== '').to(orders)
  stream.mapValues(({ id }) => ({ id, note: '' })).to(evolved)
  // @ts-expect-error a note is missing
  stream.to(evolved)
  // @ts-expect-error there is no such field
  stream.mapValues(({ cents }) => cents)
  t.stream(evolved).to(orders)
})

export const looked = async (): Promise<string | undefined> => {
  const view = await openView({ topology: typed, store: kept }, {})
  // @ts-expect-error keys are strings
  view.get(1)
  const rows = await openView(orders, {})
  const order: Order | undefined = rows.get('a')
  return order?.id ?? view.get('a')?.id
}

// @ts-expect-error an object is no schema of Protobuf
protobuf<Order>(registry, { schema: {} })
// @ts-expect-error no such strategy
avro<Order>(registry, { strategy: 'topic' })
