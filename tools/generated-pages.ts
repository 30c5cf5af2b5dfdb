// The pages of docs/ that are made from tables in the code. A new page is one more entry of `pages`.
import { wrongBuilds } from '../src/base/wrong-builds.ts'
import { limitsOf, type Setting } from '../src/config/setting.ts'
import { flagOf, settingNames, settingsTable, variableOf } from '../src/config/settings-table.ts'
import { errorTable, type Reaction } from '../src/errors.ts'
import { metricNames, metricRow } from '../src/metrics/metrics-table.ts'
import { expected, invariants } from '../test/controls/expected.ts'
import { dslPage } from './dsl-page.ts'

export interface Page {
  /** Path from the root of the project. */
  readonly path: string
  readonly text: string
}

const reactions: Readonly<Record<Reaction, string>> = {
  stop: 'The worker stops. Nothing is committed past the cause; a restart without a change would meet it again.',
  abort: 'The open transaction is aborted, its records are processed again.',
  recover: 'The worker initialises its producer again, reads what is committed and replays.',
  rejoin: 'The worker aborts, joins the group again, then recovers.',
  policy: 'The policy of the record decides: fail, retry or skip.',
  refuse: 'The call or the start is refused; nothing was begun.',
  retry: 'The same request is repeated after a wait.',
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')

const errorsPage = (): Page => ({
  path: 'docs/errors.md',
  text: `# Errors

Every error that millstream throws is a \`MillstreamError\`. Its \`code\` is one of this list and is never reused for
another meaning; its message says what happened, where, and what to do about it. This page is written by
\`npm run docs\` from \`src/errors.ts\`.

## Codes

${table(
  ['code', 'reaction', 'meaning'],
  Object.entries(errorTable).map(([code, { reaction, text }]) => [`\`${code}\``, reaction, text]),
)}

## Reactions

${table(
  ['reaction', 'what the runtime does'],
  Object.entries(reactions).map(([reaction, text]) => [reaction, text]),
)}
`,
})

const allowedOf = (setting: Setting): string => {
  if (setting.type === 'integer') return limitsOf(setting)
  if (setting.type === 'choice') return setting.choices.map((choice) => `\`${choice}\``).join(', ')
  if (setting.type === 'boolean') return '`true`, `false`'
  return setting.type
}

const defaultOf = (setting: Setting): string =>
  setting.defaultText ?? (setting.default === undefined ? 'none' : `\`${setting.default}\``)

const settingsPage = (): Page => ({
  path: 'docs/settings.md',
  text: `# Settings

Each setting can be given as a flag, as a variable of the environment, in the settings file and in the object that
a program gives to \`createWorker\`; where several give it, the first of this list wins. They are checked at the start,
and every mistake is named at once. This page is written by \`npm run docs\` from \`src/config/settings-table.ts\`.

${table(
  ['setting', 'default', 'allowed', 'meaning'],
  settingNames.map((name) => {
    const setting = settingsTable[name]
    return [`\`${name}\``, defaultOf(setting), allowedOf(setting), setting.text]
  }),
)}

## Settings file

\`millstream.yaml\` in the current folder, or the file that \`--config\` or \`MILLSTREAM_CONFIG\` names; YAML or JSON.

\`\`\`yaml
brokers: [kafka-1:9092, kafka-2:9092]
commitIntervalMs: 50
sasl: { mechanism: scram-sha-512, username: totals }   # the password as MILLSTREAM_SASL_PASSWORD
tls: true
\`\`\`

## Names by source

${table(
  ['settings file and program', 'flag', 'environment'],
  settingNames.map((name) => [`\`${name}\``, `\`--${flagOf(name)}\``, `\`${variableOf(name)}\``]),
)}
`,
})

const namesOfWrongBuilds = Object.keys(wrongBuilds) as (keyof typeof wrongBuilds)[]

const controlsPage = (): Page => ({
  path: 'docs/controls.md',
  text: `# Negative controls

