// savepoint.json: what a savepoint holds, for people and for the import. It is written last, so that a directory
// without it is none, and it carries the checksum of every file and of itself.
import { createHash } from 'node:crypto'
import path from 'node:path'
import type { Disk } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'
import type { TopologyGraph } from '../topology/contracts.ts'
import { kindBeside } from '../topology/store-code.ts'

export const manifestFile = 'savepoint.json'
const formatName = 'millstream-savepoint'
const savepointVersion = 1

/** One input partition of the application at the cut. */
export interface InputPosition {
  /** Name of the user's topic, or the plain name of a repartition topic. */
  readonly topic: string
  readonly repartition: boolean
  readonly partition: number
  /** Of the user's topic; a topic that was made anew has other records under the same offsets. */
  readonly topicId: string | null
  /** Next offset to read; null where the group has committed none. */
  readonly offset: number | null
  /** Stream time of the task, ms; -1 for none. The stream-time punctuators follow from it. */
  readonly streamTime: number
  /** What stood beside the offset: who committed it. */
  readonly committedBy: string
}

/** One file of records. */
export interface RecordFile {
  /** Relative to the directory, with `/`. */
  readonly file: string
  readonly records: number
  readonly bytes: number
  readonly sha256: string
}

/** The contents of one partition of a store. */
export interface StoreFile extends RecordFile {
  readonly store: string
  readonly partition: number
}

/** What a repartition topic held behind the committed offset: made, and not processed yet. */
export interface WaitingFile extends RecordFile {
  readonly topic: string
  readonly partition: number
}

export interface TopologyShape {
  readonly name: string
  /** Of `parts`: 16 hexadecimal digits. */
  readonly hash: string
  /** One line for each sub-topology: what it reads, and its stores. */
  readonly parts: readonly string[]
}

export interface Manifest {
  readonly applicationId: string
  /** ISO 8601, when the offsets were read. */
  readonly takenAt: string
  readonly clusterId: string
  readonly topology: TopologyShape
  readonly inputs: readonly InputPosition[]
  readonly stores: readonly StoreFile[]
  readonly waiting: readonly WaitingFile[]
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What state and offsets depend on, whatever the application id: two topologies of one shape can share a savepoint. */
export const shapeOf = (graph: TopologyGraph): TopologyShape => {
  const parts = graph.subtopologies.map(({ id, nodes, stores }) => {
    const sources = nodes.flatMap((node) =>
      node.kind === 'source' ? [`${node.repartition ? 'repartition ' : ''}${node.topic.name}`] : [],
    )
    const held = stores.map(
      ({ name, key, value, version = 1, layout, filling }) =>
        `${name} (${key.name}, ${value.name})${kindBeside(layout)}${version === 1 ? '' : ` version ${version}`}${filling === undefined ? '' : ` of topic ${filling.source.topic.name}`}`,
    )
    return `sub-topology ${id} reads ${sources.sort().join(', ')}; stores: ${held.sort().join(', ') || 'none'}`
  })
  return { name: graph.name, hash: sha256(parts.join('\n')).slice(0, 16), parts }
}

/** The text of the manifest; its last field is the checksum of the others. */
export const encodeManifest = (manifest: Manifest): string => {
  const body = { format: formatName, version: savepointVersion, ...manifest }
  return `${JSON.stringify({ ...body, checksum: sha256(JSON.stringify(body)) }, null, 2)}\n`
}

const invalid = (what: string, file: string, fix: string): MillstreamError =>
  new MillstreamError('SAVEPOINT_INVALID', { what, where: { file }, fix })

const exportAgain = 'Take the savepoint again, or use another copy of it.'

/**
 * @param file for errors
 * @throws MillstreamError SAVEPOINT_INVALID
 */
export const decodeManifest = (text: string, file: string): Manifest => {
  let read: Record<string, unknown>
  try {
    read = JSON.parse(text) as Record<string, unknown>
  } catch {
    throw invalid('the manifest is no JSON: it was cut or changed', file, exportAgain)
  }
  if (typeof read !== 'object' || read === null || read['format'] !== formatName)
    throw invalid('the file is no manifest of a savepoint', file, 'Give the directory that was exported to.')
  if (read['version'] !== savepointVersion) {
    throw invalid(
      `the savepoint has the format version ${String(read['version'])}, and ${savepointVersion} is read`,
      file,
      'Import it with the version of millstream that it was exported with.',
    )
  }
  const { checksum, ...body } = read
  if (checksum !== sha256(JSON.stringify(body)))
    throw invalid('the manifest does not match its checksum: it was changed', file, exportAgain)
  return body as unknown as Manifest
}

/** @throws MillstreamError SAVEPOINT_INVALID */
export const readManifest = (disk: Disk, directory: string): Manifest => {
  const file = path.join(directory, manifestFile)
  const text = disk.readText(file)
  if (text === undefined) {
    throw invalid(
      'there is no manifest: this is no savepoint, or its export did not end',
      file,
      'Give the directory that was exported to; an export that broke off is to be repeated.',
    )
  }
  return decodeManifest(text, file)
}
