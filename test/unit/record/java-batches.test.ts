// Golden bytes: golden/java-batches.json holds one batch of each compression, in base64, as a broker sent it after
// Kafka's Java producer 4.3.1 had written it. test/integration/golden-bytes.test.ts shows that Java still reads them as
// these records, and does the same with fresh ones.
import { describe, expect, it } from 'vitest'
import { readBatches } from '../../../src/record/batch-view.ts'
import { compressions } from '../../../src/record/compression.ts'
import { plainBatch, plainGolden, smallRecords } from '../../support/golden-records.ts'
import javaBatches from './golden/java-batches.json' with { type: 'json' }

describe('batches of the Java producer', () => {
  it.each(compressions)('are read when compressed with %s', (compression) => {
    const bytes = Buffer.from(javaBatches[compression], 'base64')
    const [batch, ...others] = readBatches(bytes, 0, bytes.length, { topic: 'golden', partition: 0 })
    expect(others).toEqual([])
    batch?.checkCrc()
    expect(batch).toMatchObject({ compression, isControl: false, isTransactional: false, producerEpoch: 0 })
    expect(batch && plainBatch(batch)).toEqual(plainGolden(smallRecords))
  })
})
