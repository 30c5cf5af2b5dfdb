// Which tasks a topology has on this cluster: one per sub-topology and partition, with the partitions it reads.
import type { SourceNode, Subtopology, TopologyGraph } from '../topology/contracts.ts'
import type { TopicPartition } from '../base/topic-partition.ts'
import { changelogTopicName, type PartitionPlan, sourceTopicName } from '../topology/internal-topics.ts'

export interface TaskInput {
  /** The topic as the broker knows it. */
  readonly topic: string
  readonly partition: number
  readonly source: SourceNode
}

export interface TaskPlan {
  /** `<subtopology>_<partition>` */
  readonly id: string
  readonly subtopology: Subtopology
  readonly partition: number
  readonly inputs: readonly TaskInput[]
}

/**
 * All tasks by id. `topicsOf`: the topics that a source reads; default: the one of its name. A source topic with fewer partitions than its sub-topology has no input in the higher
 * tasks.
 */
export const planTasks = (
  graph: TopologyGraph,
  applicationId: string,
  plan: PartitionPlan,
  partitionsOf: (topic: string) => number,
  topicsOf: (source: SourceNode) => readonly string[] = (source) => [sourceTopicName(applicationId, source)],
): Map<string, TaskPlan> => {
  const tasks = new Map<string, TaskPlan>()
  for (const subtopology of graph.subtopologies) {
    const sources = subtopology.nodes.filter((node) => node.kind === 'source')
    for (let partition = 0; partition < (plan.subtopologies[subtopology.id] ?? 0); partition++) {
      const inputs = sources
        .flatMap((source) => topicsOf(source).map((topic) => ({ topic, partition, source })))
        .filter(({ topic }) => partition < partitionsOf(topic))
      const id = `${subtopology.id}_${partition}`
      tasks.set(id, { id, subtopology, partition, inputs })
    }
  }
  return tasks
}

const sameInputs = (one: TaskPlan, other: TaskPlan): boolean =>
  one.inputs.length === other.inputs.length &&
  one.inputs.every(({ topic }, index) => topic === other.inputs[index]?.topic)

/** Makes the plans those of `next`, in place; one that reads what it read before stays the same object. */
export const updatePlans = (plans: Map<string, TaskPlan>, next: ReadonlyMap<string, TaskPlan>): void => {
  for (const id of plans.keys()) if (!next.has(id)) plans.delete(id)
  for (const [id, plan] of next) {
    const known = plans.get(id)
    if (known === undefined || !sameInputs(known, plan)) plans.set(id, plan)
  }
}

/** Those of changelogs and repartition topics: nobody but workers of this application writes there. */
export const internalPartitions = (plans: Iterable<TaskPlan>, applicationId: string): TopicPartition[] =>
  [...plans].flatMap(({ subtopology, partition, inputs }) => [
    ...subtopology.stores
      .filter(({ filling }) => filling === undefined)
      .map(({ name }) => ({ topic: changelogTopicName(applicationId, name), partition })),
    ...inputs.filter(({ source }) => source.repartition).map(({ topic }) => ({ topic, partition })),
  ])
