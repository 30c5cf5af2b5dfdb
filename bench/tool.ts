// The Java tool that serves all contestants alike (bench/java Tool.java), with typed commands.
import { javaCommand } from '../src/testing/kafka/jars.ts'
import type { Work } from './contestants/works.ts'
import { LineProcess } from './line-process.ts'

export interface LatencyFigures {
  readonly records: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** By how much the sender missed its schedule at worst. */
  readonly senderLateMs: number
}

export interface Input {
  readonly records: number
  readonly keys: number
  readonly bytes: number
}

type Arguments = Readonly<Record<string, string | number | boolean>>

const lineOf = (command: string, args: Arguments): string =>
  [command, ...Object.entries(args).map(([key, value]) => `${key}=${value}`)].join(' ')

export class Tool {
  readonly #process: LineProcess
  readonly #onProgress: (text: string) => void

  private constructor(child: LineProcess, onProgress: (text: string) => void) {
    this.#process = child
    this.#onProgress = onProgress
  }

  static async start(
    brokers: readonly string[],
    classPath: string,
    logFile: string,
    onProgress: (text: string) => void,
  ): Promise<Tool> {
    // Its warnings are about offsets inside an open transaction, which it is there to wait for.
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'
    const memory = ['-Xms512m', '-Xmx512m', '-XX:+UseSerialGC']
    const args = [...memory, quiet, '-cp', classPath, 'millstream.bench.Tool', brokers.join(',')]
    return new Tool(await LineProcess.start('the bench tool', javaCommand(), args, logFile), onProgress)
  }

  create(topic: string, partitions: number): Promise<unknown> {
    return this.#run('create', { topic, partitions })
  }

  /** Removes the topics and groups whose names begin with the prefix. */
  delete(prefix: string): Promise<unknown> {
    return this.#run('delete', { prefix })
  }

  load(topic: string, input: Input): Promise<unknown> {
    return this.#run('load', { topic, ...input, seed: 42 })
  }

  /** Reads an input topic once, to know what outputs must hold. */
  scan(input: string, keys: number): Promise<unknown> {
    return this.#run('scan', { input, keys })
  }

  /** Resolves when the group has committed the end of the topic. */
  awaitGroup(group: string, topic: string, timeoutMs: number): Promise<unknown> {
    return this.#run('await', { group, topic, timeoutMs })
  }

  /** @throws when the output is not what the input asks for. */
  check(work: Work, input: string, output: string, keys: number): Promise<unknown> {
    return this.#run('check', { work, input, output, keys })
  }

  async latency(
    work: Work,
    input: string,
    output: string,
    load: { rate: number; seconds: number; discardSeconds: number; bytes: number },
  ): Promise<LatencyFigures> {
    return (await this.#run('latency', { work, input, output, ...load })) as LatencyFigures
  }

  close(): Promise<void> {
    return this.#process.close(2000)
  }

  #run(command: string, args: Arguments): Promise<unknown> {
    return this.#process.ask(lineOf(command, args), this.#onProgress)
  }
}
