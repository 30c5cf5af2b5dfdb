// Asynchronous processors that call an HTTP server, on a broker, in a process that is killed in the middle: how many calls are
// open at once, in what order those of a key come, and that each record has its effect once. The Java consumer judges.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { startCli, temporaryFolder, testModule } from '../support/cli.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'

const keys = 30
const valuesPerKey = 10
/** What a processor has open at once where nothing else is said. */
const inFlightMax = 20

let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterAll(async () => {
  await judge.stop()
})

/** Answers `/<key>/<value>` with the value, in capital letters, after a while; the first calls when so many are open. */
class AskedServer {
  readonly #server = http.createServer((request, response) => this.#asked(request, response))
  readonly #open = new Map<string, string>()
  #holding: (() => void)[] | undefined = []
  #last = new Map<string, number>()
  #answered = 0
  most = 0
  /** How often it was asked, by key and value. */
  readonly asked = new Map<string, number>()
  /** What came before the call before it of the same key was over, or in another order. */
  readonly wrong: string[] = []
  /** Called after each answer. */
  onAnswer: (answered: number, open: number) => void = () => {}

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await new Promise((resolve) => this.#server.once('listening', resolve))
    onTestFinished(() => {
      this.#server.closeAllConnections()
      this.#server.close()
    })
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Another process asks from now on: it begins where the last commit was. */
  forget(): void {
    this.#last = new Map()
  }

  #asked(request: http.IncomingMessage, response: http.ServerResponse): void {
    const [, key = '', value = ''] = (request.url ?? '').split('/')
    const call = `${key}/${value}`
    this.asked.set(call, (this.asked.get(call) ?? 0) + 1)
    const before = this.#open.get(key)
    if (before !== undefined) this.wrong.push(`${call} while ${before} is open`)
    const number = Number(value.slice(1))
    if (number <= (this.#last.get(key) ?? -1)) this.wrong.push(`${call} after v${this.#last.get(key)}`)
    this.#last.set(key, number)
    this.#open.set(key, value)
    this.most = Math.max(this.most, this.#open.size)
    // Also where the other side is gone.
    response.once('close', () => this.#open.delete(key))
    const answer = (): void => {
      response.end(value.toUpperCase())
      this.onAnswer(++this.#answered, this.#open.size)
    }
    this.#when(() => void setTimeout(answer, 5 + ((number * 7 + key.length * 13) % 30)))
  }

  #when(answer: () => void): void {
    if (this.#holding === undefined) return answer()
    this.#holding.push(answer)
    if (this.#holding.length < inFlightMax) return
    const held = this.#holding
    this.#holding = undefined
    // A little later: one call too many would be seen.
    setTimeout(() => {
      for (const one of held) one()
    }, 200)
  }
}

it('a server is asked by 20 calls at once, those of a key in order, and each record counts once', async () => {
  const name = uniqueTopic('asking')
  await judge.createTopics({ name: `${name}-in`, partitions: 1 }, { name: `${name}-out`, partitions: 1 })
  const records = Array.from({ length: keys * valuesPerKey }, (_, index) => ({
    key: `k${index % keys}`,
    value: `v${Math.floor(index / keys)}`,
  }))
  await judge.produce(`${name}-in`, records)
  const server = new AskedServer()
  const url = await server.start()
  const brokers = kafkaBrokers().join(',')
  const args = ['run', testModule('asking.ts'), '--brokers', brokers, '--state-dir', temporaryFolder()]
  const env = { TEST_NAME: name, TEST_URL: url }

  const first = startCli(args, { env })
  server.onAnswer = (answered, open) => {
    if (answered >= 120 && open > 5) first.child.kill('SIGKILL')
  }
  expect((await first.ended).code).toBe(137)
  expect(server.most).toBe(inFlightMax)
  const before = (await judge.dump(`${name}-out`)).records.length
  expect(before).toBeGreaterThan(0)
  expect(before).toBeLessThan(records.length)

  server.onAnswer = () => {}
  server.forget()
  const second = startCli(args, { env })
  await expect
    .poll(async () => (await judge.dump(`${name}-out`)).records.length, { timeout: 40_000, interval: 100 })
    .toBe(records.length)
  second.child.kill('SIGTERM')
  expect((await second.ended).code).toBe(0)

  // In the order of the input, numbered by the store without a gap.
  const told = (await judge.dump(`${name}-out`)).records.map(({ key, value }) => `${key} ${value}`)
  expect(told).toEqual(
    records.map(({ key, value }) => `${key} ${Number(value.slice(1)) + 1}:${value.toUpperCase()}`),
  )
  expect(server.wrong).toEqual([])
  expect(server.most).toBe(inFlightMax)
  // What was open or not committed at the kill, and nothing else, was asked for again.
  const again = [...server.asked.values()].filter((times) => times > 1)
  expect(server.asked.size).toBe(records.length)
  expect(again.length).toBeGreaterThan(0)
  expect(again.length).toBeLessThan(records.length - before + 1)
})
