// `npm run build`: dist/ from src/. The folder is made anew, so that no file of an older build is shipped.
import { spawnSync } from 'node:child_process'
import { cpSync, globSync, rmSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

const root = path.dirname(import.meta.dirname)
const dist = path.join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const tsc = path.join(root, 'node_modules', '.bin', 'tsc')
const { status } = spawnSync(tsc, ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (status !== 0) process.exit(1)

// Files that the code reads at run time (the Maven project of the development broker) stand beside it.
for (const file of globSync('**/*.xml', { cwd: path.join(root, 'src') }))
  cpSync(path.join(root, 'src', file), path.join(dist, file))
