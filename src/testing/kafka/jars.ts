// Owns what Maven brings: which tools are on this machine, the cache outside the project, and directories in it that
// are filled exactly once. A directory is filled under a temporary name and renamed when complete, so an interrupted
// download is never taken for a whole one; a lock file keeps two processes from downloading the same at once.
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MillstreamError } from '../../errors.ts'

export type Progress = (line: string) => void

/** `$XDG_CACHE_HOME/millstream`, or `~/.cache/millstream`. */
export const cacheDirectory = (): string =>
  path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'millstream')

/** The Java launcher: that of JAVA_HOME where it exists, else the one on PATH. */
export const javaCommand = (): string => {
  const fromHome = process.env.JAVA_HOME ? path.join(process.env.JAVA_HOME, 'bin', 'java') : undefined
  return fromHome !== undefined && fs.existsSync(fromHome) ? fromHome : 'java'
}

const outputOf = (command: string, args: readonly string[]): Promise<string | undefined> =>
  new Promise((resolve) => {
    execFile(command, args, { timeout: 20_000 }, (error, stdout, stderr) =>
      resolve(error === null ? `${stdout}${stderr}` : undefined),
    )
  })

/** Major version of the Java on this machine, or undefined where there is none. */
async function javaMajorVersion(): Promise<number | undefined> {
  const text = await outputOf(javaCommand(), ['-version'])
  const found = text?.match(/version "(?:1\.)?(\d+)/)?.[1]
  return found === undefined ? undefined : Number(found)
}

const hasMaven = async (): Promise<boolean> => (await outputOf('mvn', ['-v'])) !== undefined

/** What is missing on this machine to run Java 17 (and Maven): empty when nothing is. */
export async function missingJavaTools(needsMaven: boolean): Promise<string[]> {
  const missing: string[] = []
  const major = await javaMajorVersion()
  if (major === undefined) missing.push('there is no java')
  else if (major < 17) missing.push(`java is version ${major}, below 17`)
  if (needsMaven && !(await hasMaven())) missing.push('there is no mvn')
  return missing
}

/** @throws MillstreamError KAFKA_NOT_AVAILABLE, one sentence that names what is missing and the three ways out. */
export const requireJava = async (needsMaven: boolean): Promise<void> => {
  const missing = await missingJavaTools(needsMaven)
  if (missing.length === 0) return
  throw new MillstreamError('KAFKA_NOT_AVAILABLE', {
    what: `no Kafka broker is at hand and none can be started: KAFKA_BROKERS is not set, no Docker engine is used, and ${missing.join(' and ')}`,
    fix: 'Set KAFKA_BROKERS to the address of a broker, or start Docker, or install Java 17 or newer with Maven (java and mvn on PATH).',
  })
}

const lockHolder = (file: string): number | undefined => {
  try {
    const pid = Number(fs.readFileSync(file, 'utf8'))
    process.kill(pid, 0)
    return pid
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? -1 : undefined
  }
}

/** Runs `work` while no other process runs one under the same lock file. A lock whose owner died is taken over. */
async function withLock<T>(file: string, onProgress: Progress, work: () => Promise<T>): Promise<T> {
  let told = false
  for (;;) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    // A file without a pid was created an instant ago, or its writer died between creating and writing it.
    const age = Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (lockHolder(file) === undefined && age > 1000) fs.rmSync(file, { force: true })
    if (!told && age > 1000) onProgress('another process is using Maven for millstream: waiting for it')
    told ||= age > 1000
    await sleep(200)
  }
  try {
    return await work()
  } finally {
    fs.rmSync(file, { force: true })
  }
}

/** Runs Maven quietly. @throws MillstreamError KAFKA_NOT_AVAILABLE with the tail of what it printed. */
export async function runMaven(args: readonly string[], cwd: string): Promise<void> {
  const child = spawn('mvn', ['-B', '-q', '-Dstyle.color=never', ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (bytes: Buffer): void => {
    output = (output + bytes.toString()).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const onExit = (): void => void child.kill()
  process.on('exit', onExit)
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', (exitCode) => resolve(exitCode))
  })
  process.off('exit', onExit)
  if (code === 0) return
  throw new MillstreamError('KAFKA_NOT_AVAILABLE', {
    what: `Maven failed (exit code ${code}): ${output.trim() || 'it printed nothing'}`,
    fix: 'Check that mvn works and reaches its repository, or set KAFKA_BROKERS, or start Docker.',
  })
}

/**
 * A directory of the cache that `fill` makes once: it gets an empty temporary directory, which is renamed to
 * `name` when it returns.
 * @returns the path of the complete directory.
 */
export async function cachedDirectory(
  name: string,
  onProgress: Progress,
  fill: (directory: string) => Promise<void>,
): Promise<string> {
  const target = path.join(cacheDirectory(), name)
  if (fs.existsSync(target)) return target
  fs.mkdirSync(cacheDirectory(), { recursive: true })
  // One lock for all names: two Mavens that write one local repository at a time can damage it.
  return withLock(path.join(cacheDirectory(), 'maven.lock'), onProgress, async () => {
    if (fs.existsSync(target)) return target
    for (const left of fs.readdirSync(cacheDirectory())) {
      if (left.startsWith('.filling-'))
        fs.rmSync(path.join(cacheDirectory(), left), { recursive: true, force: true })
    }
    const temporary = fs.mkdtempSync(path.join(cacheDirectory(), '.filling-'))
    try {
      await fill(temporary)
      // It may be there by now only if a lock was wrongly taken for a dead one; the two are equal.
      if (!fs.existsSync(target)) fs.renameSync(temporary, target)
    } finally {
      fs.rmSync(temporary, { recursive: true, force: true })
    }
    return target
  })
}

/**
 * The jars of a broker, fetched by Maven on first use.
 * @returns the directory that holds them.
 * @throws MillstreamError KAFKA_NOT_AVAILABLE when Java or Maven is missing, or Maven fails.
 */
export async function brokerJars(version: string, onProgress: Progress): Promise<string> {
  // The sources are run from src/, the package from dist/: the pom is shipped once, under src/.
  const here = path.dirname(fileURLToPath(import.meta.url))
  const pom = [path.join(here, 'pom.xml'), path.join(here, '../../../src/testing/kafka/pom.xml')].find(
    (file) => fs.existsSync(file),
  )
  if (pom === undefined) throw new Error(`pom.xml of the broker's jars is not beside ${here}`)
  const text = fs.readFileSync(pom, 'utf8')
  const name = `kafka-${version}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
  await requireJava(!fs.existsSync(path.join(cacheDirectory(), name)))
  const directory = await cachedDirectory(name, onProgress, async (temporary) => {
    onProgress(`fetching Apache Kafka ${version} with Maven (about 45 MB, once)`)
    const output = `-DoutputDirectory=${path.join(temporary, 'lib')}`
    await runMaven(
      [
        '-f',
        pom,
        `-Dkafka.version=${version}`,
        'dependency:copy-dependencies',
        '-DincludeScope=runtime',
        output,
      ],
      temporary,
    )
  })
  return path.join(directory, 'lib')
}
