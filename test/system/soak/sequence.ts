// Holds an output partition against its input partition while both grow. Both have the same number, since the outputs
// have the keys of their inputs; so the output has to be, record for record, what the input asks for: nothing lost,
// nothing twice, in order, nothing of what was aborted, and counted right. Pure; memory is the distance of the two.
import { PackedRecords } from '../../support/packed-records.ts'
import { abortedMark, partsOf, resultText, sourceOf } from './ops.ts'

export interface Expected {
  readonly key: string
  readonly text: string
  /** Of the input record. */
  readonly offset: number
}

const place = (partition: number, offset: number): string => `${partition}@${offset}`

export class PartitionSequence {
  /** Outputs that were as they had to be. */
  matched = 0
  /** Input records whose outputs are all there. */
  inputs = 0
  /** What is wrong, and where; nothing is compared behind it. */
  violation: string | undefined
  /** Behind the last input record whose outputs are all there, and behind the last of them. */
  inputChecked = 0
  outputChecked = 0
  readonly #partition: number
  readonly #input = new PackedRecords()
  readonly #output = new PackedRecords()
  readonly #counts = new Map<string, number>()
  /** The outputs that come next, of one input record. */
  #pending: Expected[] = []

  constructor(partition: number) {
    this.#partition = partition
  }

  /** How often each key was counted. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  pushInput(packed: Buffer): void {
    this.#input.push(packed)
    this.#advance()
  }

  pushOutput(packed: Buffer): void {
    this.#output.push(packed)
    this.#advance()
  }

  /** Call when both were read to their ends: what is missing now is lost. */
  end(): void {
    if (this.violation !== undefined) return
    const next = this.#expected()
    if (next !== undefined) this.violation = `${this.#where(next)} is not in the output`
    else if (this.#output.next()) this.violation = `${this.#found()} comes from no input`
  }

  #advance(): void {
    while (this.violation === undefined) {
      const next = this.#expected()
      if (next === undefined || !this.#output.next()) return
      this.#compare(next)
    }
  }

  /** The next output that the input asks for. */
  #expected(): Expected | undefined {
    if (this.#pending.length === 0) {
      const input = this.#input
      if (!input.next()) return undefined
      const { key, offset } = input
      const number = Number(input.value?.readBigInt64BE(0))
      const count = (this.#counts.get(key) ?? 0) + 1
      this.#counts.set(key, count)
      this.#pending = partsOf(number).map((part) => ({
        key,
        offset,
        text: resultText({ part, number, offset, count }),
      }))
    }
    return this.#pending[0]
  }

  #compare(expected: Expected): void {
    const { key, value, offset } = this.#output
    const text = value?.toString('latin1') ?? '(null)'
    if (key !== expected.key || !text.startsWith(`${expected.text} by `)) {
      this.violation = `${this.#found()}: expected ${this.#where(expected)}; ${this.#reason(expected, text)}`
      return
    }
    this.matched++
    this.#pending.shift()
    if (this.#pending.length > 0) return
    this.inputs++
    this.inputChecked = expected.offset + 1
    this.outputChecked = offset + 1
  }

  #reason(expected: Expected, text: string): string {
    if (this.#output.key.startsWith(abortedMark)) return 'of an aborted transaction'
    const source = sourceOf(text)
    if (source === undefined) return 'not written by this application'
    if (source < expected.offset) return 'twice, or out of order'
    if (source > expected.offset) return 'something was lost, or is out of order'
    return 'another result'
  }

  #found(): string {
    const { key, value, offset } = this.#output
    return `output ${place(this.#partition, offset)}, key ${key}, "${value?.toString('latin1') ?? '(null)'}"`
  }

  #where({ key, text, offset }: Expected): string {
    return `"${text}" of input ${place(this.#partition, offset)}, key ${key}`
  }
}
