// What the soak compares is shown wrong outputs: a checker that never failed proves nothing.
import { describe, expect, it } from 'vitest'
import { packRecord } from '../../support/packed-records.ts'
import { partsOf, resultText, writtenBy } from '../../system/soak/ops.ts'
import { PartitionSequence } from '../../system/soak/sequence.ts'

interface Output {
  key: string
  text: string
}

const numbers: readonly [offset: number, key: string, number: number][] = [
  [0, 'a', 1],
  [1, 'b', 2],
  [3, 'a', 3],
  // Copied once more.
  [4, 'b', 4],
  [9, 'a', 5],
]

const rightOutputs = (): Output[] => {
  const counts = new Map<string, number>()
  return numbers.flatMap(([offset, key, number]) => {
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return partsOf(number).map((part) => ({
      key,
      text: writtenBy(resultText({ part, number, offset, count }), 'w1.1'),
    }))
  })
}

const inputs = (): Buffer[] =>
  numbers.map(([offset, key, number]) => {
    const value = Buffer.alloc(8)
    value.writeBigInt64BE(BigInt(number))
    return packRecord(offset, key, value)
  })

/** Pushes chunks of different sizes, input and output in turn. */
const compare = (outputs: readonly Output[], inputChunk = 2, outputChunk = 3): PartitionSequence => {
  const sequence = new PartitionSequence(7)
  const left = inputs()
  const right = outputs.map(({ key, text }, index) => packRecord(2 * index, key, text))
  while (left.length + right.length > 0) {
    sequence.pushInput(Buffer.concat(left.splice(0, inputChunk)))
    sequence.pushOutput(Buffer.concat(right.splice(0, outputChunk)))
  }
  sequence.end()
  return sequence
}

const changed = (change: (outputs: Output[]) => void): string | undefined => {
  const outputs = rightOutputs()
  change(outputs)
  return compare(outputs).violation
}

describe('a partition of the output, told from its input', () => {
  it('passes when it is right, in chunks of any size', () => {
    for (const inputChunk of [1, 2, 5]) {
      for (const outputChunk of [1, 2, 6]) {
        const sequence = compare(rightOutputs(), inputChunk, outputChunk)
        expect(sequence.violation).toBeUndefined()
        expect(sequence.inputs).toBe(5)
        expect(sequence.matched).toBe(6)
        expect([...sequence.counts]).toEqual([
          ['a', 3],
          ['b', 2],
        ])
        expect(sequence.inputChecked).toBe(10)
        expect(sequence.outputChecked).toBe(11)
      }
    }
  })

  it('says that an output is missing', () => {
    expect(changed((outputs) => outputs.splice(1, 1))).toMatch(/of input 7@1, key b; something was lost/)
    expect(changed((outputs) => outputs.splice(-1, 1))).toBe(
      '"count 5 from 9: 3" of input 7@9, key a is not in the output',
    )
    expect(changed((outputs) => outputs.splice(0))).toMatch(/input 7@0, key a is not in the output/)
  })

  it('says that an output is there twice, also of the last record', () => {
    expect(changed((outputs) => outputs.splice(2, 0, outputs[1] as Output))).toMatch(/twice, or out of order/)
    expect(changed((outputs) => outputs.push(outputs.at(-1) as Output))).toMatch(/comes from no input/)
  })

  it('says that the second output of a record is missing', () => {
    expect(changed((outputs) => outputs.splice(4, 1))).toMatch(/expected "copy 4 from 4: 2"/)
  })

  it('says that two outputs are the other way round', () => {
    expect(changed((outputs) => outputs.splice(0, 2, ...outputs.slice(0, 2).reverse()))).toMatch(
      /something was lost, or is out of order/,
    )
  })

  it('says that a result is another one', () => {
    const wrong = changed((outputs) => {
      const last = outputs.at(-1) as Output
      last.text = last.text.replace(': 3 ', ': 4 ')
    })
    expect(wrong).toMatch(/"count 5 from 9: 4 by w1.1": expected "count 5 from 9: 3".*another result/)
  })

  it('says that something aborted or foreign is there', () => {
    const put = (output: Output) => (outputs: Output[]) => void outputs.unshift(output)
    expect(changed(put({ key: 'ABORTED-a', text: 'count 9 from 2: 1 by w1.1' }))).toMatch(
      /aborted transaction/,
    )
    expect(changed(put({ key: 'a', text: 'hello' }))).toMatch(/not written by this application/)
  })

  it('forgets only what was compared', () => {
    const sequence = new PartitionSequence(0)
    sequence.pushInput(Buffer.concat(inputs()))
    const outputs = rightOutputs().slice(0, 4)
    sequence.pushOutput(Buffer.concat(outputs.map(({ key, text }, index) => packRecord(index, key, text))))
    // The record at 4 has one more output.
    expect([sequence.inputChecked, sequence.outputChecked]).toEqual([4, 3])
  })
})
