// What the deployment files say about the program has to be true; their own tools check the rest (npm run check:deploy).
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { imageNodeOptions, nodeOptionsIn } from '../../../bench/node-options.ts'
import { settingNames, variableOf } from '../../../src/config/settings-table.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')
const { version } = JSON.parse(read('package.json'))
const schema = JSON.parse(read('helm/millstream/values.schema.json'))
const values = parse(read('helm/millstream/values.yaml'))
const compose = parse(read('docker-compose.yml'))

/** Settings that the chart gives itself, from other values. */
const ownSettings = [
  'hostId',
  'brokers',
  'instanceId',
  'stateDir',
  'tls',
  'tlsCaFile',
  'saslMechanism',
  'saslUsername',
  'saslPassword',
  'httpPort',
  'httpHost',
]

const variables = new Set([...settingNames.map(variableOf), 'MILLSTREAM_CONFIG'])
const variablesIn = (text: string): string[] => [...new Set(text.match(/MILLSTREAM_[A-Z_]+/g))]

interface Schema {
  readonly type?: string | readonly string[]
  readonly additionalProperties?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
}

/** Paths of the values that the schema does not know, and of objects that would take any name. */
const unknownValues = (given: unknown, known: Schema, at: string): string[] => {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return []
  return Object.entries(given).flatMap(([name, value]) => {
    const next = known.properties?.[name]
    if (next) return unknownValues(value, next, `${at}.${name}`)
    return known.additionalProperties === false ? [`${at}.${name}`] : []
  })
}

describe('the chart', () => {
  it('takes every setting that it does not give itself', () => {
    expect(schema.properties.settings.propertyNames.enum).toEqual(
      settingNames.filter((name) => !ownSettings.includes(name)),
    )
  })

  it('describes each of its values', () => {
    expect(unknownValues(values, schema, 'values')).toEqual([])
    expect(Object.keys(schema.properties).filter((name) => !(name in values))).toEqual(['global'])
    expect(schema.additionalProperties).toBe(false)
    expect(unknownValues({ image: { tags: '' } }, schema, 'values')).toEqual(['values.image.tags'])
  })

  it('sets variables that the program knows', () => {
    const template = read('helm/millstream/templates/statefulset.yaml')
    expect(variablesIn(template).filter((name) => !variables.has(name))).toEqual([])
    expect(variablesIn(template)).toContain('MILLSTREAM_INSTANCE_ID')
  })

  it('asks the paths that are answered', () => {
    const template = read('helm/millstream/templates/statefulset.yaml')
    const served = read('src/metrics/serve-workers.ts')
    const paths = [...template.matchAll(/path: (\/\w+)$/gm)].map((match) => match[1])
    expect(paths).toEqual(['/live', '/ready'])
    for (const path of paths) expect(served).toContain(`'${path}': `)
  })

  it('has the version of the package', () => {
    const chart = parse(read('helm/millstream/Chart.yaml'))
    expect(chart).toMatchObject({ version, appVersion: version })
  })
})

describe('the compose file', () => {
  it('sets variables that the program knows', () => {
    const given = Object.keys(compose.services.worker.environment)
    expect(given.filter((name) => !variables.has(name))).toEqual([])
    expect(given).toContain('MILLSTREAM_BROKERS')
  })

  it('has the version of the package and the broker of the tests', () => {
    expect(compose.services.worker.image).toBe(`millstream:${version}`)
    const broker = /<kafka\.version>([\d.]+)</.exec(read('src/testing/kafka/pom.xml'))
    expect(compose.services.kafka.image).toBe(`apache/kafka:${broker?.[1]}`)
    expect(compose.services.topics.image).toBe(compose.services.kafka.image)
  })

  it('creates the topics of word-count', () => {
    const module = read('processors/word-count/index.ts')
    const topics = [...module.matchAll(/topic\('([a-z-]+)'/g)].map((match) => match[1])
    expect(compose.services.topics.command[0]).toContain(`for topic in ${topics.join(' ')};`)
  })
})

describe('the image', () => {
  const dockerfile = read('Dockerfile')

  it('runs a module that is there and is not run as root', () => {
    const module = /^CMD \["run", "\/app\/(.*)"\]$/m.exec(dockerfile)?.[1] ?? ''
    expect(existsSync(path.join(root, module))).toBe(true)
    expect(values.module.path).toBe(`/app/${module}`)
    expect(/^USER (\d+)/m.exec(dockerfile)?.[1]).toBe(String(values.runAsUser))
  })

  it('starts Node with options that Node has, and the benchmark with the same', () => {
    const options = nodeOptionsIn(dockerfile)
    expect(options).toContain('--v8-pool-size=0')
    expect(imageNodeOptions).toEqual(options)
    expect(execFileSync(process.execPath, [...options, '--print', '1'], { encoding: 'utf8' })).toBe('1\n')
  })

  it('copies only what its context holds', () => {
    const context = read('.dockerignore').split('\n')
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    )
    expect(copied.length).toBeGreaterThan(5)
    for (const file of copied)
      expect(context.some((line) => line === `!${file}` || line.startsWith(`!${file}/`))).toBe(true)
  })

  it('sets variables that the program knows', () => {
    expect(variablesIn(dockerfile).filter((name) => !variables.has(name))).toEqual([])
  })
})
