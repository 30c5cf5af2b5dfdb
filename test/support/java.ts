// Owns the Java programs of the tests: a Maven project is compiled once per state of its sources, into the cache
// outside the repository, with its dependencies beside it.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import {
  cacheDirectory,
  cachedDirectory,
  javaCommand,
  missingJavaTools,
  runMaven,
} from '../../src/testing/kafka/jars.ts'

const sourceFiles = (directory: string): string[] =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .filter((file) => file === 'pom.xml' || file.startsWith(`src${path.sep}`))
    .sort()

export interface JavaProject {
  /** Arguments of `java` before the main class: the class path. */
  readonly classPath: readonly string[]
  readonly java: string
}

/** Compiles the Maven project (packaging jar, `pom.xml` and `src/`) unless these very sources were compiled before. */
export async function buildJavaProject(
  directory: string,
  onProgress: (line: string) => void,
): Promise<JavaProject> {
  const files = sourceFiles(directory)
  const hash = createHash('sha256')
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(fs.readFileSync(path.join(directory, file)))
      .update('\0')
  const name = `java-${path.basename(directory)}-${hash.digest('hex').slice(0, 16)}`
  const missing = await missingJavaTools(!fs.existsSync(path.join(cacheDirectory(), name)))
  if (missing.length > 0) {
    throw new Error(
      `${path.basename(directory)} is written in Java, and ${missing.join(' and ')}: install Java 17 or newer with Maven`,
    )
  }
  const built = await cachedDirectory(name, onProgress, async (temporary) => {
    onProgress(`compiling ${directory} with Maven (once)`)
    const work = path.join(temporary, 'work')
    for (const file of files) fs.cpSync(path.join(directory, file), path.join(work, file))
    await runMaven(
      ['package', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=target/lib'],
      work,
    )
    fs.renameSync(path.join(work, 'target', 'lib'), path.join(temporary, 'lib'))
    for (const file of fs.readdirSync(path.join(work, 'target')).filter((entry) => entry.endsWith('.jar'))) {
      fs.renameSync(path.join(work, 'target', file), path.join(temporary, 'lib', file))
    }
    fs.rmSync(work, { recursive: true })
  })
  return { java: javaCommand(), classPath: ['-cp', path.join(built, 'lib', '*')] }
}
