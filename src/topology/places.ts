// Where the serdes of a topology stand, for those that depend on it.
import type { SerdePlace } from '../serde/remote.ts'

type Role = SerdePlace['role']

export const topicPlace = (role: Role, topic: string): SerdePlace => ({ role, topic, internal: false })

export const changelogPlace = (role: Role, store: string): SerdePlace => ({
  role,
  topic: `${store}-changelog`,
  internal: true,
})

export const repartitionPlace = (role: Role, name: string): SerdePlace => ({
  role,
  topic: `${name}-repartition`,
  internal: true,
})
