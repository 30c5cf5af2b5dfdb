// Owns a real schema registry for tests: a process of its own on a free port, with its data in memory or in a file.
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { type GuardedProcess, spawnGuarded } from '../../../src/testing/kafka/guarded-process.ts'
import { cachedDirectory, javaCommand, requireJava, runMaven } from '../../../src/testing/kafka/jars.ts'
import { freePort, waitUntil } from '../../../src/testing/kafka/probe.ts'

const startTimeoutMs = 90_000

const version = '3.0.9'

/** Fetched alone: the distribution holds its jars itself, and the parent of its pom is nowhere to be had. */
const artifact = `io.apicurio:apicurio-registry-app:${version}:tar.gz:all`
// Later versions of the plugin ask for that parent.
const get = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:get'

/** Fetches it once. @returns where it is */
export const fetchRegistry = async (): Promise<string> => {
  await requireJava(false)
  const progress = (line: string): void => console.log(line)
  return await cachedDirectory(`registry-${version}`, progress, async (temporary) => {
    await requireJava(true)
    progress(`fetching Apicurio Registry ${version} with Maven (109 MB, once)`)
    const repository = path.join(temporary, 'repository')
    await runMaven(
      [get, `-Dartifact=${artifact}`, '-Dtransitive=false', `-Dmaven.repo.local=${repository}`],
      temporary,
    )
    const archive = path.join(
      repository,
      `io/apicurio/apicurio-registry-app/${version}/apicurio-registry-app-${version}-all.tar.gz`,
    )
    await promisify(execFile)('tar', ['xzf', archive, '-C', temporary])
    fs.rmSync(repository, { recursive: true, force: true })
  })
}

export class TestRegistry {
  readonly port: number
  readonly #distribution: string
  readonly #directory: string
  #process: GuardedProcess | undefined

  constructor(port: number, from: string) {
    this.port = port
    this.#distribution = from
    this.#directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-registry-'))
  }

  /** Where the interface of Confluent's registry is. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/apis/ccompat/v7`
  }

  /** Also after `stop`: the data are those of before. */
  async start(): Promise<void> {
    const log = fs.openSync(path.join(this.#directory, 'registry.log'), 'a')
    const args = [
      '-Xmx384m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Dquarkus.http.host=127.0.0.1',
      `-Dquarkus.http.port=${this.port}`,
      `-Dapicurio.datasource.url=jdbc:h2:file:${path.join(this.#directory, 'data')}`,
      '-jar',
      path.join(this.#distribution, `apicurio-registry-app-${version}-runner.jar`),
    ]
    this.#process = await spawnGuarded(javaCommand(), args, {
      cwd: this.#distribution,
      stdio: ['ignore', log, log],
      removeWithUs: this.#directory,
    })
    fs.closeSync(log)
    const running = this.#process
    const answered = await waitUntil(
      async () => !running.isRunning() || (await this.#answers()),
      startTimeoutMs,
    )
    if (answered && running.isRunning()) return
    throw new Error(
      `the schema registry did not start: ${fs.readFileSync(path.join(this.#directory, 'registry.log'), 'utf8').slice(-2000)}`,
    )
  }

  async #answers(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/subjects`)).ok
    } catch {
      return false
    }
  }

  async stop(): Promise<void> {
    await this.#process?.stop(5000)
  }

  async remove(): Promise<void> {
    await this.stop()
    fs.rmSync(this.#directory, { recursive: true, force: true })
  }
}

export const startRegistry = async (): Promise<TestRegistry> => {
  const registry = new TestRegistry(await freePort(), await fetchRegistry())
  await registry.start()
  return registry
}
