// Puts a user's processor into the graph, with a stream for each of its outputs.
import type { StoreDefinition } from './contracts.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import {
  type AnyProcessorSpec,
  createUserProcessor,
  isSingleOutput,
  storesByAlias,
  type UserProcessor,
} from './processor.ts'
import { functionProblem } from './synchronous.ts'
import { TimedProcessor, timersOf } from './timed-processor.ts'

export interface AddedProcessor {
  readonly operator: string
  readonly spec: AnyProcessorSpec
  /** What runs it. */
  readonly machine: typeof UserProcessor
}

/** @returns nothing, a stream, or streams by the names of the outputs */
export const addUserProcessor = <S>(
  builder: GraphBuilder,
  upstream: Upstream,
  { operator, spec, machine }: AddedProcessor,
  streamOf: (upstream: Upstream) => S,
): undefined | S | Readonly<Record<string, S>> => {
  const outputs = spec.outputs as object | undefined
  const names = outputs === undefined || isSingleOutput(outputs) ? undefined : Object.keys(outputs)
  const before = upstream.node.name
  const place = spec.name === undefined ? operator : `processor ${spec.name}`
  if (spec.name === '') builder.problem(`a processor after ${before} has an empty name`)
  const part = spec.create === undefined ? 'process' : 'create'
  builder.problem(functionProblem(spec[part], `${part} of ${place} after ${before}`))
  const timers = timersOf(builder, spec, `${place} after ${before}`)
  if (timers !== undefined && operator !== 'process')
    builder.problem(`${place} after ${before} has timers, which only process takes: they give the key`)
  const node = builder.addProcessor([upstream], {
    name: spec.name,
    operator,
    stores: [
      ...storesByAlias(spec.stores).values(),
      ...(timers === undefined ? [] : [timers]),
    ] as readonly StoreDefinition[],
    outputs: names,
    mustLead: outputs !== undefined,
    create: () => createUserProcessor(spec, timers === undefined ? machine : TimedProcessor),
  })
  if (timers !== undefined) builder.keepTimers(timers.name, node.name)
  if (outputs === undefined) return undefined
  if (names === undefined) return streamOf({ node, output: '' })
  return Object.fromEntries(names.map((output) => [output, streamOf({ node, output })]))
}
