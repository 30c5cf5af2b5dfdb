import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { loadSettings } from '../../../src/cli/load-settings.ts'

const folderWith = (files: Record<string, string>): string => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'millstream-settings-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text)
  return folder
}

const load = (folder: string, more: { config?: string; environment?: Record<string, string> } = {}) =>
  loadSettings(
    { flags: { brokers: 'a:1' }, config: more.config, environment: more.environment ?? {}, folder },
    'app',
  )

it('takes millstream.yaml where it exists', () => {
  expect(load(folderWith({ 'millstream.yaml': 'commitIntervalMs: 7' })).commitIntervalMs).toBe(7)
  expect(load(folderWith({})).commitIntervalMs).toBe(100)
})

it('takes the file of --config, else of MILLSTREAM_CONFIG, and only that one', () => {
  const folder = folderWith({
    'millstream.yaml': 'retryAttempts: 7',
    'a.yaml': 'batchBytes: 2000',
    'b.json': '{"batchBytes":3000}',
  })
  expect(load(folder, { config: 'a.yaml', environment: { MILLSTREAM_CONFIG: 'b.json' } })).toMatchObject({
    batchBytes: 2000,
    retryAttempts: 10,
  })
  expect(load(folder, { environment: { MILLSTREAM_CONFIG: 'b.json' } }).batchBytes).toBe(3000)
})

it('refuses a named file that does not exist or cannot be read', () => {
  const folder = folderWith({ 'bad.yaml': 'a: [' })
  expect(() => load(folder, { config: 'no.yaml' })).toThrow(
    /SETTING_INVALID: the settings file does not exist \(file .*no\.yaml\)/,
  )
  expect(() => load(folder, { config: '.' })).toThrow(/SETTING_INVALID: the settings file cannot be read/)
  expect(() => load(folder, { config: 'bad.yaml' })).toThrow(/SETTING_INVALID: .*line 1.*\(file bad\.yaml\)/)
})
