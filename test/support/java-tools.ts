// Kafka's own command-line tools, as its scripts start them: the class of the tool, out of the jars of a broker and of
// the project of the judge.
import { spawn } from 'node:child_process'
import path from 'node:path'
import { brokerJars } from '../../src/testing/kafka/jars.ts'
import { buildJavaProject } from './java.ts'

const tools = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-transactions': 'org.apache.kafka.tools.TransactionsCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
} as const

export type JavaTool = keyof typeof tools

export interface ToolRun {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface JavaTools {
  /** Runs a tool to its end; one that takes longer than `timeoutMs` is killed, and its exit code is null. */
  run(
    tool: JavaTool,
    args: readonly string[],
    options?: { input?: string; timeoutMs?: number },
  ): Promise<ToolRun>
}

const light = [
  '-Xmx128m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]

export async function javaTools(onProgress: (line: string) => void = console.log): Promise<JavaTools> {
  const judge = await buildJavaProject(path.join(import.meta.dirname, '..', 'java'), onProgress)
  const jars = path.join(await brokerJars('4.3.1', onProgress), '*')
  const [option, classes] = judge.classPath as [string, string]
  const classPath = [option, [classes, jars].join(path.delimiter)]
  return {
    run: (tool, args, { input = '', timeoutMs = 60_000 } = {}) =>
      new Promise((resolve, reject) => {
        const child = spawn(judge.java, [...light, ...classPath, tools[tool], ...args], {
          stdio: 'pipe',
          timeout: timeoutMs,
          killSignal: 'SIGKILL',
        })
        const texts = { stdout: '', stderr: '' }
        for (const name of ['stdout', 'stderr'] as const) {
          child[name].setEncoding('utf8').on('data', (text: string) => {
            texts[name] += text
          })
        }
        child.once('error', reject)
        child.once('close', (exitCode) => resolve({ exitCode, ...texts }))
        // One that ends without reading its input is no error of the test.
        child.stdin.on('error', () => undefined)
        child.stdin.end(input)
      }),
  }
}
