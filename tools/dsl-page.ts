// docs/dsl.md: every operator with an example that the tests run, and what Kafka Streams has beside it.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { operators } from '../test/compare/operators.ts'
import { asyncExamples } from '../test/unit/docs/dsl-async.ts'
import { compositionExamples } from '../test/unit/docs/dsl-composition.ts'
import { globalExamples } from '../test/unit/docs/dsl-globals.ts'
import { headerExamples } from '../test/unit/docs/dsl-headers.ts'
import { examples as operatorExamples } from '../test/unit/docs/dsl-examples.ts'
import { timeExamples } from '../test/unit/docs/dsl-time.ts'
import type { Example } from '../test/unit/docs/dsl-parts.ts'
import { readOnlyExamples } from '../test/unit/docs/dsl-read-only.ts'
import { suppressExamples } from '../test/unit/docs/dsl-suppress.ts'
import { versionExamples } from '../test/unit/docs/dsl-versions.ts'

const examples = [
  ...operatorExamples,
  ...timeExamples,
  ...versionExamples,
  ...headerExamples,
  ...suppressExamples,
  ...globalExamples,
  ...readOnlyExamples,
  ...asyncExamples,
  ...compositionExamples,
]

const source = [
  'dsl-examples.ts',
  'dsl-windows.ts',
  'dsl-calendar.ts',
  'dsl-open-windows.ts',
  'dsl-stream-joins.ts',
  'dsl-time.ts',
  'dsl-versions.ts',
  'dsl-headers.ts',
  'dsl-suppress.ts',
  'dsl-globals.ts',
  'dsl-read-only.ts',
  'dsl-async.ts',
  'dsl-composition.ts',
]
  .map((file) => readFileSync(path.join(import.meta.dirname, '..', 'test', 'unit', 'docs', file), 'utf8'))
  .join('\n')

/** The body of the function as it stands in the file (a test runs it through a compiler), moved to the left. */
const bodyOf = ({ operator }: Example): string => {
  const start = source.indexOf('{\n', source.indexOf('(t) =>', source.indexOf(`\n    '${operator}',\n`))) + 2
  const lines = source.slice(start, source.indexOf('\n    },\n', start)).split('\n')
  const indent = Math.min(...lines.filter((line) => line !== '').map((line) => line.search(/\S/)))
  return lines.map((line) => line.slice(indent)).join('\n')
}

/** The topics by pattern of the page, as they stand in the file. */
const patternExample = source
  .slice(source.indexOf('export const everyRegion'), source.indexOf('/** What the group of'))
  .trimEnd()
  .replaceAll('export ', '')

/** The wrapper of the page, as it stands in the file: the end of it. */
const wrapper = source.slice(source.indexOf('export const spentMs')).trimEnd().replaceAll('export ', '')

const pair = ([topic, key, value]: readonly [string, string, unknown]): string =>
  `${topic} ${key}=${JSON.stringify(value)}`

const exampleText = (example: Example): string => `### ${example.operator}

${example.text}

\`\`\`ts
${bodyOf(example)}
\`\`\`

In: ${example.input.map((one) => `\`${pair(one)}\``).join(', ')}. Out: ${example.output.map((one) => `\`${pair(one)}\``).join(', ')}.`

const sections = (): string =>
  [...new Set(examples.map(({ section }) => section))]
    .map((section) => {
      const own = examples.filter((example) => example.section === section)
      return `## ${section}\n\n${own.map(exampleText).join('\n\n')}`
    })
    .join('\n\n')

