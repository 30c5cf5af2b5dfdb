// What the types of joins of streams say of late records. Nothing here runs: `tsc -p .` checks it.
import { int64, joinStore, nullable, string, topic, topology, within, type RecordStream } from 'millstream'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const orders = topic('orders', { key: nullable(string), value: string })
const payments = topic('payments', { key: string, value: nullable(int64) })
const kept = joinStore('kept', { key: string, left: string, right: int64 })
const windows = within({ beforeMs: 1, afterMs: 1, graceMs: 1 })

export const joins = topology('joins', (t) => {
  const [left, right] = [t.stream(orders), t.stream(payments)]
  const joined = left.outerJoin(right, (order, payment) => `${order} ${payment}`, windows, kept)
  const lefts = joined.lateLeft()
  same<Equal<typeof lefts, RecordStream<string, string>>>()
  const rights = joined.lateRight()
  same<Equal<typeof rights, RecordStream<string, number>>>()
  const mapped = joined.filter(() => true)
  same<Equal<typeof mapped, RecordStream<string | null, string>>>()
  // @ts-expect-error what follows a join has no late records
  mapped.lateLeft()
})
