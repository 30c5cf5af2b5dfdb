import { once } from 'node:events'
import net from 'node:net'
import { expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { patientTimers } from '../../../src/embedded/patient-timers.ts'

const { clock, timers } = nodePorts
const patient = patientTimers(timers, clock)

const standStill = (durationMs: number): void => {
  const until = clock.monotonic() + durationMs
  while (clock.monotonic() < until);
}

it('lets what came while the process stood still be read before a timer of that time fires', async () => {
  const events: string[] = []
  const server = net.createServer((socket) => {
    socket.on('data', () => {
      events.push('heartbeat')
      timers.clear(unfair)
      patient.clear(session)
    })
  })
  server.listen(0)
  await once(server, 'listening')
  const client = net.connect((server.address() as net.AddressInfo).port)
  await once(client, 'connect')
  await timers.sleep(20)
  const unfair = timers.set(() => events.push('timed out'), 30)
  const session = patient.set(() => events.push('session timed out'), 30)
  const other = new Promise<void>((resolve) => {
    patient.set(() => {
      events.push('other session timed out')
      resolve()
    }, 30)
  })
  // Behind the turn of the network: timers come next.
  setImmediate(() => {
    client.write('heartbeat')
    standStill(700)
  })
  await other
  expect(events).toEqual(['timed out', 'heartbeat', 'other session timed out'])
  client.destroy()
  server.close()
})

it('fires in time like any other, and not at all once it is cleared', async () => {
  const events: string[] = []
  patient.set(() => events.push('first'), 10)
  patient.clear(patient.set(() => events.push('cleared'), 10))
  await timers.sleep(100)
  expect(events).toEqual(['first'])
})
