// Two topologies in one module, the later step first: what one writes, the other reads.
import process from 'node:process'
import { type DevScript, string, topic, topology } from 'millstream'

const name = process.env['TEST_NAME'] ?? 'steps'
const texts = topic(`${name}-lines`, { key: string, value: string })
const words = topic(`${name}-words`, { key: string, value: string })
const loud = topic(`${name}-counts`, { key: string, value: string })

const shout = topology(`${name}-shout`, (t) => {
  t.stream(words)
    .mapValues((word) => word.toUpperCase())
    .to(loud)
})

const split = topology(`${name}-split`, (t) => {
  t.stream(texts)
    .flatMapValues((text) => text.split(' '))
    .to(words)
})

export default [shout, split]

export const dev: DevScript = {
  async feed({ send }) {
    for (const value of ['to be', 'or not', 'to be']) await send(texts, { key: 'k', value })
  },
  async verify(read) {
    const found = (await read(loud.name)).map(({ value }) => value?.toString()).join(' ')
    const whole = found === 'TO BE OR NOT TO BE'
    return {
      recordsIn: 6,
      counted: whole ? 6 : 0,
      lost: 0,
      duplicated: 0,
      differences: whole ? [] : [found],
    }
  },
}
