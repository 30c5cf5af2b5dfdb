// A little of `npm run compare`, so that its two sides stay whole: windows, a join and a suppressed table in Kafka Streams and
// here, on the same input. What is equal has to be found equal, and a grace that is off has to be found.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildJava } from '../../bench/java-project.ts'
import { compareOperator, type Stage, writeInputs } from '../compare/compare.ts'
import { graceMs } from '../compare/input.ts'
import { Peer } from '../compare/peer.ts'
import type { Comparison } from '../compare/results.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'

let directory: string
let peer: Peer

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-compare-'))
  const classPath = await buildJava((line) => console.log(line))
  peer = await Peer.start(kafkaBrokers(), classPath, path.join(directory, 'kafka-streams.log'))
})

afterAll(async () => {
  await peer?.[Symbol.asyncDispose]()
  fs.rmSync(directory, { recursive: true, force: true })
})

const compare = async (operator: string, ourGraceMs: number): Promise<Comparison> => {
  const stage: Stage = {
    brokers: kafkaBrokers(),
    peer,
    directory,
    prefix: uniqueTopic('compare'),
    seeds: 1,
    from: 1,
    records: 1000,
    graceMs: ourGraceMs,
  }
  await writeInputs(stage, [operator])
  const comparison = await compareOperator(stage, operator)
  await peer.delete(stage.prefix)
  return comparison
}

describe('beside Kafka Streams', () => {
  it.each(['hopping-aggregate', 'tumbling-suppress', 'stream-stream-outer-join'])(
    '%s has the same results',
    async (operator) => {
      const { results, differences } = await compare(operator, graceMs)
      expect(differences).toEqual([])
      expect(results).toBeGreaterThan(500)
    },
  )

  it('a grace that is a millisecond off is noticed', async () => {
    expect((await compare('stream-stream-outer-join', graceMs - 1)).differing).toBeGreaterThan(0)
  })
})
