// Fetches what the files of the language suite run beside the broker, before the first of them: a registry of 109 MB and
// Kafka Streams. They come through one Maven after the other, which on a slow line takes longer than a hook of a test may.
import { buildJava } from '../../bench/java-project.ts'
import { fetchRegistry } from './registry/start-registry.ts'

export default async function fetchParts(): Promise<void> {
  await fetchRegistry()
  await buildJava((line) => console.log(line))
}
