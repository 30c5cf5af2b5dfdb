// The launcher behind `npm start`, `npm test` and the other scripts. It has to run on the Node of the system (20 or
// later) and before anything is installed, so it is plain JavaScript and imports built-in modules only. It installs
// what is missing, then runs the real program on the Node 24 that comes with the development dependencies.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const bin = path.join(root, 'node_modules', '.bin')
const node24 = path.join(
  root,
  'node_modules',
  'node',
  'bin',
  process.platform === 'win32' ? 'node.exe' : 'node',
)
const major = Number(process.versions.node.split('.')[0])
const source = '--conditions=millstream-source'
/** Threads of V8 may end a process where the processor has memory protection keys (nodejs/node#64500). */
const threaded = '--no-memory-protection-keys'

/** What each script runs on Node 24, before the arguments of the user. */
const programs = {
  start: [source, threaded, 'src/cli/main.ts', 'dev', 'processors/word-count/index.ts'],
  test: [source, 'tools/check.ts', 'test'],
  verify: [source, 'tools/check.ts', 'verify'],
  controls: [source, 'tools/check.ts', 'controls'],
  build: ['tools/build.ts'],
  docs: [source, 'tools/docs.ts'],
  bench: [source, 'bench/run.ts'],
  compare: [source, 'test/compare/run.ts'],
  faults: [source, threaded, 'test/system/faults/run.ts'],
  soak: [source, threaded, 'test/system/soak/run.ts'],
  sim: [source, threaded, 'test/sim/run.ts'],
  'test:memory': [source, 'test/memory/run.ts'],
  'test:restart': [source, 'test/restart/run.ts'],
  'test:rotation': ['node_modules/vitest/vitest.mjs', 'run', '--project', 'rotation'],
  'check:deploy': ['tools/check-deploy.ts'],
}

const fail = (line) => {
  process.stderr.write(`${line}\n`)
  process.exit(1)
}

const readJson = (file) => JSON.parse(readFileSync(path.join(root, file), 'utf8'))

/** The reason why `npm ci` is needed, or undefined. Compared by content: a checkout changes times for no reason. */
const staleness = () => {
  // npm writes this file last, so it is absent after an interrupted install too.
  if (!existsSync(path.join(root, 'node_modules', '.package-lock.json'))) return 'node_modules is missing'
  const wanted = readJson('package-lock.json').packages
  const installed = readJson('node_modules/.package-lock.json').packages
  const changed = Object.entries(wanted).find(
    ([place, { version, optional }]) => place !== '' && !optional && installed[place]?.version !== version,
  )
  if (changed) return `${changed[0]} is not at ${changed[1].version}`
  return existsSync(node24) || major >= 24 ? undefined : 'Node 24 is missing in node_modules'
}

/** PATH without this project's own binaries: `npm ci` deletes them while it runs. */
const outerPath = () =>
  (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((folder) => path.resolve(folder) !== bin)
    .join(path.delimiter)

let child
let interruptedAt = Number.NEGATIVE_INFINITY

/** Runs a program to its end; the answer is its exit code, 128 + n when signal n ended it. */
const run = (command, args, env, shell = false) =>
  new Promise((resolve) => {
    child = spawn(command, args, { cwd: root, stdio: 'inherit', env, shell })
    child.on('error', (error) => fail(`cannot run ${command}: ${error.message}`))
    child.on('exit', (code, signal) =>
      resolve(code ?? 128 + (os.constants.signals[signal ?? 'SIGTERM'] ?? 0)),
    )
  })

// The child decides when to end; this process only waits for it. At a terminal Ctrl-C reaches the child by itself;
// elsewhere it is passed on, once, though npm passes on one of its own.
process.on('SIGINT', () => {
  const repeated = performance.now() - interruptedAt < 1000
  interruptedAt = performance.now()
  if (!process.stdin.isTTY && !repeated) child?.kill('SIGINT')
})
process.on('SIGTERM', () => child?.kill('SIGTERM'))
process.on('SIGHUP', () => child?.kill('SIGHUP'))

// npm passes SIGTERM on to its shell only, which ends and leaves this process behind: take that for the signal.
const parent = process.ppid
const orphaned = setInterval(() => {
  if (process.ppid === parent) return
  clearInterval(orphaned)
  child?.kill('SIGTERM')
}, 500)
orphaned.unref()

const main = async () => {
  const [name = '', ...args] = process.argv.slice(2)
  const program = Object.hasOwn(programs, name) ? programs[name] : undefined
  if (!program) fail(`unknown script "${name}": one of ${Object.keys(programs).join(', ')}`)
  if (major < 20) fail(`millstream needs Node 20 or later to install itself; this is ${process.version}.`)

  const reason = staleness()
  if (reason) {
    process.stderr.write(`installing the dependencies (${reason}): npm ci\n`)
    const env = { ...process.env, PATH: outerPath() }
    const code = await run('npm', ['ci', '--no-audit', '--no-fund'], env, process.platform === 'win32')
    if (code !== 0) process.exit(code)
  }
  // Where install scripts are switched off (ignore-scripts), the package `node` could not fetch its binary.
  const runtime = existsSync(node24) ? node24 : process.execPath
  if (runtime === process.execPath && major < 24)
    fail(
      'Node 24 could not be installed: run `npm rebuild node --ignore-scripts=false`, or use Node 24 itself.',
    )

  const env = {
    // Sources without their types, so that threads need no WebAssembly for it (vitest.config.ts says why).
    NODE_COMPILE_CACHE: path.join(root, 'node_modules', '.cache', 'compiled'),
    ...process.env,
    PATH: [bin, outerPath()].join(path.delimiter),
  }
  process.exit(await run(runtime, [...program, ...args], env))
}

await main()
