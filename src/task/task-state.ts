// What a task says of itself when it is committed.

export interface TaskPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** See RecordQueue. */
  readonly partitionTime: number
}

/** A store as the transaction leaves it that is being committed. */
export interface StoreState {
  readonly store: string
  /** Behind its last record in the changelog. */
  readonly changelogEnd: number
  /** See state-digest.ts; empty where it is not known. */
  readonly digest: string
  /** As `StoreDefinition.layout`; empty where it is not known. */
  readonly layout: string
}
