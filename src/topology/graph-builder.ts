// Collects the nodes of a topology while the user describes it, together with every mistake, and turns them into a
// validated graph: outputs resolved, sub-topologies numbered. All mistakes of one topology are named at once.
import { MillstreamError } from '../errors.ts'
import type { WindowShape } from '../state/window-table.ts'
import type {
  ProcessorInstance,
  RepartitionDefinition,
  SinkNode,
  SourceNode,
  StoreDefinition,
  StoreFilling,
  TopicDefinition,
  TopologyGraph,
  TopologyNode,
} from './contracts.ts'
import { beforeCallProblems } from './before-call.ts'
import { GlobalTables } from './global-table.ts'
import { nameProblem, topicNameProblem } from './names.ts'
import { PassOperator } from './operators.ts'
import { readOnlyProblem } from './read-only-store.ts'
import { finishedStore, storeProblems } from './store-layouts.ts'
import { splitIntoSubtopologies } from './subtopologies.ts'
import { functionProblem } from './synchronous.ts'

/** A node under construction. */
export interface DraftNode {
  readonly name: string
  /** Builds the final node. */
  readonly finish: (
    children: readonly string[],
    outputs: Readonly<Record<string, string>> | undefined,
    unnamed?: readonly string[],
  ) => TopologyNode
  /** Children by output; an output without a name is ''. */
  readonly children: Map<string, DraftNode[]>
  /** Whether it is a mistake when nothing follows. */
  readonly mustLead: boolean
  /** Of a processor. */
  readonly parts?: ProcessorParts
}

/** Where a stream comes from: a node, and its output where it has several. */
export interface Upstream {
  readonly node: DraftNode
  readonly output: string
}

/** What a processor node is made of. */
export interface ProcessorParts {
  readonly name: string | undefined
  readonly operator: string
  readonly stores: readonly StoreDefinition[]
  /** Names of the outputs, where it has named ones. */
  readonly outputs: readonly string[] | undefined
  readonly mustLead: boolean
  readonly asynchronous?: true
  create(): ProcessorInstance
}

const invalidTimestampPolicies: readonly unknown[] = [
  undefined,
  'fail',
  'skip',
  'partition-time',
  'wall-clock',
]

const timestampProblem = (
  { name, onInvalidTimestamp }: TopicDefinition,
  extractor: SourceNode['timestampExtractor'],
): string | undefined => {
  if (!invalidTimestampPolicies.includes(onInvalidTimestamp))
    return `topic ${name}: onInvalidTimestamp is ${String(onInvalidTimestamp)}, but takes fail, skip, partition-time or wall-clock`
  return extractor === undefined ? undefined : functionProblem(extractor, `timestamp of topic ${name}`)
}

const kebab = (operator: string): string => operator.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

export class GraphBuilder {
  readonly globals: GlobalTables = new GlobalTables((text) => this.problem(text))
  readonly #name: string
  readonly #problems: string[] = []
  readonly #drafts: DraftNode[] = []
  readonly #names = new Set<string>()
  readonly #counters = new Map<string, number>()
  readonly #sourceTopics = new Set<string>()
  readonly #patterns: RegExp[] = []
  readonly #stores = new Map<string, StoreDefinition>()
  readonly #repartitions = new Map<string, RepartitionDefinition>()
  readonly #tableOwners = new Map<string, string>()
  readonly #windowShapes = new Map<string, WindowShape>()
  readonly #waiting = new Set<string>()
  readonly #fillings = new Map<string, StoreFilling>()
  readonly #storeUsers = new Map<string, Set<string>>()
  #finished = false

  constructor(name: string) {
    this.#name = name
    this.problem(nameProblem('the topology', name))
  }