/** Of Kafka Streams 4.3, and what there is here. */
const comparison: readonly (readonly [feature: string, here: string])[] = [
  ['stream; filter, map, flatMap, selectKey, peek, foreach, merge, split', 'yes (`branch` for split)'],
  ['print', 'no: `peek`'],
  ['to with a topic name extractor', 'yes, out of declared topics'],
  ['stream partitioner, multicast', 'yes: `to(topic, { partition })`; not for repartition topics'],
  ['topics by pattern', 'yes: `topicPattern`; topics that feed a store need equal numbers of partitions'],
  ['repartition, groupBy, groupByKey', 'yes; every repartition topic is named by the user'],
  ['count, reduce, aggregate of streams', 'yes'],
  ['cogroup', 'yes; its windows share one stream time, and can be told on close'],
  [
    'table, toTable, toStream; filter, filterNot, mapValues',
    'yes; a table from a topic has a changelog of its own',
  ],
  ['groupBy of tables with adder and subtractor', 'yes'],
  ['table-table joins: inner, left, outer', 'yes'],
  ['foreign-key joins: inner, left', 'yes'],
  [
    'stream-table joins: inner, left',
    'yes; as of the time of the record where the table is versioned, with a grace',
  ],
  ['global tables and their joins: inner, left', 'yes: `joinGlobal`, `leftJoinGlobal`'],
  [
    'global stores with a processor',
    'yes: `globalStore` with a function of record and store; called while it is loaded, too. Processors declare the global stores that they read',
  ],
  [
    'read-only stores (a topic as the changelog of a task store)',
    'yes: `readOnlyStore`, by rows or with a function, which a restore calls, too (KAFKA-18972); not as a table that is joined',
  ],
  [
    'stream-stream joins: inner, left, outer',
    'yes; one store for both sides. What was told alone is never joined later, and what waits within the grace is not told before (both happen in Kafka Streams); time survives restarts; late records can go to streams of their own',
  ],
  [
    'tumbling, hopping, sliding and session windows; grace; emit on close',
    'yes; late records can go to a stream of their own; stream time survives restarts',
  ],
  [
    'suppress',
    "yes, also `emit: 'on-close'` for final results; what was before is what was told before, and sessions and sliding windows are told a millisecond later, when they take nothing more",
  ],
  ['unlimited windows', 'yes: `unlimited`'],
  [
    'early results of windows before the final ones',
    'not there (Flink and Beam have early triggers); `early` of a table that is told on close, in stream time',
  ],
  ['windows of the calendar', 'not there; `calendar`: days, weeks and months of a time zone'],
  ['window and session stores', 'yes (`windowStore`): kept by aggregations, read by processors'],
  [
    'versioned stores and tables',
    'yes (`versionedStore`): of `t.table` and `toTable`, and in processors; not for aggregates',
  ],
  ['a change of what a store holds', 'not there; `version` and `migrate` of a store'],
  [
    'headers in stores (KIP-1271), `dsl.store.format=HEADERS`',
    'yes: `headers` of a store, with `ttlMs`, too; not for windows, sessions and versions. Tables have the headers of the record that changed the row last, where those of Kafka Streams 4.3.1 have none',
  ],
  ['a time to live per entry', 'not there; `ttlMs` of a store, in stream time'],
  [
    'record caches (fewer updates)',
    "each update is told, or once per commit where you say so: `emit: 'per-commit'`",
  ],
  [
    'Processor API, state stores, punctuators',
    'yes; stores and outputs are declared and typed; punctuators may have an anchor (`anchorMs`)',
  ],
  ['waiting for idle inputs', 'yes: `maxTaskIdleMs`, with the same meaning and default'],
  ['fixed-key processors', 'yes: `processValues`; it forwards values, so not from punctuators'],
  ['processor wrappers', 'yes: `wrapProcessor` of a worker and of the test driver'],
  [
    'what a change of the topology would lose',
    'not there; `millstream describe MODULE --against previous.json` says it',
  ],
  [
    'timestamp extractors, policies for invalid timestamps',
    'yes: `timestamp` and `onInvalidTimestamp` of a topic; the time of a partition survives restarts',
  ],
  ['durable timers per key', 'not there; `timerStore`, `timers` and `onTimer` of `process`'],
  ['asynchronous processors', 'not there; `mapValuesAsync`, `processAsync`'],
  [
    'Avro, JSON Schema, Protobuf (not in Kafka Streams itself: Confluent)',
    'yes: `millstream/schema-registry`',
  ],
  ['views of a topic or a store in any program (not there: Goka)', 'yes: `openView`'],
  ['interactive queries', 'not yet'],
]

const compared = `\`npm run compare\` runs the same input through both on one broker: out of order, late by up to twice the grace, with nulls and
tombstones. Results are equal byte by byte, with their partitions, and with their timestamps unless it says otherwise below; a
grace that is one millisecond off is noticed. It knows ${Object.keys(operators).join(', ')}. What it has found to be different, and is so on purpose:

- A row that is written again as it is, not earlier, is no change here, as KIP-557 has it. Kafka Streams 4.3.1 tells it again,
  and its row has the later timestamp.
- From nothing to nothing is no change here. Kafka Streams tells a null (\`reduce\` in windows, joins of tables), or the same
  result of an outer join again.
- A sliding window that ends with a record and begins right after another one is told once here, and twice there.
- With the least retention, Kafka Streams loses windows told on close that a leap of stream time passes, and does not find the
  sliding window before a record that is just not late; here none of these is lost. The comparison gives both a long one.
- Left and outer joins of streams are equal where records are late by less than the window is long, and where they are later
  and still have a partner; about the others Kafka Streams contradicts itself ([0020](decisions/0020-stream-joins.md)).
- An aggregate of a stream tells its first value as a change from nothing here. Kafka Streams tells it as a change from the
  initial value, which was in no table: a \`filter\`, a \`suppress\` or an aggregate behind it takes it for one that was.
- Inputs of a cogroup in windows share a stream time here, and have one each in Kafka Streams. The comparison gives both inputs
  every record.
- What travels through topics of several partitions (\`groupBy\` of tables, foreign-key joins) is equal in the end; what is told on
  the way depends on who comes first, in both.
- Records without a key that an outer join keeps go to any partition.`

