// Loads a module as `millstream dev` does, again after each change, and prints the names of its topologies or what is wrong:
// a process of its own, since a test runner imports in its own way.
import process from 'node:process'
import { ModuleWatch } from '../../src/cli/module-watch.ts'
import { ensureError } from '../../src/errors.ts'

const watch = new ModuleWatch(process.argv[2] ?? '')
for (;;) {
  const said = await watch.load().then(
    ({ topologies }) => topologies.map(({ name }) => name).join(' '),
    (error: unknown) => ensureError(error).message,
  )
  process.stdout.write(`${said.replaceAll('\n', ' ')}\n`)
  await watch.changed(new AbortController().signal)
}