  /** Notes a mistake; undefined is none. */
  problem(text: string | undefined): void {
    if (text !== undefined && !this.#problems.includes(text)) this.#problems.push(text)
  }

  addSource(
    topic: TopicDefinition,
    extractor: SourceNode['timestampExtractor'],
    repartition: boolean,
    fills = false,
  ): Upstream {
    this.#assertOpen()
    if (!repartition) {
      if (topic.pattern === undefined) this.problem(topicNameProblem(topic.name))
      else this.#patterns.push(topic.pattern)
      this.readsTopic(topic, extractor)
    }
    const base = topic.pattern === undefined ? topic.name : 'pattern'
    const name = this.#unusedName(repartition ? `${base}-repartition-source` : `${base}-source`)
    const node = this.#add(name, true, (children) =>
      Object.freeze({
        kind: 'source',
        name,
        children,
        topic,
        repartition,
        timestampExtractor: extractor,
        ...(fills && { fills }),
      }),
    )
    return { node, output: '' }
  }

  /** Notes that a topic of the user is read: once, or twice by mistake. */
  readsTopic(topic: TopicDefinition, extractor: SourceNode['timestampExtractor']): void {
    this.#assertOpen()
    const { name } = topic
    this.problem(timestampProblem(topic, extractor))
    if (this.#sourceTopics.has(name))
      this.problem(`topic ${name} is read twice: keep its stream in a constant and use it twice`)
    this.#sourceTopics.add(name)
  }

  addProcessor(upstream: readonly Upstream[], parts: ProcessorParts): DraftNode {
    this.#assertOpen()
    const { operator, create } = parts
    const globals = this.globals.readBy(parts.stores)
    const own = parts.stores.filter(({ global }) => global !== true)
    const stores = Object.freeze([...new Set(own.map((store) => store.name))])
    const name = parts.name ?? this.#numberedName(kebab(operator))
    for (const store of own) this.#addStore(store, name)
    if (this.#names.has(name)) this.problem(`two processors are named ${name}`)
    const node = this.#add(
      name,
      parts.mustLead,
      (children, outputs, unnamed) =>
        Object.freeze({
          kind: 'processor',
          name,
          children,
          operator,
          stores,
          ...(globals.length > 0 && { globals }),
          outputs,
          ...(unnamed && { unnamed }),
          ...(parts.asynchronous && { asynchronous: true }),
          create,
        }),
      parts,
    )
    if (parts.outputs) {
      for (const output of parts.outputs) {
        // An object lists keys that look like integers first, whatever their order in the source.
        this.problem(
          /^\d+$/.test(output)
            ? `output ${output} of ${name}: give it a name, not a number`
            : nameProblem(`an output of ${name}`, output),
        )
        node.children.set(output, [])
      }
      if (parts.outputs.length === 0) this.problem(`${name} has an empty list of outputs`)
    }
    this.#link(upstream, node)
    return node
  }

  addSink(
    upstream: readonly Upstream[],
    topics: readonly TopicDefinition[],
    repartition: boolean,
    choose: SinkNode['choose'],
    partition?: SinkNode['partition'],
  ): void {
    this.#assertOpen()
    const [first] = topics
    if (!repartition) for (const topic of topics) this.problem(topicNameProblem(topic.name))
    const base = choose !== undefined || first === undefined ? this.#numberedName('chooser-sink') : undefined
    const name = base ?? this.#unusedName(`${first?.name}-${repartition ? 'repartition-sink' : 'sink'}`)
    const node = this.#add(name, false, () =>
      Object.freeze({
        kind: 'sink',
        name,
        children: [],
        topics: Object.freeze([...topics]),
        repartition,
        choose,
        partition,
      }),
    )
    this.#link(upstream, node)
  }

