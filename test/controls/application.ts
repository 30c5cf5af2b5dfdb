// The application of the negative controls: it numbers the values of a key by a store, and each output names the life of
// a worker that made it: `4:v4:one`. Every worker has a topology of its own, alike but for that name.
import { int64, output, processor, store, string, StreamRecord, topic, topology } from 'millstream'
import type { Topology } from '../../src/topology/contracts.ts'
import type { Judge } from '../support/judge.ts'
import { uniqueTopic } from '../support/kafka.ts'

export interface Application {
  readonly applicationId: string
  readonly input: string
  readonly output: string
  readonly changelog: string
  readonly partitions: number
  topology(by: string): Topology
  /** Writes so many values more into each partition. */
  feed(count: number): Promise<void>
  /** Values that were written into each partition by `feed`. */
  readonly fed: number
}

export const keyOf = (partition: number): string => `k${partition}`

/** How often the timer of `ticking` fires, ms. */
const tickMs = 60

export const createApplication = async (
  judge: Judge,
  kind: 'numbering' | 'ticking',
  partitions: number,
): Promise<Application> => {
  const applicationId = uniqueTopic(kind)
  const input = topic(`${applicationId}-in`, { key: string, value: string })
  const out = topic(`${applicationId}-out`, { key: string, value: string })
  const seen = store('seen', { key: string, value: int64 })
  await judge.createTopics({ name: input.name, partitions }, { name: out.name, partitions })
  let fed = 0
  const numbering = (by: string) =>
    processor({
      stores: [seen],
      outputs: output<string, string>(),
      process: (record: StreamRecord<string, string>, { stores, forward }) => {
        const number = (stores.seen.get(record.key) ?? 0) + 1
        stores.seen.put(record.key, number)
        forward(record.withValue(`${number}:${record.value}:${by}`))
      },
    })
  const ticking = (by: string) =>
    processor({
      stores: [seen],
      outputs: output<string, string>(),
      init: ({ schedule, forward, stores }) => {
        schedule(tickMs, 'wall-clock', (timestamp) => {
          const number = (stores.seen.get(keyOf(0)) ?? 0) + 1
          stores.seen.put(keyOf(0), number)
          forward(StreamRecord.of({ key: keyOf(0), value: `${number}:tick:${by}`, timestamp }))
        })
      },
      process: (_record: StreamRecord<string, string>) => {},
    })
  return {
    applicationId,
    input: input.name,
    output: out.name,
    changelog: `${applicationId}-seen-changelog`,
    partitions,
    topology: (by) =>
      topology(applicationId, (t) => {
        t.stream(input)
          .process(kind === 'numbering' ? numbering(by) : ticking(by))
          .to(out)
      }),
    get fed() {
      return fed
    },
    feed: async (count) => {
      const records = Array.from({ length: partitions }, (_, partition) =>
        Array.from({ length: count }, (_, index) => ({
          partition,
          key: keyOf(partition),
          value: `v${fed + index + 1}`,
        })),
      ).flat()
      fed += count
      await judge.produce(input.name, records)
    },
  }
}
