import { simulate, testDriver } from 'millstream/testing'
import { expect, it } from 'vitest'
import pageViews, { lateViews, views, visits } from './index.ts'

const minute = 60_000

const opened = () => {
  const driver = testDriver(pageViews)
  const input = driver.input(views)
  const view = (visitor: string, page: string, atMinute: number): unknown =>
    input.send(visitor, { page }, { timestamp: atMinute * minute })
  return { driver, view }
}

it('tells a visit once, when it is over', () => {
  const { driver, view } = opened()
  using _ = driver
  view('ann', '/', 0)
  view('ann', '/prices', 20)
  view('bob', '/blog', 25)
  view('ann', '/buy', 40)
  view('bob', '/', 54)
  view('ann', '/', 65)
  expect(driver.output(visits).readAll()).toEqual([])
  // More than 40 minutes after Bob's last view, when nothing can come any more that belongs to his visit.
  view('ann', '/buy', 95)
  expect(
    driver
      .output(visits)
      .readAll()
      .map(({ value }) => value),
  ).toEqual([
    {
      visitor: 'bob',
      startedAt: 25 * minute,
      endedAt: 54 * minute,
      views: 2,
      pages: ['/blog', '/'],
      exitPage: '/',
    },
  ])
})

it('makes one visit of two that a late view joins', () => {
  const { driver, view } = opened()
  using _ = driver
  view('ann', '/buy', 40)
  view('ann', '/', 5)
  view('ann', '/prices', 30)
  view('bob', '/', 200)
  expect(
    driver
      .output(visits)
      .readAll()
      .map(({ value }) => value),
  ).toMatchObject([{ visitor: 'ann', views: 3, exitPage: '/buy', pages: ['/', '/prices', '/buy'] }])
})

it('keeps what came too late', () => {
  const { driver, view } = opened()
  using _ = driver
  view('ann', '/', 100)
  view('bob', '/too-late', 10)
  expect(driver.output(lateViews).readKeyValues()).toEqual([{ key: 'bob', value: { page: '/too-late' } }])
})

it('counts each view in one visit, whatever dies', async () => {
  await simulate({
    topology: pageViews,
    seeds: 5,
    input({ send, random }) {
      for (let at = 0; at < 300; at++)
        send(
          views,
          `visitor-${Math.floor(random() * 8)}`,
          { page: `/${at % 7}` },
          { timestamp: at * 3 * minute },
        )
    },
    invariants(world) {
      const told = world.records(visits)
      // Each visit once, and no visitor in two visits at a time.
      const starts = told.map(({ key, value }) => `${key}@${value.startedAt}`)
      expect(new Set(starts).size).toBe(starts.length)
      for (const { key, value } of told) {
        const its = world
          .records(views)
          .filter(
            (one) => one.key === key && one.timestamp >= value.startedAt && one.timestamp <= value.endedAt,
          )
        expect(value.views).toBe(its.length)
      }
      expect(told.length).toBeGreaterThan(10)
    },
  })
})