  addRepartition(definition: RepartitionDefinition): void {
    const { name, partitions } = definition
    this.problem(nameProblem('a repartition topic', name))
    if (this.#repartitions.has(name)) this.problem(`two repartition topics are named ${name}`)
    if (typeof partitions === 'number' && (!Number.isInteger(partitions) || partitions < 1)) {
      this.problem(`repartition topic ${name}: partitions is ${partitions}, but takes a whole number from 1`)
    }
    this.#repartitions.set(name, definition)
  }

  /**
   * Notes that a node keeps its table in this store, whose values then have timestamps. Two nodes would overwrite each
   * other.
   */
  keepTable(store: string, node: string): void {
    const owner = this.#tableOwners.get(store)
    if (owner !== undefined)
      this.problem(`store ${store} holds the results of two operators, ${owner} and ${node}`)
    this.#tableOwners.set(store, node)
  }

  /** As `keepTable`, of timers. */
  keepTimers(store: string, node: string): void {
    const owner = this.#tableOwners.get(store)
    if (owner !== undefined) this.problem(`timers ${store} belong to two processors, ${owner} and ${node}`)
    this.#tableOwners.set(store, node)
  }

  /** As `keepTable`, of a table of windows. */
  keepWindows(store: string, node: string, shape: WindowShape): void {
    this.keepTable(store, node)
    this.#windowShapes.set(store, shape)
  }

  /** Notes that records wait in this store, for this node alone. */
  keepWaiting(store: string, node: string): void {
    this.keepTable(store, node)
    this.#waiting.add(store)
  }

  /** Notes what fills a read-only store. */
  fillStore(store: string, filling: StoreFilling): void {
    if (this.#fillings.has(store)) this.problem(`store ${store} is filled by two topics`)
    this.#fillings.set(store, filling)
  }

  /**
   * The graph, if there is no mistake.
   * @throws TOPOLOGY_INVALID with all mistakes.
   */
  finish(): TopologyGraph {
    this.#finished = true
    if (this.#drafts.length === 0) this.problem('it reads no topic')
    for (const draft of this.#drafts) this.#checkLeads(draft)
    for (const topic of this.#sourceTopics) {
      if (this.#patterns.some((pattern) => pattern.test(topic)))
        this.problem(`topic ${topic} is read twice: by its name, and as one that matches a pattern`)
    }
    for (const store of this.#stores.values()) this.#checkUse(store)
    for (const text of beforeCallProblems(this.#drafts)) this.problem(text)
    const globals = this.globals.finish(this.#stores.keys(), this.#tableOwners)
    if (this.#problems.length > 0) {
      throw new MillstreamError('TOPOLOGY_INVALID', {
        what:
          this.#problems.length === 1
            ? `the topology ${this.#name} has a mistake: ${this.#problems[0]}`
            : `the topology ${this.#name} has ${this.#problems.length} mistakes: ${this.#problems.map((text, index) => `(${index + 1}) ${text}`).join('; ')}`,
      })
    }
    return Object.freeze({
      name: this.#name,
      subtopologies: splitIntoSubtopologies(this.#finishNodes(), this.#finishStores()),
      globals,
      repartitions: Object.freeze([...this.#repartitions.values()]),
    })
  }

  #assertOpen(): void {
    if (!this.#finished) return
    throw new MillstreamError('TOPOLOGY_INVALID', {
      what: `the topology ${this.#name} was changed after it was built`,
      fix: 'Use its streams only inside the function given to topology().',
    })
  }

  #add(name: string, mustLead: boolean, finish: DraftNode['finish'], parts?: ProcessorParts): DraftNode {
    const draft: DraftNode = { name, finish, mustLead, children: new Map(), ...(parts && { parts }) }
    this.#names.add(name)
    this.#drafts.push(draft)
    return draft
  }

  #link(upstream: readonly Upstream[], child: DraftNode): void {
    for (const { node, output } of upstream) {
      const siblings = node.children.get(output) ?? []
      // The same stream merged with itself would be one child, reached once, where its user means twice.
      if (siblings.includes(child)) this.problem(`a stream after ${node.name} is merged with itself`)
      node.children.set(output, [...siblings, child])
    }
  }

  #addStore(store: StoreDefinition, user: string): void {
    this.problem(nameProblem('a store', store.name))
    for (const problem of storeProblems(store)) this.problem(problem)
    this.#storeUsers.set(store.name, (this.#storeUsers.get(store.name) ?? new Set()).add(user))
    const known = this.#stores.get(store.name)
    if (known === undefined) this.#stores.set(store.name, store)
    else if (known !== store) this.problem(`two stores are named ${store.name}`)
  }

  #checkLeads(draft: DraftNode): void {
    for (const [output, children] of draft.children) {
      if (output !== '' && children.length === 0)
        this.problem(`the output ${output} of ${draft.name} leads nowhere`)
    }
    if (draft.mustLead && draft.children.size === 0)
      this.problem(`the stream after ${draft.name} leads nowhere: end it with to, foreach or process`)
  }

  #checkUse(store: StoreDefinition): void {
    const { name, ttlMs, version, headers } = store
    if (this.#waiting.has(name)) {
      const users = [...(this.#storeUsers.get(name) ?? [])]
      if (users.length > 1)
        this.problem(
          `store ${name} holds the records that wait in a join; only that can use it, not ${users.join(' and ')}`,
        )
      if (ttlMs !== undefined || version !== undefined || headers !== undefined)
        this.problem(
          `store ${name} holds the records that wait in a join: it takes no ttlMs, no version and no headers (it keeps them anyway)`,
        )
    }
    if (store.timers === true && !this.#tableOwners.has(name))
      this.problem(`store ${name} is declared with timerStore: give it to timers of a processor`)
    this.problem(readOnlyProblem(store, this.#fillings.get(name), this.#tableOwners.get(name)))
    this.#checkWindows(store)
  }

  /** A store of windows or of a join is kept by an operator of its kind, and by no other. */
  #checkWindows({ name, windows, sides }: StoreDefinition): void {
    const kept = this.#windowShapes.get(name)?.kind
    const declared = windows === undefined ? 'store' : sides === undefined ? 'windowStore' : 'joinStore'
    const needed = kept === undefined ? 'store' : kept === 'join' ? 'joinStore' : 'windowStore'
    if (declared === needed) return
    const what = kept === 'join' ? 'a join' : 'windows'
    this.problem(
      needed === 'store'
        ? `store ${name} is declared with ${declared}, but no ${sides === undefined ? 'aggregation by windows' : 'join of streams'} keeps it`
        : `store ${name} is to keep ${what}: declare it with ${needed}`,
    )
  }

  #numberedName(base: string): string {
    const count = (this.#counters.get(base) ?? 0) + 1
    this.#counters.set(base, count)
    return `${base}-${count}`
  }

  #unusedName(base: string): string {
    let name = base
    for (let count = 2; this.#names.has(name); count += 1) name = `${base}-${count}`
    return name
  }

  #finishStores(): ReadonlyMap<string, StoreDefinition> {
    const stores = [...this.#stores].map(([name, store]): [string, StoreDefinition] => [
      name,
      finishedStore(store, {
        keepsTable: this.#tableOwners.has(name),
        waiting: this.#waiting.has(name),
        windowShape: this.#windowShapes.get(name),
        filling: this.#fillings.get(name),
      }),
    ])
    return new Map(stores)
  }

  /** Final nodes in the order of definition. An output with several children gets a node that passes records on to them. */
  #finishNodes(): TopologyNode[] {
    const nodes: TopologyNode[] = []
    for (const draft of this.#drafts) {
      const named = [...draft.children].filter(([output]) => output !== '')
      const unnamed = (draft.children.get('') ?? []).map((child) => child.name)
      if (named.length === 0) {
        nodes.push(draft.finish(Object.freeze(unnamed), undefined))
        continue
      }
      const outputs: Record<string, string> = {}
      const passes: TopologyNode[] = []
      for (const [output, children] of named) {
        const names = children.map((child) => child.name)
        if (names.length === 1) {
          outputs[output] = names[0] as string
        } else {
          const pass = this.#unusedName(`${draft.name}-${output}`)
          this.#names.add(pass)
          outputs[output] = pass
          passes.push(passNode(pass, Object.freeze(names)))
        }
      }
      nodes.push(
        draft.finish(
          Object.freeze([...new Set([...unnamed, ...Object.values(outputs)])]),
          Object.freeze(outputs),
          Object.freeze(unnamed),
        ),
        ...passes,
      )
    }
    return nodes
  }
}

const passNode = (name: string, children: readonly string[]): TopologyNode =>
  Object.freeze({
    kind: 'processor',
    name,
    children,
    operator: 'output',
    stores: [],
    outputs: undefined,
    create: () => new PassOperator(),
  })
