// Builds bench/java with Maven, once for each state of its sources, into the cache outside the project.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { cachedDirectory, type Progress, requireJava, runMaven } from '../src/testing/kafka/jars.ts'

const projectDirectory = path.join(import.meta.dirname, 'java')

const sourceFiles = (): string[] =>
  fs
    .readdirSync(projectDirectory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name === 'pom.xml' || (name.startsWith('src') && name.endsWith('.java')))
    .sort()

/** @returns the class path. @throws MillstreamError KAFKA_NOT_AVAILABLE when Java or Maven is missing, or Maven fails. */
export const buildJava = async (onProgress: Progress): Promise<string> => {
  const hash = createHash('sha256')
  const files = sourceFiles()
  for (const name of files)
    hash.update(`${name}\0`).update(fs.readFileSync(path.join(projectDirectory, name)))
  await requireJava(true)
  const directory = await cachedDirectory(
    `bench-java-${hash.digest('hex').slice(0, 12)}`,
    onProgress,
    async (temporary) => {
      onProgress('building bench/java with Maven (once)')
      const build = path.join(temporary, 'build')
      for (const name of files) {
        const target = path.join(build, name)
        fs.mkdirSync(path.dirname(target), { recursive: true })
        fs.copyFileSync(path.join(projectDirectory, name), target)
      }
      const library = path.join(temporary, 'lib')
      const copyJars = [
        'dependency:copy-dependencies',
        '-DincludeScope=runtime',
        `-DoutputDirectory=${library}`,
      ]
      await runMaven(['-f', path.join(build, 'pom.xml'), 'package', ...copyJars], build)
      fs.renameSync(path.join(build, 'target', 'bench-1.jar'), path.join(library, 'bench-1.jar'))
      fs.rmSync(build, { recursive: true })
    },
  )
  return path.join(directory, 'lib', '*')
}
