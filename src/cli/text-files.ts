// Lines of the text files of a folder, for `feed` of a dev script.
import { createReadStream } from 'node:fs'
import { glob } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { TextLine } from './dev-contract.ts'

/** Not the user's own text. */
const leftOut = new Set(['node_modules', 'dist', 'coverage', 'target', '.git', '.millstream'])

/** Lines of the files that match, file by file in the order of their names, without their ends; empty ones too. */
export async function* linesOf(
  folder: string,
  pattern: string,
  stopping: AbortSignal,
): AsyncIterable<TextLine> {
  const files: string[] = []
  for await (const entry of glob(pattern, {
    cwd: folder,
    withFileTypes: true,
    exclude: (found) => leftOut.has(found.name),
  })) {
    if (entry.isFile()) files.push(path.join(entry.parentPath, entry.name))
  }
  for (const file of files.sort()) {
    const name = path.relative(folder, file).replaceAll(path.sep, '/')
    let number = 0
    for await (const text of createInterface({
      input: createReadStream(file),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      if (stopping.aborted) return
      yield { place: `${name}:${++number}`, text }
    }
  }
}
