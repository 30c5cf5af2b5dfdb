import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/cli/arguments.ts'
import { describe as describeModules } from '../../../src/cli/describe.ts'

// Inside the project, so that 'millstream' is found as it is in a user's project.
const parent = path.resolve(import.meta.dirname, '../../../.millstream')
let folder = ''
const at = (name: string): string => path.join(folder, name)

const counting = (store: string, engine = 'lmdb'): string =>
  `import { int64, store, string, topic, topology } from 'millstream'
export default topology('counting', (t) => {
  t.stream(topic('a', { key: string, value: string })).groupByKey().count(store('${store}', { key: string, value: int64, engine: '${engine}' }))
})`

const run = async (...args: string[]): Promise<{ code: number; text: string }> => {
  let text = ''
  const line = await parseCommandLine(['describe', ...args], {})
  if (line === undefined) throw new Error('it asked for help')
  const code = await describeModules(line, (part) => {
    text += part
  })
  return { code, text }
}

beforeAll(async () => {
  mkdirSync(parent, { recursive: true })
  folder = mkdtempSync(path.join(parent, 'describe-'))
  writeFileSync(at('was.ts'), counting('totals'))
  writeFileSync(at('is.ts'), counting('sums'))
  writeFileSync(at('quick.ts'), counting('totals', 'memory'))
  writeFileSync(
    at('several.ts'),
    "import one from './was.ts'\nimport { topology } from 'millstream'\nexport default [one, topology('two', (t) => t.stream(one.graph.subtopologies[0].nodes[0].topic).foreach(() => undefined))]",
  )
  writeFileSync(at('bad.json'), '{')
  writeFileSync(at('previous.json'), (await run(at('was.ts'), '--format', 'json')).text)
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('describe --against', () => {
  it('says that nothing is lost', async () => {
    const { code, text } = await run(at('was.ts'), '--against', at('previous.json'))
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/^nothing is lost: /) })
  })

  it('lists what is lost, with the way out, and ends with 1', async () => {
    const { code, text } = await run(at('is.ts'), '--against', at('previous.json'))
    expect(code).toBe(1)
    expect(text).toBe(`would be lost (1)
  counting: store totals is gone (renamed to sums, which begins empty?): its changelog counting-totals-changelog would not be read any more
    way out: Give it its old name, totals.

compared with ${at('previous.json')}: not yet
`)
  })

  it('lists it as JSON', async () => {
    const { code, text } = await run(at('is.ts'), '--against', at('previous.json'), '--format', 'json')
    expect(code).toBe(1)
    expect(JSON.parse(text)).toMatchObject([{ topology: 'counting', effect: 'lost' }])
  })

  it('is 0 where a change loses nothing, and 1 where the application id does', async () => {
    const { code, text } = await run(at('quick.ts'), '--against', at('previous.json'))
    expect(code).toBe(0)
    expect(text).toContain('would change without a loss (1)')
    expect(text).toContain('moves from lmdb to memory')
    const renamed = await run(at('was.ts'), '--application-id', 'other', '--against', at('previous.json'))
    expect(renamed.code).toBe(1)
    expect(renamed.text).toContain('its application id was counting and is other')
  })

  it('takes several topologies as they are printed: as one array', async () => {
    const { text } = await run(at('several.ts'), '--format', 'json')
    expect(JSON.parse(text)).toMatchObject([{ topology: 'counting' }, { topology: 'two' }])
    writeFileSync(at('several.json'), text)
    expect((await run(at('several.ts'), '--against', at('several.json'))).code).toBe(0)
    const fewer = await run(at('was.ts'), '--against', at('several.json'))
    expect(fewer.code).toBe(1)
    expect(fewer.text).toContain('two: the topology is gone')
  })

  it('refuses a file that is none', async () => {
    await expect(run(at('is.ts'), '--against', at('bad.json'))).rejects.toThrow(
      'DESCRIPTION_INVALID: it is no JSON',
    )
    await expect(run(at('is.ts'), '--against', at('nope.json'))).rejects.toThrow(
      'DESCRIPTION_INVALID: it cannot be read',
    )
    await expect(run(at('is.ts'), '--against', 'x', '--format', 'mermaid')).rejects.toThrow('not mermaid')
  })
})
