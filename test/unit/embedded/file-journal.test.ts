import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { FileJournal } from '../../../src/embedded/file-journal.ts'
import { temporaryFolder } from '../../support/cli.ts'

const open = (file: string): FileJournal => new FileJournal(nodePorts.disk, file)

it('has the last value of each key again, in the order in which the keys were first put', () => {
  const file = path.join(temporaryFolder(), 'journal')
  const journal = open(file)
  journal.put('a', 'one', { n: 1 })
  journal.put('a', 'two', 2)
  journal.put('b', 'one', 'other kind')
  journal.put('a', 'one', { n: 3 })
  journal.put('a', 'three', 3)
  journal.put('a', 'three', null)
  journal.close()
  const again = open(file)
  expect(again.entries('a')).toEqual([
    ['one', { n: 3 }],
    ['two', 2],
  ])
  expect(again.entries('b')).toEqual([['one', 'other kind']])
  again.close()
})

it('leaves out the line that a killed process was writing, and goes on behind the one before', () => {
  const file = path.join(temporaryFolder(), 'journal')
  const journal = open(file)
  journal.put('a', 'key', 'ä whole line')
  journal.close()
  appendFileSync(file, '["a","key","ha')
  const again = open(file)
  expect(again.entries('a')).toEqual([['key', 'ä whole line']])
  again.put('a', 'next', 1)
  again.close()
  expect(open(file).entries('a')).toEqual([
    ['key', 'ä whole line'],
    ['next', 1],
  ])
})

it('refuses what is no journal, naming file and line', () => {
  const file = path.join(temporaryFolder(), 'journal')
  writeFileSync(file, '["a","key",1]\nnonsense\n')
  expect(() => open(file)).toThrow(/STORE_CORRUPT: .*\(file .*journal, line 2\)/)
})

it('is written anew when most of its lines are of the past', () => {
  const file = path.join(temporaryFolder(), 'journal')
  const journal = open(file)
  for (let n = 0; n < 25_000; n++) journal.put('a', 'key', n)
  journal.close()
  expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThan(12_000)
  expect(open(file).entries('a')).toEqual([['key', 24_999]])
})