const callsText = `## What a call may rely on

A call has a record, and no store and no output: it is made before the turn of its record, while records before it still wait
for their answers. The turn comes when the calls of the record are answered and every record before it, of the same task, has
had its turn. Then all that follows happens at once, in one transaction with the offset of the record; what other branches do
with the same record, too. So outputs and stores are those of a synchronous processor, in the same order, and a commit waits
for no call: it ends before the lowest record whose call is open.

- **A call may be made again**: what is open, or answered and not committed, when a worker dies, when a task moves and when a
  transaction is aborted is called for again. Outside of Kafka an effect may happen twice: give it a key that tells it
  (topic, partition and offset, or a number of your own), and let whoever is called ignore what it has done.
- **A call that fails** (it throws, or has no answer within \`timeoutMs\`) fails its record: \`onFailure\` says what becomes of it.
  With \`retry\` that call alone is made again, while others of its key wait; with \`skip\` the record is left out whole; with
  \`fail\` what came before the record is committed, and the worker stops.
- **A call that does not look at its signal** goes on after \`timeoutMs\`, and may then overlap with the next one of its key.
- **A slow call** holds up what comes behind it, not the other calls: a task takes up to 64 records per call that may be open
  before the first of them has had its turn. Then its inputs fill up and are paused.
- \`asyncInFlightMax\` limits the calls of all tasks of a worker (256).
- **Nothing with a store may stand before it** in its sub-topology: counts, joins, processors with stores. Send the records
  through \`repartition\` between the two. Behind it anything may follow, also another asynchronous processor.
- A test drives it with \`await driver.settled()\`; in \`simulate\` a call waits with \`sleep\` of its worker's life.`

const aroundText = `## Around a topology

The default export of a module is a topology, or an array of topologies with different names:
\`export default [orders, payments]\`. \`millstream run\` and \`millstream dev\` run a worker for each, in one process;
\`describe\` shows all of them. A name is an application id, so each has a group and stores of its own, and they meet in topics.

\`wrapProcessor\`, an option of \`createWorker\` and of \`testDriver\`, is called for every processor of every task, operators and
your own, and answers what runs in its place: for spans, timings, counts. \`init\` and \`close\` are those of the processor
unless it has its own. A processor lasts as long as what follows from its record in the same task.

\`\`\`ts
${wrapper}

createWorker(orders, settings, { wrapProcessor: timed })
\`\`\`

State hangs on the names of stores, repartition topics and inputs. \`millstream describe MODULE --against previous.json\` says what
a change of them would lose ([savepoints.md](savepoints.md#before-a-change)).`

export const dslPage = (): { readonly path: string; readonly text: string } => ({
  path: 'docs/dsl.md',
  text: `# The language

Every operator with an example. The examples are run by the tests (\`test/unit/docs\`), and this page is written from them by
\`npm run docs\`. They share these topics and stores:

\`\`\`ts
const texts = topic('texts', { key: string, value: string })
const numbers = topic('numbers', { key: string, value: nullable(int64) })
const names = topic('names', { key: string, value: nullable(string) })
const out = topic('out', { key: string, value: nullable(string) })
const sums = topic('sums', { key: string, value: nullable(int64) })
const totals = store('totals', { key: string, value: int64 })
const named = store('named', { key: string, value: string })
const priced = store('priced', { key: string, value: int64 })
const ranked = store('ranked', { key: string, value: string })
const perWindow = windowStore('per-window', { key: string, value: int64 })
const met = joinStore('met', { key: string, left: string, right: string })
const history = versionedStore('history', { key: string, value: int64, historyMs: 10 })
const waiting = store('waiting', { key: string, value: string })
const recent = store('recent', { key: string, value: string, ttlMs: 2 })
const traced = store('traced', { key: string, value: string, headers: true })
const highest = store('highest', { key: string, value: int64 })
const nicknames = globalStore('nicknames', { key: string, value: string })
const customers = readOnlyStore('customers', { key: string, value: string })
\`\`\`

What is stateful or repartitioned is named by you. A result that is kept in a store has a timestamp: that of its latest
record, or the later one of the two sides of a join. A table tells each change; \`toStream\` makes records of them, where
null says that the key was taken out, so that the topic behind it has to take null (\`nullable(…)\`).

**A record is for the call.** A function that gets a record may keep its key, its value or its headers, but not the record: its
bytes may be given up for later records when it had its turn. To send it on then, or to read of it what was not read before, is
refused with RECORD_EXPIRED; in a callback or behind an \`await\`, where nobody catches it, that ends the process. The test driver does
the same with each record.
The records of \`peek\`, \`foreach\`, \`process\` and \`mapValuesAsync\` stay for as long as somebody keeps them.

${sections()}

## Topics by pattern

\`\`\`ts
${patternExample}
\`\`\`

\`t.stream\` of a pattern reads all topics whose whole name matches, with the same serdes: those that are there at the start, and those
that come later, which a worker finds within \`topicRefreshMs\` and the group then shares out anew. The leader of the group
says which they are, so that all workers read the same ones. Partition 3 of each is read by task 3; \`metadata.topic\` of a
processor tells which topic a record is from. Topics of the application itself never match. In the test driver the option
\`topics\` names those that there are.

${callsText}

${aroundText}

## Beside Kafka Streams

| Kafka Streams 4.3 | millstream |
| --- | --- |
${comparison.map(([feature, here]) => `| ${feature} | ${here} |`).join('\n')}

${compared}
`,
})
