// What both programs on Node are started with here: what the image starts it with, so that no one is measured who does not exist.
import fs from 'node:fs'
import path from 'node:path'

/** The options of Node in the ENTRYPOINT of a Dockerfile. @throws Error where it has none of this form. */
export const nodeOptionsIn = (dockerfile: string): string[] => {
  const entryPoint = /^ENTRYPOINT (\["node",.*\])$/m.exec(dockerfile)?.[1]
  if (entryPoint === undefined) throw new Error('the Dockerfile has no ENTRYPOINT ["node", …]')
  return (JSON.parse(entryPoint) as string[]).slice(1, -1)
}

/** Those of the image. */
export const imageNodeOptions: readonly string[] = nodeOptionsIn(
  fs.readFileSync(path.join(import.meta.dirname, '..', 'Dockerfile'), 'utf8'),
)
