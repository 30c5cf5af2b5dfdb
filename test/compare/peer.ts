// The other side (Peer.java), with typed commands: Kafka Streams, and the client that writes the input and reads what
// came out of both sides.
import { LineProcess } from '../../bench/line-process.ts'
import { javaCommand } from '../../src/testing/kafka/jars.ts'

type Arguments = Readonly<Record<string, string | number>>

const closeGraceMs = 10_000

export class Peer implements AsyncDisposable {
  readonly #process: LineProcess

  private constructor(child: LineProcess) {
    this.#process = child
  }

  static async start(brokers: readonly string[], classPath: string, logFile: string): Promise<Peer> {
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'
    const memory = ['-Xms256m', '-Xmx768m', '-XX:+UseSerialGC']
    const args = [...memory, quiet, '-cp', classPath, 'millstream.compare.Peer', brokers.join(',')]
    return new Peer(await LineProcess.start('Kafka Streams', javaCommand(), args, logFile))
  }

  create(topic: string, partitions: number): Promise<unknown> {
    return this.#run('create', { topic, partitions })
  }

  /** Removes the topics and groups whose names begin with the prefix. */
  delete(prefix: string): Promise<unknown> {
    return this.#run('delete', { prefix })
  }

  load(topic: string, file: string): Promise<unknown> {
    return this.#run('load', { topic, file })
  }

  /** Reads a topic in read_committed into a file. */
  read(topic: string, file: string): Promise<unknown> {
    return this.#run('read', { topic, file })
  }

  /** Runs an operator in Kafka Streams, until `stop`. */
  startOperator(run: {
    operator: string
    application: string
    input: string
    rows: string
    output: string
    stateDir: string
  }): Promise<unknown> {
    return this.#run('start', run)
  }

  stopOperator(): Promise<unknown> {
    return this.#run('stop', {})
  }

  /** Resolves when the group has committed all of the input, and of what it sends to itself. */
  awaitGroup(group: string, input: string, timeoutMs: number): Promise<unknown> {
    return this.#run('await', { group, input, timeoutMs })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process.close(closeGraceMs)
  }

  #run(command: string, args: Arguments): Promise<unknown> {
    const words = Object.entries(args).map(([key, value]) => `${key}=${value}`)
    return this.#process.ask([command, ...words].join(' '))
  }
}