A checker that never failed proves nothing. Each of these builds is wrong on purpose, by one switch at the place that
breaks the rule, and runs with the run-time assertions off; a scenario on a real broker then shows that the checker
names what is violated. The unchanged build runs the same scenario with the same seed, and nothing may be wrong. Where
\`npm run controls\` shows more invariants than this table, the others follow from the one that is named here.

\`\`\`
npm run controls                          # all of them, with a table at the end
npm run controls -- no-generation         # one, or several
MILLSTREAM_SEED=… npm run controls        # the same numbers of records once more
\`\`\`

A process is such a build when \`MILLSTREAM_WRONG_BUILD\` names one (\`MILLSTREAM_ASSERTIONS=off\` then turns the
assertions off, and has no effect otherwise); each worker says so at its start, and a name that is none stops it. This
page is written by \`npm run docs\` from \`src/base/wrong-builds.ts\` and \`test/controls/expected.ts\`.

${table(
  ['wrong build', 'what is wrong', 'scenario', 'violates'],
  namesOfWrongBuilds.map((name) => [
    `\`${name}\``,
    wrongBuilds[name],
    expected[name].scenario,
    expected[name].byDigest === true ? `${expected[name].invariant}; digest` : expected[name].invariant,
  ]),
)}

Workers run with \`stateDigest\` off, since the checker has to find what they would find themselves. Where the table says
"digest", the scenario runs once more with it on: the worker has to notice the wrong build by the digest that was
committed, and nothing of an unchanged one.

## Invariants

${table(
  ['invariant', 'what holds'],
  Object.entries(invariants).map(([name, text]) => [name, text]),
)}

## What a switch had to break beside its own rule

- \`offsets-before-last-produce\`: the order of a commit is covered by the order of a restore, which asks for the high
  watermark only when the offsets are stable, so neither alone loses anything. The switch turns both around.
- \`old-transaction-after-rejoin\`: a member never joins by itself in the middle of a transaction. The switch lets it,
  since without that the check of the member id has nothing to catch.
- \`sequence-rolled-back\`: with transactions version 2 every transaction has an epoch of its own, and the fault cannot
  show; its scenario limits the broker to version 1.
`,
})

const metricsPage = (): Page => ({
  path: 'docs/metrics.md',
  text: `# Metrics and probes

With \`httpPort\` a worker answers three paths over HTTP, to GET alone; they tell nothing of the content of records. For
\`millstream run\` that is \`--http-port 9400\`; the chart and the compose file set it. \`httpHost\` is 127.0.0.1 unless
set; in the image it is 0.0.0.0. Several topologies in one process share the port. This page is written by
\`npm run docs\` from \`src/metrics/metrics-table.ts\`.

${table(
  ['path', 'answers'],
  [
    ['`/metrics`', 'the metrics below, in the text format of Prometheus'],
    [
      '`/live`',
      '200, unless the loop of a worker has not turned for longer than all that it may wait for can take (5 to 6 minutes with default settings); then 503 with the reason. Brokers that are away, a rebalance or a long restore are no reason.',
    ],
    ['`/ready`', '200 while every worker runs with all of its tasks restored; else 503 with the reason'],
  ],
)}

A worker that is not ready says why, as JSON: \`starting\`, \`rebalancing\`, \`restoring 2 stores: 1200 of 5000 offsets left,
about 3 s left\`, \`recovering since …\`, \`stopping\`, \`stopped: PROCESSING_FAILED\` (a code of [errors.md](errors.md)).

\`\`\`
$ curl -s localhost:9400/ready
{"ready":false,"reason":"rebalancing","workers":[{"application":"word-count","state":"rebalancing","ready":false,"reason":"rebalancing"}]}
\`\`\`

In a program of your own, \`createWorker\` opens the port where \`httpPort\` is set; \`worker.status()\` says the same as plain
data, and \`worker.onRestoreProgress(listener)\` is called when a restore begins, every two seconds, and when it ends, with
stores, records, bytes, offsets left and seconds left.

## Metrics

Counts are those of the process and begin at 0 with it. Nothing is counted for them while records are processed: values
are taken when they are asked for, and durations when a commit or a rebalance ends.

${table(
  ['metric', 'type', 'labels', 'meaning'],
  metricNames.map((name) => {
    const { type, labels, text } = metricRow(name)
    return [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), text]
  }),
)}
`,
})

const pages: readonly (() => Page | Promise<Page>)[] = [
  dslPage,
  errorsPage,
  settingsPage,
  metricsPage,
  controlsPage,
]

/** Every generated page, as it should be. */
export const generatedPages = (): Promise<readonly Page[]> => Promise.all(pages.map(async (make) => make()))
