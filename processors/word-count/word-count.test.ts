import { testDriver } from 'millstream/testing'
import { expect, it } from 'vitest'
import wordCount, { counts, lines, totals } from './index.ts'

it('counts the words of all lines', () => {
  using driver = testDriver(wordCount)
  driver.input(lines).send('a', 'To be, or not')
  driver.input(lines).send('b', 'to be')
  expect(driver.store(totals).get('to')).toBe(2)
  expect(driver.output(counts).readKeyValues()).toEqual([
    { key: 'to', value: 1 },
    { key: 'be', value: 1 },
    { key: 'or', value: 1 },
    { key: 'not', value: 1 },
    { key: 'to', value: 2 },
    { key: 'be', value: 2 },
  ])
})

it('goes on after a crash, with nothing lost and nothing counted twice', () => {
  using driver = testDriver(wordCount)
  const input = driver.input(lines)
  input.send('a', 'to be')
  driver.begin()
  input.send('b', 'or not to be')
  driver.restart() // before the commit
  expect(driver.store(totals).get('to')).toBe(1)
  driver.run()
  expect(driver.output(counts).toMap()).toEqual(
    new Map([
      ['to', 2],
      ['be', 2],
      ['or', 1],
      ['not', 1],
    ]),
  )
})
