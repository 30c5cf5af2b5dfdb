// The directory of an embedded broker: LOCK, what the coordinators and the topic table remember (journal.jsonl), and one
// folder for each topic with a file for each partition. A folder is named by the topic's id in hexadecimal, so that a
// topic that is made again after it was deleted never meets old records, on file systems without capital letters too.
import path from 'node:path'
import type { Disk } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'
import type { Topic } from './broker-state.ts'
import { FileJournal } from './file-journal.ts'
import type { Journal } from './journal.ts'

const topicsFolder = 'topics'

const folderOf = (topicId: string): string => Buffer.from(topicId, 'base64url').toString('hex')

export interface BrokerDirectory {
  readonly journal: Journal
  /** File of the log of a partition; its folder is there. */
  logFile(topic: Topic, partition: number): string
  removeLogs(topic: Topic): void
  /** Removes what was left behind where a process ended while it deleted a topic. */
  removeStrays(topics: Iterable<Topic>): void
  /** The directory may be used by others. */
  close(): void
}

/** @throws MillstreamError STORE_LOCKED, STORE_CORRUPT */
export const brokerDirectory = (disk: Disk, directory: string): BrokerDirectory => {
  const topics = path.join(directory, topicsFolder)
  const lock = disk.lock(directory)
  if ('heldBy' in lock) {
    throw new MillstreamError('STORE_LOCKED', {
      what: 'another embedded broker runs in this directory',
      where: { directory, by: lock.heldBy },
      fix: 'Use the broker that runs there, end it, or choose another directory.',
    })
  }
  let journal: Journal
  try {
    journal = new FileJournal(disk, path.join(directory, 'journal.jsonl'))
  } catch (error) {
    lock.release()
    throw error
  }
  const topicFolder = ({ id }: Topic): string => path.join(topics, folderOf(id))
  return {
    journal,
    logFile: (topic, partition) => {
      disk.makeDirectory(topicFolder(topic))
      return path.join(topicFolder(topic), `${partition}.log`)
    },
    removeLogs: (topic) => disk.remove(topicFolder(topic)),
    removeStrays: (known) => {
      const folders = new Set([...known].map(({ id }) => folderOf(id)))
      for (const name of disk.list(topics)) if (!folders.has(name)) disk.remove(path.join(topics, name))
    },
    close: () => {
      journal.close()
      lock.release()
    },
  }
}
